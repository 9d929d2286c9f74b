"""Pools in the states that the tests of their functions start from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from offchain.deployment import PoolParameters, standard
from offchain.model.arithmetic import WAD
from tests.protocol import PRICES
from tests.savings import lose, request, save


@pytest.fixture
def savers(protocol):
    """Two savers, of 30,000 and 10,000."""
    save(protocol, "saver", 30_000 * WAD)
    save(protocol, "neighbour", 10_000 * WAD)
    return protocol


@pytest.fixture
def leavers(savers):
    """The same, both waiting for their request to mature."""
    request(savers, "saver")
    request(savers, "neighbour")
    return savers


@pytest.fixture
def pending(leavers):
    """The same with a recognised loss that is not covered."""
    lose(leavers)
    return leavers


@pytest.fixture
def naive(new_protocol):
    """A pool without a cooldown, as other protocols have them."""
    made = new_protocol(replace(standard(), savings=PoolParameters(0, 0)))
    for symbol, price in PRICES.items():
        made.post_price(symbol, price)
    save(made, "saver", 30_000 * WAD)
    return made


def pool_of(protocol, kind: str, symbol: str) -> str:
    """A pool of a token of its own kind."""
    token = protocol.deploy_token(kind, symbol, symbol, 18)
    wiring = [protocol.address(name) for name in (token, "VaultEngine", "LossWaterfall")]
    protocol.lockstep.create("Pool", f"Pool.{symbol}", "Other Savings", f"s{symbol}", *wiring, 86_400, 86_400)
    return f"Pool.{symbol}"


@pytest.fixture
def false_pool(protocol):
    """A pool of a token that returns false where others revert."""
    return pool_of(protocol, "FalseToken", "FLS")


@pytest.fixture
def silent_pool(protocol):
    """A pool of a token whose transfers return nothing; the saver has put one in."""
    pool = pool_of(protocol, "SilentToken", "SIL")
    protocol.do("SIL.mint", "saver", WAD, sender="saver")
    protocol.do("SIL.approve", pool, WAD, sender="saver")
    protocol.do(f"{pool}.deposit", WAD, "saver", sender="saver")
    return pool
