"""lock and claim: a withdrawn profit vests once its buckets of time have passed."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.auction_steps import get_only_event_values, read_stablecoins
from tests.support.margin_fund_steps import (
    DAY,
    absorb_loss_in_margin_fund,
    lock_profit,
    read_profit,
    sum_margin_fund_assets,
)
from tests.support.revert_setter_and_source_helpers import check_contract_creation_refused, reverts

ZERO = "0x" + "00" * 20


def claim(protocol, owner, bucket):
    return protocol.do("Fund.claim", owner, bucket, sender="stranger")


def test_vests_seven_buckets_later(margin):
    bucket = lock_profit(margin, "winner", 5 * WAD)
    assert get_only_event_values(margin, "ProfitLocked", "Fund") == (
        margin.address("winner"),
        bucket,
        5 * WAD,
        5 * WAD,
    )
    margin.advance((bucket + 7) * DAY - 1 - margin.timestamp)
    with reverts("margin_fund: not vested"):
        claim(margin, "winner", bucket)
    margin.advance(1)
    assert claim(margin, "winner", bucket) == 5 * WAD
    assert get_only_event_values(margin, "ProfitClaimed", "Fund") == (
        margin.address("winner"),
        bucket,
        5 * WAD,
    )
    assert read_stablecoins(margin, "winner") == 5 * WAD
    with reverts("margin_fund: nothing to claim"):
        claim(margin, "winner", bucket)


def test_profits_of_a_bucket_add_up(margin):
    bucket = lock_profit(margin, "winner", 1)
    lock_profit(margin, "winner", 2)
    lock_profit(margin, "other", 4)
    assert read_profit(margin, "winner", bucket) == 3
    assert margin.read("Fund.bucket_of", bucket) == (7, 7, 0)
    assert margin.read("Fund.unvested") == sum_margin_fund_assets(margin) == 7
    with reverts(""):
        claim(margin, "winner", 2**256 - 1)


def test_the_last_one_gets_the_rest(margin):
    """After a clawback of a wei in seven each part is rounded down, until a single owner remains."""
    bucket = lock_profit(margin, "winner", 3)
    lock_profit(margin, "other", 4)
    absorb_loss_in_margin_fund(margin, 1)
    assert read_profit(margin, "winner", bucket) == 2
    assert read_profit(margin, "other", bucket) == 3
    margin.advance(7 * DAY)
    assert claim(margin, "winner", bucket) == 2
    assert claim(margin, "other", bucket) == 4
    assert sum_margin_fund_assets(margin) == 0


@pytest.mark.parametrize(
    ("first", "lost", "amount", "shares", "left"), [(7, 1, 5, 5, 4), (7, 6, 2, 14, 2), (7, 7, 2, 2, 2)]
)
def test_who_locks_after_a_clawback_gets_no_part_of_others(margin, first, lost, amount, shares, left):
    """Shares are rounded down, also where a wei is left; of a bucket that is empty they begin again."""
    bucket = lock_profit(margin, "winner", first)
    absorb_loss_in_margin_fund(margin, lost)
    lock_profit(margin, "late", amount)
    assert get_only_event_values(margin, "ProfitLocked", "Fund") == (
        margin.address("late"),
        bucket,
        amount,
        shares,
    )
    assert read_profit(margin, "late", bucket) == left
    assert read_profit(margin, "winner", bucket) <= first - lost + amount - left


def test_a_profit_that_nobody_could_be_paid_is_not_locked(margin):
    with reverts("margin_fund: zero owner"):
        lock_profit(margin, ZERO, 5 * WAD)


def test_the_market_only(margin):
    for method, args in {"lock": ("winner", 1), "absorb": (1, 1), "add_fees": (1,)}.items():
        with reverts("margin_fund: not the market"):
            margin.do(f"Fund.{method}", *args, sender="admin")


@pytest.mark.parametrize(
    ("length", "buckets", "reason"),
    [
        (599, 7, "margin_fund: bucket bounds"),
        (7 * DAY + 1, 7, "margin_fund: bucket bounds"),
        (DAY, 0, "margin_fund: bucket count"),
        (DAY, 9, "margin_fund: bucket count"),
    ],
)
def test_bounds(margin, length, buckets, reason):
    check_contract_creation_refused(
        margin, "MarginFund", ZERO, ZERO, ZERO, ZERO, length, buckets, reason=reason
    )


def test_the_longest_and_the_shortest_bucket(margin):
    for index, length in enumerate((600, 7 * DAY)):
        name = f"Fund {index}"
        margin.lockstep.create_contract("MarginFund", name, ZERO, ZERO, ZERO, ZERO, length, 7)
        assert margin.read(f"{name}.LENGTH") == length
