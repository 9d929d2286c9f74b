"""share: all winners are closed for the same share of their gain, in whole lots, in any order."""

import pytest

from backstop.model.arithmetic import WAD
from backstop.model.price_path import LONG, SHORT
from tests.support.perpetual_test_market import BTC, CLOSER, ETH, TRADING, open_and_bankrupt_long
from tests.support.revert_setter_and_source_helpers import reverts


def test_parts_by_gain_whoever_comes_first(crash):
    """701 lots are left: of 4,000 gained 800, 1,200 and 2,000 are 140.2, 210.3 and 350.5 lots."""
    crash.deposit("taker", 50_000 * WAD)
    crash.do(f"{TRADING}.take", ETH, 299, sender="taker")
    before, keeper = crash.equity("other"), crash.equity("keeper")
    assert crash.execute_pro_rata_deleveraging(SHORT, "large") == 701 - 350
    assert crash.execute_pro_rata_deleveraging(SHORT, "small", "other", by="prover") == 1
    assert [crash.size(name) for name in ("other", "small", "large")] == [-60, -90, -150]
    # At the mark, for nothing; what bonds pay, less what somebody got who took lots over.
    assert crash.equity("other") == before
    pot = WAD - WAD * 299 // 1_000
    assert crash.equity("keeper") - keeper == pot * 350 // 701
    assert crash.equity("prover") == (pot - pot * 350 // 701) * 350 // 351
    crash.check_books_after_touching_all()


def test_nobody_is_closed_twice_for_its_part(crash):
    assert crash.execute_pro_rata_deleveraging(SHORT, "other") == 800
    with reverts("deleveraging: no lots to close"):
        crash.execute_pro_rata_deleveraging(SHORT, "other")
    assert (
        crash.read(f"{CLOSER}.part_of", ETH, SHORT, crash.get_contract_or_account_address("other")).lots
        == 200
    )
    assert crash.read(f"{CLOSER}.total_of", ETH, SHORT).lots == 200
    crash.execute_pro_rata_deleveraging(SHORT, "other", "small", "large")
    assert crash.read(f"{CLOSER}.total_of", ETH, SHORT).lots == 1_000 and crash.count_unassigned_lots() == 0


def test_a_part_is_remembered_in_a_late_cycle(market):
    for _ in range(64):
        market.advance_cycle()
    open_and_bankrupt_long(market)
    market.deposit("taker", 50_000 * WAD)
    market.do(f"{TRADING}.take", ETH, 299, sender="taker")
    assert market.execute_pro_rata_deleveraging(SHORT, "large") == 701 - 350
    with reverts("deleveraging: no lots to close"):
        market.execute_pro_rata_deleveraging(SHORT, "large")


def test_an_odd_number_of_lots_is_not_forgotten(crash):
    crash.deposit("taker", 50_000 * WAD)
    crash.do(f"{TRADING}.take", ETH, 1, sender="taker")
    assert crash.execute_pro_rata_deleveraging(SHORT, "other") == 999 - 199
    with reverts("deleveraging: no lots to close"):
        crash.execute_pro_rata_deleveraging(SHORT, "other")
    # All of its gain is a fifth of 999, whatever was closed of it before.
    assert crash.execute_pro_rata_deleveraging(SHORT, "small", "large") == 999 - 199 - 299 - 499


def test_one_lot_is_closed_and_counted(market):
    """A short of 100 lots fails; one of the longs has a single lot."""
    for name, amount in (("short", 400), ("crumb", 100), ("whole", 1_000)):
        market.deposit(name, amount * WAD)
    market.trade("crumb", "short", 1)
    market.trade("whole", "short", 99)
    market.mark(ETH, 25 * WAD)
    assert market.seize_insolvent("short")
    market.advance_cycle()
    assert market.execute_pro_rata_deleveraging(LONG, "crumb") == 99
    assert market.size("crumb") == 0 and market.count_unassigned_lots() == -99
    assert (
        market.read(f"{CLOSER}.part_of", ETH, LONG, market.get_contract_or_account_address("crumb")).lots == 1
    )


def test_parts_grow_with_what_is_taken_later(crash):
    crash.deposit("taker", 50_000 * WAD)
    crash.do(f"{TRADING}.take", ETH, 500, sender="taker")
    crash.execute_pro_rata_deleveraging(SHORT, "other")
    assert crash.size("other") == -100
    crash.deposit("late", 700 * WAD)
    crash.trade("late", "large", 400)
    crash.mark(ETH, 14 * WAD)
    assert crash.seize_insolvent("late") and crash.count_unassigned_lots() == 800
    # 900 in all, of which a fifth.
    crash.execute_pro_rata_deleveraging(SHORT, "other")
    assert crash.size("other") == -20


def test_accounts_are_told_once_and_in_order(crash):
    one, two = sorted(
        (crash.get_contract_or_account_address("other"), crash.get_contract_or_account_address("small")),
        key=lambda each: int(each, 16),
    )
    for accounts in ((two, one), (one, one)):
        with reverts("deleveraging: out of order"):
            crash.do(f"{CLOSER}.share", ETH, SHORT, accounts, sender="keeper")


@pytest.mark.parametrize(
    ("number", "side", "reason"),
    [(ETH, 2, "no such side"), (ETH, LONG, "nobody gained"), (BTC, SHORT, "nobody gained")],
)
def test_only_who_gained(crash, number, side, reason):
    with reverts(f"deleveraging: {reason}"):
        crash.execute_pro_rata_deleveraging(side, "other", market=number)


def test_who_gained_nothing_has_no_part_and_a_cycle_ends(crash):
    with reverts("deleveraging: no lots to close"):
        crash.execute_pro_rata_deleveraging(SHORT, "long")
    crash.advance_cycle()
    with reverts("deleveraging: nobody gained"):
        crash.execute_pro_rata_deleveraging(SHORT, "other")
    # Somebody has lots that lose again.
    crash.deposit("taker", 50_000 * WAD)
    crash.do(f"{TRADING}.take", ETH, 500, sender="taker")
    crash.mark(ETH, 15 * WAD)
    crash.advance_cycle()
    crash.execute_pro_rata_deleveraging(SHORT, "other")
    # A fifth of 500 once more.
    assert crash.size("other") == -100


def test_no_more_than_a_position_has(crash):
    crash.deposit("friend", 50_000 * WAD)
    crash.deposit("other", 50_000 * WAD)
    crash.trade("other", "friend", 150)
    assert crash.execute_pro_rata_deleveraging(SHORT, "other") == 950 and crash.size("other") == 0


def test_without_a_mark_of_now_nothing_is_closed(crash):
    crash.advance_clock(61)
    with reverts("trading: no price to close at"):
        crash.execute_pro_rata_deleveraging(SHORT, "other")
