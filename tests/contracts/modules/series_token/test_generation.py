"""generation, totalSupply, balanceOf: of the present series alone; allowances and nonces stay."""

import pytest

from backstop.contract_base import ZERO_ADDRESS
from backstop.model.arithmetic import MAX_UINT256, WAD
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import (
    charge_pool,
    create_claims_pool_and_return_name,
    deposit_savings,
    give_stablecoin,
)


@pytest.fixture
def owed(protocol):
    """A member has the claims for a loss of 1,000 of 3,000; another account has stablecoin to repay them."""
    create_claims_pool_and_return_name(protocol)
    deposit_savings(protocol, "saver", 3_000 * WAD, "Young")
    charge_pool(protocol, "Young", 1_000 * WAD)
    protocol.do("Young.collect_claims", "saver", sender="saver")
    give_stablecoin(protocol, "payer", 3_000 * WAD)
    protocol.do("Stablecoin.approve", "Young.Claims", MAX_UINT256, sender="payer")
    return protocol


@pytest.fixture
def repaid(owed):
    """The same once all are repaid."""
    owed.do("Young.Claims.approve", "stranger", 5, sender="saver")
    owed.do("Young.Claims.repay", MAX_UINT256, sender="payer")
    return owed


def test_starts_at_zero(owed):
    assert owed.read("Young.Claims.generation") == 0
    # A wei of the loss is that of the shares that nobody owns; as much is cut off of what a share got.
    assert 0 <= 1_000 * WAD - 1 - owed.read("Young.Claims.balanceOf", "saver") <= 3
    assert owed.read("Young.Claims.totalSupply") == owed.read("Young.Claims.balanceOf", "saver")


def test_all_balances_are_void_at_once(repaid):
    assert repaid.read("Young.Claims.generation") == 1
    assert repaid.read("Young.Claims.totalSupply") == repaid.read("Young.Claims.balanceOf", "saver") == 0
    with reverts("shares: balance too small"):
        repaid.do("Young.Claims.transfer", "stranger", 1, sender="saver")


def test_what_was_held_can_still_be_read(repaid):
    held = repaid.table("Young.Claims", "token.balances", (0, repaid.address("saver"))).shares
    assert 0 <= 1_000 * WAD - 1 - held <= 3


def test_allowances_stay(repaid):
    assert repaid.read("Young.Claims.allowance", "saver", "stranger") == 5


def test_new_tokens_are_those_of_the_new_series(repaid):
    charge_pool(repaid, "Young", 500 * WAD)
    repaid.do("Young.collect_claims", "saver", sender="saver")
    held = repaid.read("Young.Claims.balanceOf", "saver")
    assert 0 < 500 * WAD - held <= 4
    assert repaid.read("Young.Claims.totalSupply") == held


def test_tokens_move_within_a_series(owed):
    held = owed.read("Young.Claims.balanceOf", "saver")
    owed.do("Young.Claims.transfer", "stranger", 7, sender="saver")
    assert owed.last.logs[-1].values == (owed.address("saver"), owed.address("stranger"), 7)
    assert owed.read("Young.Claims.balanceOf", "stranger") == 7
    assert owed.read("Young.Claims.balanceOf", "saver") == held - 7
    assert owed.read("Young.Claims.totalSupply") == held


@pytest.mark.parametrize("receiver", [ZERO_ADDRESS, "Young.Claims"])
def test_a_token_takes_none_of_itself(owed, receiver):
    with reverts("shares: bad receiver"):
        owed.do("Young.Claims.transfer", receiver, 0, sender="saver")
