"""Pools in the states that the tests of their functions start from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import PoolParameters
from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.proof.local_protocol import PRICES
from tests.support.saver_steps import (
    create_additional_pool,
    create_claims_pool_and_return_name,
    deposit_savings,
    give_stablecoin,
    lose_new_vault,
    request_all_shares,
)


@pytest.fixture
def savers(protocol):
    """Two savers, of 30,000 and 10,000."""
    deposit_savings(protocol, "saver", 30_000 * WAD)
    deposit_savings(protocol, "neighbour", 10_000 * WAD)
    return protocol


@pytest.fixture
def leavers(savers):
    """The same, both committed to the first batch."""
    request_all_shares(savers, "saver")
    request_all_shares(savers, "neighbour")
    return savers


@pytest.fixture
def pending(leavers):
    """The same with a recognised loss that is not covered."""
    lose_new_vault(leavers)
    return leavers


@pytest.fixture
def naive(new_protocol):
    """A pool without a cooldown, as other protocols have them."""
    made = new_protocol(replace(build_standard_parameters(), savings=PoolParameters(0)))
    for symbol, price in PRICES.items():
        made.post_price(symbol, price)
    deposit_savings(made, "saver", 30_000 * WAD)
    deposit_savings(made, "neighbour", 10_000 * WAD)
    return made


@pytest.fixture
def naive_pending(naive):
    """The same with a recognised loss that is not covered."""
    lose_new_vault(naive)
    return naive


def pool_of(protocol, kind: str, symbol: str) -> str:
    """A pool of a token of its own kind."""
    token = protocol.deploy_token(kind, symbol, symbol, 18)
    return create_additional_pool(protocol, f"Pool.{symbol}", token=token)


@pytest.fixture
def junior(protocol):
    """A pool with claims; two members, of 3,000 and 1,000, and an account with stablecoin for income."""
    create_claims_pool_and_return_name(protocol)
    deposit_savings(protocol, "saver", 3_000 * WAD, "Young")
    deposit_savings(protocol, "neighbour", 1_000 * WAD, "Young")
    give_stablecoin(protocol, "payer", 10_000 * WAD)
    for spender in ("Young", "Young.Claims"):
        protocol.do("Stablecoin.approve", spender, MAX_UINT256, sender="payer")
    return protocol


@pytest.fixture
def false_pool(protocol):
    """A pool of a token that returns false where others revert."""
    return pool_of(protocol, "ReturnsFalseToken", "FLS")


@pytest.fixture
def silent_pool(protocol):
    """A pool of a token with transfers that return nothing; the saver has put one in."""
    pool = pool_of(protocol, "NoReturnToken", "SIL")
    protocol.do("SIL.mint", "saver", WAD, sender="saver")
    protocol.do("SIL.approve", pool, WAD, sender="saver")
    protocol.do(f"{pool}.deposit", WAD, "saver", sender="saver")
    return pool
