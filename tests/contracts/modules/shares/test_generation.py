"""generation, totalSupply, balanceOf: shares are those of now, whenever an owner's record was written.

Two members of a coin each have 1e24 shares each, and of a pool that is left with less than 2e9 - 1 wei an
entry divides all by 1e9; with less than 1e6 wei all are void at once, five generations on.
"""

import pytest

from backstop.contract_base import ZERO_ADDRESS
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.shares import Balance
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import (
    charge_pool,
    create_claims_pool_and_return_name,
    deposit_savings,
    give_stablecoin,
)

STEP = 10**9


@pytest.fixture
def junior(protocol):
    """Two members, one with 1e9 - 1 shares more than 1e24; a later depositor has an allowance."""
    create_claims_pool_and_return_name(protocol)
    deposit_savings(protocol, "saver", WAD, "Young")
    give_stablecoin(protocol, "neighbour", 2 * WAD)
    protocol.do("Stablecoin.approve", "Young", MAX_UINT256, sender="neighbour")
    protocol.do("Young.mint", 10**24 + STEP - 1, "neighbour", sender="neighbour")
    give_stablecoin(protocol, "newcomer", 10 * WAD)
    protocol.do("Stablecoin.approve", "Young", MAX_UINT256, sender="newcomer")
    protocol.do("Young.approve", "stranger", 5, sender="saver")
    return protocol


def leave_over(protocol, wei):
    charge_pool(protocol, "Young", protocol.read("Young.capacity", 0) // RAY - wei)


def enter(protocol, assets):
    return protocol.do("Young.deposit", assets, "newcomer", sender="newcomer")


@pytest.fixture
def divided(junior):
    """An entry has divided all shares by 1e9."""
    leave_over(junior, 10**9)
    enter(junior, 10**6)
    return junior


@pytest.fixture
def wiped(junior):
    """A pool that has lost all."""
    leave_over(junior, 0)
    return junior


def record(protocol, who):
    return protocol.table("Young", "token.balances", protocol.address(who))


def test_starts_at_zero(protocol):
    assert protocol.read("Savings.generation") == 0


def test_a_loss_alone_divides_nothing(junior):
    leave_over(junior, 10**9)
    assert junior.read("Young.generation") == 0
    assert junior.read("Young.totalSupply") == 2 * 10**24 + STEP - 1


def test_each_balance_is_divided_and_rounded_down(divided):
    assert divided.read("Young.generation") == 1
    assert divided.read("Young.balanceOf", "saver") == divided.read("Young.balanceOf", "neighbour") == 10**15
    # 1e6 wei for 2e15 + 1e6 shares of 1e9 + 1.
    new = 10**6 * (2 * 10**15 + 10**6) // (10**9 + 1)
    assert divided.read("Young.balanceOf", "newcomer") == new
    assert divided.read("Young.totalSupply") == 2 * 10**15 + new


def test_the_supply_is_divided_as_a_whole(junior):
    """Half a share of each of two is one of both, which no member has."""
    for who in ("saver", "neighbour"):
        more = STEP // 2 if who == "saver" else STEP // 2 + 1
        junior.do("Young.mint", more, "newcomer", sender="newcomer")
        junior.do("Young.transfer", who, more, sender="newcomer")
    leave_over(junior, 10**9)
    new = enter(junior, 10**6)
    held = sum(junior.read("Young.balanceOf", who) for who in ("saver", "neighbour"))
    assert held == 10**15 + 10**15 + 1
    assert junior.read("Young.totalSupply") - new == 2 * 10**15 + 2


def test_records_are_renewed_when_their_owners_are_touched(divided):
    held = divided.address("saver")
    assert record(divided, "saver") == Balance(10**24, 0, 0)
    divided.do("Young.transfer", "stranger", 1, sender="saver")
    assert record(divided, "saver") == Balance(10**15 - 1, 0, 1)
    assert record(divided, "stranger") == Balance(1, 0, 1)
    assert divided.last.logs[-1].values == (held, divided.address("stranger"), 1)


def test_nobody_has_more_than_is_left(divided):
    with reverts("shares: balance too small"):
        divided.do("Young.transfer", "stranger", 10**15 + 1, sender="saver")
    divided.do("Young.transfer", "stranger", 10**15, sender="saver")
    assert divided.read("Young.balanceOf", "saver") == 0


def test_a_record_that_was_written_two_divisions_ago(divided):
    """Of 1e24 shares 1e15 are left, and of these 1e6; a coin is 2e27 shares where they are 1e9 for a wei."""
    leave_over(divided, 10**6)
    enter(divided, WAD)
    assert divided.read("Young.generation") == 1
    leave_over(divided, 10**6)
    enter(divided, 1)
    assert divided.read("Young.generation") == 2
    assert divided.read("Young.balanceOf", "saver") == 10**6
    assert record(divided, "saver") == Balance(10**24, 0, 0)
    divided.do("Young.transfer", "stranger", 1, sender="saver")
    assert record(divided, "saver") == Balance(10**6 - 1, 0, 2)


def test_several_divisions_at_once(divided):
    """A coin more, 2e30 shares where 2e18 are for a million wei: by 1e18, where these are left."""
    for _ in range(2):
        leave_over(divided, 10**6)
        enter(divided, WAD)
    leave_over(divided, 10**6)
    assert divided.read("Young.generation") == 2
    enter(divided, 1)
    assert divided.read("Young.generation") == 4
    assert divided.read("Young.balanceOf", "saver") == 0
    assert divided.read("Young.balanceOf", "newcomer") == divided.read("Young.totalSupply")


def test_all_balances_are_void_at_once(wiped):
    assert wiped.read("Young.generation") == 5
    assert wiped.read("Young.totalSupply") == 0
    assert wiped.read("Young.balanceOf", "saver") == 0
    with reverts("shares: balance too small"):
        wiped.do("Young.transfer", "stranger", 1, sender="saver")


@pytest.mark.parametrize(("wei", "generation"), [(10**6, 0), (10**6 - 1, 5)])
def test_void_under_a_millionth_of_a_millionth(junior, wei, generation):
    leave_over(junior, wei)
    assert junior.read("Young.generation") == generation


def test_what_was_held_is_in_the_record_until_its_owner_is_touched(wiped):
    assert record(wiped, "saver") == Balance(10**24, 0, 0)
    wiped.do("Young.collect_claims", "saver", sender="stranger")
    assert record(wiped, "saver") == Balance(0, 0, 5)


def test_allowances_stay(wiped):
    assert wiped.read("Young.allowance", "saver", "stranger") == 5


def test_new_shares_are_those_of_the_new_generation(wiped):
    deposit_savings(wiped, "saver", WAD, "Young")
    assert wiped.read("Young.balanceOf", "saver") == wiped.read("Young.totalSupply") == 10**24


@pytest.mark.parametrize("receiver", [ZERO_ADDRESS, "Young"])
def test_a_token_takes_none_of_itself(junior, receiver):
    with reverts("shares: bad receiver"):
        junior.do("Young.transfer", receiver, 0, sender="saver")
