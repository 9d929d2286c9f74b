"""generation, totalSupply, balanceOf: of the present generation alone; allowances and nonces stay."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, WAD
from tests.support.helpers import reverts
from tests.support.savings import bear, give, make_junior, save


@pytest.fixture
def junior(protocol):
    make_junior(protocol)
    save(protocol, "saver", 3_000 * WAD, "Young")
    return protocol


@pytest.fixture
def wiped(junior):
    """A pool that has lost all; its member got claims."""
    junior.do("Young.approve", "stranger", 5, sender="saver")
    bear(junior, "Young", 3_000 * WAD)
    return junior


def test_starts_at_zero(protocol):
    assert protocol.read("Savings.generation") == 0


def test_all_balances_are_void_at_once(wiped):
    assert wiped.read("Young.generation") == 1
    assert wiped.read("Young.totalSupply") == 0
    assert wiped.read("Young.balanceOf", "saver") == 0
    with reverts("shares: balance too small"):
        wiped.do("Young.transfer", "stranger", 1, sender="saver")


def test_what_was_held_can_still_be_read(wiped):
    assert wiped.table("Young", "token.balances", (0, wiped.address("saver"))).shares == 3_000 * WAD * 10**6


def test_allowances_stay(wiped):
    assert wiped.read("Young.allowance", "saver", "stranger") == 5


def test_new_shares_are_those_of_the_new_generation(wiped):
    save(wiped, "saver", WAD, "Young")
    assert wiped.read("Young.balanceOf", "saver") == wiped.read("Young.totalSupply") == 10**24


def test_claims_that_are_repaid_are_void(wiped):
    wiped.do("Young.collect_claims", "saver", sender="saver")
    assert wiped.read("Young.Claims.balanceOf", "saver") > 0
    give(wiped, "payer", 3_000 * WAD)
    wiped.do("Stablecoin.approve", "Young.Claims", MAX_UINT256, sender="payer")
    wiped.do("Young.Claims.repay", 3_000 * WAD, sender="payer")
    assert wiped.read("Young.Claims.generation") == 1
    assert wiped.read("Young.Claims.balanceOf", "saver") == wiped.read("Young.Claims.totalSupply") == 0
