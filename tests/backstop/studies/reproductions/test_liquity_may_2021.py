"""19 May 2021 on Liquity v1: books are as assumed, small days as worked out by hand, the page as printed."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from backstop.model.arithmetic import WAD
from backstop.studies.reproductions import liquity_may_2021
from backstop.studies.reproductions.liquity_may_2021 import AS_ASSUMED
from backstop.studies.reproductions.liquity_v1_crash import (
    HEARTBEAT,
    LARGEST,
    CrashFigures,
    DrawnTrove,
    Report,
    draw_crash_book,
    list_feed_reports,
    play_crash,
)
from tests.support.reproduction_pages import is_table_on_page

BRIEF = (
    "tests/backstop/studies/reproductions/test_liquity_may_2021.py::"
    "test_a_day_with_and_without_recovery_mode_by_hand"
)
PRICE = 3_375 * WAD
NO_OWNERS = replace(AS_ASSUMED, largest_collateral=0, pool_share=5_000)


@pytest.mark.deep(brief=BRIEF)
def test_the_page_says_what_is_printed() -> None:
    found = liquity_may_2021.reproduce_result(1)
    assert is_table_on_page(found)
    assert (found.agreed_count, found.compared_count) == (13, 16)


def test_what_is_assumed_comes_from_what_is_published() -> None:
    """2.3 billion for 1.2 on 20 April; 150% at the day's lowest price are 272% at its first."""
    published = liquity_may_2021.PUBLISHED
    ratio = published["collateral_20_april"] * 100 / published["debt_20_april"]
    assert round(ratio) * WAD // 100 == liquity_may_2021.LOWEST_RATIO
    reports = list_feed_reports(1, AS_ASSUMED.feed_step)
    lowest = min(report.price for report in reports)
    assert round(150 * reports[0].price / lowest) * WAD // 100 == liquity_may_2021.HIGHEST_RATIO
    assert published["liquidated_normally"] + published["liquidated_in_recovery"] == published["liquidated"]


def test_the_feed_reports_each_move_and_one_price_an_hour() -> None:
    reports = list_feed_reports(1, 50)
    assert (reports[0].at, reports[0].price) == (0, 337569 * WAD // 100)
    for before, after in pairwise(reports):
        moved = abs(after.price - before.price) * 10_000 >= 50 * before.price
        assert moved or after.at - before.at == HEARTBEAT
    assert len(list_feed_reports(1, 100)) < len(reports)


@pytest.mark.parametrize(
    "change", [{}, {"ratio_spread": "low"}, {"ratio_spread": "near"}, {"are_sizes_equal": True}]
)
def test_a_book_has_the_assumed_size_and_system_ratio(change: dict[str, Any]) -> None:
    assumptions = replace(AS_ASSUMED, **change)
    book = draw_crash_book(assumptions, PRICE, 3)
    assert book == draw_crash_book(assumptions, PRICE, 3) != draw_crash_book(assumptions, PRICE, 4)
    assert (len(book), book[-1].owner, book[-1].collateral) == (1_054, LARGEST, 606_000 * WAD)
    others = book[:-1]
    debt = sum(each.debt for each in others)
    assert 0 <= assumptions.other_debt - debt < 1_054
    ratio = sum(each.collateral for each in others) * PRICE // debt
    assert abs(ratio - assumptions.system_ratio) < WAD // 10**12
    assert all(each.collateral * PRICE >= each.debt * 11 * WAD // 10 for each in others)
    assert 450 < sum(each.is_reacting for each in others) < 600


def test_a_tenth_of_even_books_lies_in_a_tenth_of_the_distance() -> None:
    low, even, near = (
        sum(
            10 * (each.collateral * PRICE - each.debt * 11 * WAD // 10) < each.debt * 122 * WAD // 100
            for each in draw_crash_book(
                replace(AS_ASSUMED, ratio_spread=spread, are_sizes_equal=True), PRICE, 1
            )
        )
        for spread in ("low", "even", "near")
    )
    assert low > 150 > even > 30 > near == 0


def play_by_hand(has_recovery_mode: bool) -> CrashFigures:
    """145.8% in all at 100 with a trove at 120%; at 90, 135.9% with it gone, or 131.3% with it at 108%."""
    book = [
        DrawnTrove("W", 151 * WAD, 10_000 * WAD, False),
        DrawnTrove("T", 24 * WAD, 2_000 * WAD, False),
    ]
    reports = [Report(0, 300 * WAD), Report(60, 100 * WAD), Report(120, 90 * WAD)]
    return play_crash(book, reports, NO_OWNERS, has_recovery_mode=has_recovery_mode)


def test_a_day_with_and_without_recovery_mode_by_hand() -> None:
    """22 of 24 are taken at 100 with it, 24 at 90 without; 0.5% of that goes to the keeper."""
    assert play_by_hand(True) == CrashFigures(
        **{"normal": 0, "recovery": 1, "above_least_ratio": 1, "entries": 2, "offset_debt": 2_000 * WAD},
        **{"pool_collateral": 21_890 * 10**15, "spread_debt": 0, "surplus": 2 * WAD},
        **{"forfeited": 200 * WAD, "bad_debt": 0, "pool_result": -29_900 * 10**15},
    )
    assert play_by_hand(False) == CrashFigures(
        **{"normal": 1, "recovery": 0, "above_least_ratio": 0, "entries": 0, "offset_debt": 2_000 * WAD},
        **{"pool_collateral": 23_880 * 10**15, "spread_debt": 0, "surplus": 0},
        **{"forfeited": 0, "bad_debt": 0, "pool_result": 149_200 * 10**15},
    )


def test_bad_debt_is_what_collateral_does_not_pay() -> None:
    """At 50 are 7,550 left for 10,000, and 1,200 for 2,000, of which the keeper has 6.

    Without recovery mode the pool bears the latter, with it the only other trove.
    """
    book = [DrawnTrove("W", 151 * WAD, 10_000 * WAD, False), DrawnTrove("T", 24 * WAD, 2_000 * WAD, False)]
    reports = [Report(0, 300 * WAD), Report(60, 50 * WAD)]
    found = play_crash(book, reports, NO_OWNERS, has_recovery_mode=False)
    assert (found.bad_debt, found.spread_debt) == (3_256 * WAD, 0)
    found = play_crash(book, reports, NO_OWNERS)
    assert (found.spread_debt, found.offset_debt) == (2_000 * WAD, 0)
    assert 0 <= found.bad_debt - 3_256 * WAD < 10_000  # the rounding of the division by stakes


def test_owners_who_react_come_back_to_150_percent_when_they_look() -> None:
    """At 120% after an hour: 6 more make it 150%, and at 85 127.5%; without a reaction it has 102%."""
    books = [
        [DrawnTrove("W", 900 * WAD, 10_000 * WAD, False), DrawnTrove("T", 24 * WAD, 2_000 * WAD, reacts)]
        for reacts in (True, False)
    ]
    reports = [Report(0, 300 * WAD), Report(3_600, 100 * WAD), Report(3_700, 85 * WAD)]
    reacting, still = (play_crash(book, reports, NO_OWNERS) for book in books)
    assert (reacting.liquidated, still.liquidated) == (0, 1)
    reports[1] = Report(3_599, 100 * WAD)
    assert play_crash(books[0], reports, NO_OWNERS).liquidated == 1


def test_a_watchful_largest_is_never_closed_and_others_still_are() -> None:
    """At 45 it would be at 135%; it comes back to 150%, and the other, at 54%, is spread over it."""
    book = [
        DrawnTrove("T", 24 * WAD, 2_000 * WAD, False),
        DrawnTrove(LARGEST, 300 * WAD, 10_000 * WAD, True),
    ]
    reports = [Report(0, 100 * WAD), Report(60, 45 * WAD)]
    found = play_crash(book, reports, replace(NO_OWNERS, pool_share=10_000))
    assert (found.recovery, found.spread_debt) == (1, 2_000 * WAD)
    # 150% of 10,000 and the other trove's remainder are worth more than the debt.
    assert found.bad_debt == 0


def test_recovery_mode_closes_troves_of_the_drawn_day() -> None:
    (pair,) = liquity_may_2021.play_books(AS_ASSUMED, [1])
    assert pair.on.recovery > 0 == pair.off.recovery
    assert pair.on.liquidated >= pair.off.liquidated > 100
    assert pair.on.spread_debt == pair.on.bad_debt == pair.off.bad_debt == 0
