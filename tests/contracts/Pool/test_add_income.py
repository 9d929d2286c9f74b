"""add_income: any account's gift to the members, which vests over time; and the unvested part."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import DAY, create_additional_pool

CALL = "Young.add_income"


def test_is_pulled_and_worth_nothing_yet(junior):
    junior.do(CALL, 700 * WAD, sender="payer")
    assert junior.read("Young.totalAssets") == 4_000 * WAD
    assert junior.read("Young.unvested") == 700 * WAD
    assert junior.read("Stablecoin.balanceOf", "Young") == 4_700 * WAD
    added = [log.values for log in junior.last.logs if log.event == "IncomeAdded"]
    assert added == [(junior.address("payer"), 700 * WAD, junior.timestamp + 7 * DAY)]


def test_vests_evenly_and_rounds_what_is_left_up(junior):
    junior.do(CALL, 7 * 86_400 * 10, sender="payer")
    for seconds, left in (
        (1, 10 * (7 * DAY - 1)),
        (DAY - 1, 10 * 6 * DAY),
        (6 * DAY - 1, 10),
        (1, 0),
        (9, 0),
    ):
        junior.advance(seconds)
        assert junior.read("Young.unvested") == left
    junior.do(CALL, 3, sender="payer")
    junior.advance(1)
    assert junior.read("Young.unvested") == 3
    junior.advance(7 * DAY - 2)
    assert junior.read("Young.unvested") == 1
    junior.advance(1)
    assert junior.read("Young.totalAssets") == 4_000 * WAD + 7 * 86_400 * 10 + 3


def test_the_end_is_the_weighted_mean(junior):
    junior.do(CALL, 700 * WAD, sender="payer")
    junior.advance(3 * DAY)
    junior.do(CALL, 400 * WAD, sender="payer")
    assert junior.read("Young.unvested") == 800 * WAD
    assert junior.last.logs[0].values[2] == junior.timestamp + (4 * DAY + 7 * DAY) // 2
    assert junior.read("Young.totalAssets") == 4_300 * WAD


def test_dust_prolongs_nothing(junior):
    junior.do(CALL, 700 * WAD, sender="payer")
    ends_at = junior.timestamp + 7 * DAY
    for _ in range(5):
        junior.advance(DAY)
        junior.do(CALL, 1, sender="payer")
        assert junior.last.logs[0].values[2] == ends_at


def test_adding_takes_nothing_back_from_the_members(junior):
    junior.do(CALL, 10**9 + 7, sender="payer")
    for seconds in (1, 86_399, 12_345, 200_000):
        junior.advance(seconds)
        before = junior.read("Young.totalAssets")
        junior.do(CALL, 1_000_003, sender="payer")
        assert junior.read("Young.totalAssets") == before


def test_raises_the_price_of_shares_by_and_by(junior):
    shares = junior.read("Young.balanceOf", "saver")
    junior.do(CALL, 700 * WAD, sender="payer")
    junior.advance(DAY)
    assert 3_075 * WAD - junior.read("Young.convertToAssets", shares) in (0, 1)


def test_nothing_is_no_income(junior):
    with reverts("pool: no income"):
        junior.do(CALL, 0, sender="payer")


def test_no_more_than_can_be_booked(junior):
    with reverts("pool: too many assets"):
        junior.do(CALL, junior.read("Young.maxDeposit", "payer") + 1, sender="payer")


def test_needs_an_allowance(junior):
    with reverts("erc20: insufficient allowance"):
        junior.do(CALL, 1, sender="stranger")


@pytest.mark.parametrize("vesting", [3_600, 365 * DAY], ids=str)
def test_vests_over_the_pools_own_time(protocol, vesting):
    create_additional_pool(protocol, vesting=vesting)
    protocol.give_stablecoin("payer", WAD)
    protocol.do("Stablecoin.approve", "Made", WAD, sender="payer")
    protocol.do("Made.add_income", WAD, sender="payer")
    protocol.advance(vesting // 4)
    assert protocol.read("Made.totalAssets") == WAD // 4


def test_what_cannot_be_pulled_is_not_added(protocol, false_pool):
    with reverts("pool: transfer in failed"):
        protocol.do(f"{false_pool}.add_income", 1, sender="payer")
