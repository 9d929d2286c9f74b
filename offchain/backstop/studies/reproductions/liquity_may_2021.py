"""19 May 2021 on the model of Liquity v1: the effect of recovery mode, and our range around the report.

The book of troves is not published, so each figure is the median of ten drawn books, and its bound the range
over them. A second row has the range over one assumption at a time that is halved, doubled or replaced, too.
Two replacements contradict the published facts about the largest trove: shown, but no part of that range.
The arithmetic is that of Liquity's repository of 2025, not that of the contracts of 2021.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from operator import attrgetter
from statistics import median
from typing import Any, NamedTuple

from backstop.model.arithmetic import WAD
from backstop.studies.reproductions.figure_comparison import (
    FigureRow,
    Reproduction,
    build_range,
    build_row,
)
from backstop.studies.reproductions.liquity_v1_crash import (
    CrashAssumptions,
    CrashFigures,
    draw_crash_book,
    list_feed_reports,
    play_crash,
)
from backstop.studies.reproductions.published_tables import load_figures

NAME = "liquity-may-2021"
BOOKS = 10
SOURCES = (
    "liquity.org, 'How Liquity Handled its First Big Stress Test', 19 May 2021: 121 troves liquidated in"
    " normal mode and 189 in recovery mode, which began twice; 93.5 million LUSD of debt, all of it offset by"
    " the stability pool, for 48,668 ETH",
    "liquity.org, 'Liquity Newsletter - May 2021', 3 June 2021: all debt was made whole",
)
REMARKS = (
    "The book of troves is not public: each figure is the median of ten drawn books, and a range goes "
    "from the least to the most. The second row of a figure changes one assumption at a time, too.",
    "As assumed more is liquidated than was reported. Half the debt of other troves, or a system ratio "
    "of 272%, gives as little debt and ether as the report.",
    "The share of recovery mode is not determined: it depends on whether large troves happen to have "
    "low ratios.",
    "The rules are those of a model of Liquity v1, exact on vectors of its repository of 2025; no "
    "contract of this project runs.",
)
"""Assumptions that move the figures, and causes of differences."""
PUBLISHED = load_figures(NAME)
LOWEST_RATIO, HIGHEST_RATIO = 192 * WAD // 100, 272 * WAD // 100
"""System ratios before: that of 20 April, and the one from which 1,862 dollars bring no recovery mode."""
MIDDLE_RATIO = (LOWEST_RATIO + HIGHEST_RATIO) // 2
FIRST_PRICE = 3_375
"""Dollars, of which the largest trove's debt is computed to have the debt of others."""
LARGEST_COLLATERAL = int(PUBLISHED["largest_collateral"]) * WAD
ALL_DEBT = int(PUBLISHED["debt_20_april"]) * WAD
OTHER_DEBT = ALL_DEBT - LARGEST_COLLATERAL * FIRST_PRICE * WAD // MIDDLE_RATIO
AS_ASSUMED = CrashAssumptions(
    troves=int(PUBLISHED["troves_before"]),
    system_ratio=MIDDLE_RATIO,
    other_debt=OTHER_DEBT,
    largest_collateral=LARGEST_COLLATERAL,
    pool_share=int(PUBLISHED["deposited_20_april"]) * 100,
)
CHANGES: Mapping[str, Mapping[str, Any]] = {
    "system ratio 192%": {"system_ratio": LOWEST_RATIO},
    "system ratio 272%": {"system_ratio": HIGHEST_RATIO},
    "half the debt of others": {"other_debt": OTHER_DEBT // 2},
    "double the debt of others": {"other_debt": 2 * OTHER_DEBT},
    "many low ratios": {"ratio_spread": "low"},
    "ratios near the mean": {"ratio_spread": "near"},
    "others of equal size": {"are_sizes_equal": True},
    "no other owner reacts": {"reacting_share": 0},
    "every owner reacts": {"reacting_share": 10_000},
    "owners look twice as often": {"looking_interval": 1_800},
    "owners look half as often": {"looking_interval": 7_200},
    "half the deposits": {"pool_share": AS_ASSUMED.pool_share // 2},
    "feed reports half the move": {"feed_step": 25},
    "feed reports double the move": {"feed_step": 100},
}
CONTRADICTIONS: Mapping[str, Mapping[str, Any]] = {
    "the largest looks once an hour": {"is_largest_watchful": False},
    "no trove stands out": {"largest_collateral": 0, "other_debt": ALL_DEBT},
}
COMPARED = (
    ("troves liquidated", "liquidated", "liquidated", ""),
    ("in normal mode", "normal", "liquidated_normally", ""),
    ("in recovery mode", "recovery", "liquidated_in_recovery", ""),
    ("times that recovery mode began", "entries", "recoveries", ""),
    ("debt that the pool took over", "offset_debt", "offset_debt", "LUSD"),
    ("collateral that it received", "pool_collateral", "pool_collateral", "ETH"),
    ("debt spread over other troves", "spread_debt", "spread_debt", "LUSD"),
    ("bad debt", "bad_debt", "bad_debt", "LUSD"),
)
"""Title, field, published figure and unit."""
SHOWN = (
    ("depositors' result at the close", "pool_result", "LUSD"),
    ("troves closed at 110% or more", "above_least_ratio", ""),
    ("  collateral that their owners may claim", "surplus", "ETH"),
    ("  loss of their owners", "forfeited", "LUSD"),
)
SHOWN_WITHOUT_RECOVERY = (
    ("troves liquidated", "liquidated", ""),
    ("debt that the pool took over", "offset_debt", "LUSD"),
    ("collateral that it received", "pool_collateral", "ETH"),
    ("debt spread over other troves", "spread_debt", "LUSD"),
    ("bad debt", "bad_debt", "LUSD"),
    ("depositors' result at the close", "pool_result", "LUSD"),
)


class CrashPair(NamedTuple):
    """Figures of the day for one random set of troves, with and without recovery mode."""

    on: CrashFigures
    off: CrashFigures


def play_books(assumptions: CrashAssumptions, seeds: Sequence[int]) -> list[CrashPair]:
    """Simulate the day once per seed, with the troves that the seed draws.

    Return a pair of figures for each seed: with recovery mode and without.
    """
    pairs = []
    for seed in seeds:
        reports = list_feed_reports(seed, assumptions.feed_step)
        book = draw_crash_book(assumptions, reports[0].price, seed)
        pairs.append(
            CrashPair(
                *(play_crash(book, reports, assumptions, has_recovery_mode=has) for has in (True, False))
            )
        )
    return pairs


def reproduce_result(seed: int, books: int = BOOKS) -> Reproduction:
    """Simulate 19 May 2021 on the model of Liquity v1, and compare with the published outcome.

    Each changed assumption is run on the same `books` seeds.
    """
    seeds = range(seed, seed + books)
    as_assumed = play_books(AS_ASSUMED, seeds)
    changed = {name: play_books(replace(AS_ASSUMED, **change), seeds) for name, change in CHANGES.items()}
    contradicting = {
        name: play_books(replace(AS_ASSUMED, **change), seeds) for name, change in CONTRADICTIONS.items()
    }
    everything = [*as_assumed, *(pair for pairs in changed.values() for pair in pairs)]
    rows = _build_published_rows(as_assumed, everything) + _build_rows_without_recovery(as_assumed)
    for name, pairs in (changed | contradicting).items():
        rows += _build_changed_rows(name, pairs)
    return Reproduction(NAME, "Liquity, 19 May 2021", SOURCES, rows, REMARKS)


def _build_published_rows(
    as_assumed: Sequence[CrashPair], everything: Sequence[CrashPair]
) -> list[FigureRow]:
    """Return rows that compare medians with recovery mode with the published figures.

    The bound is the range over the base runs, and in a second row the range over all runs.
    """
    rows = []
    for title, field, known, unit in COMPARED:
        published, source = PUBLISHED[known], 2 if known == "bad_debt" else 1
        values, all_values = (
            [_convert_to_coins(getattr(pair.on, field), unit) for pair in pairs]
            for pairs in (as_assumed, everything)
        )
        for name, of in ((title, values), ("  with other assumptions", all_values)):
            rows.append(build_row(name, median(of), published, build_range(of), unit=unit, source=source))
    return rows + [
        _build_median_row(title, as_assumed, attrgetter(f"on.{field}"), unit) for title, field, unit in SHOWN
    ]


def _build_rows_without_recovery(pairs: Sequence[CrashPair]) -> list[FigureRow]:
    """Return rows with the figures of the same troves without recovery mode.

    The first row counts the troves that only recovery mode liquidated.
    """
    return [
        _build_median_row("troves that recovery mode alone closed", pairs, _count_added_closings),
        *(
            _build_median_row(
                f"without recovery mode: {title}",
                pairs,
                attrgetter(f"off.{field}"),
                unit,
            )
            for title, field, unit in SHOWN_WITHOUT_RECOVERY
        ),
    ]


def _build_changed_rows(name: str, pairs: Sequence[CrashPair]) -> list[FigureRow]:
    """Return the rows of one changed assumption, with its name."""
    return [
        _build_median_row(f"{name}: troves liquidated", pairs, attrgetter("on.liquidated")),
        _build_median_row("  in recovery mode", pairs, attrgetter("on.recovery")),
        _build_median_row("  that recovery mode alone closed", pairs, _count_added_closings),
        _build_median_row("  debt that the pool took over", pairs, attrgetter("on.offset_debt"), unit="LUSD"),
    ]


def _build_median_row(
    title: str, pairs: Sequence[CrashPair], pick: Callable[[CrashPair], int], unit: str = ""
) -> FigureRow:
    return build_row(title, median([_convert_to_coins(pick(each), unit) for each in pairs]), unit=unit)


def _count_added_closings(pair: CrashPair) -> int:
    """Return how many more troves are liquidated with recovery mode than without."""
    return pair.on.liquidated - pair.off.liquidated


def _convert_to_coins(value: int, unit: str) -> Fraction:
    """Convert an amount in wad to coins; return a plain number (no unit) unchanged."""
    return Fraction(value, WAD) if unit else Fraction(value)
