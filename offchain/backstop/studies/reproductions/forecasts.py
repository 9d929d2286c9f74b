"""Forecasts of bad days against published outcomes: price drops, and the bad debt of one day.

Laws are measured as `calibrate` does, in earlier published bars. A price drop is forecast for each bar, in
the way of the back-test of days, and once more with recent moves weighing more. Bad debt is forecast for 12
March 2020, on the fast engine, with idle owners and with reacting owners.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from math import sqrt
from pathlib import Path
from typing import NamedTuple

import numpy as np

from backstop.simulation.scenario import Scenario
from backstop.simulation.scenario.deterministic_float import Floats, compute_natural_log
from backstop.simulation.sources.default_owner_behavior import read_default_owner_behavior
from backstop.studies.calibration.fall_forecast_backtest import (
    LEVELS,
    SIGNIFICANCE,
    forecast_falls,
    kupiec_p,
    kupiec_power,
)
from backstop.studies.calibration.return_distributions import MOST_DEGREES, fit_student_t
from backstop.studies.calibration.scenario_calibration import YEAR
from backstop.studies.reproductions.black_thursday import BAD_DEBT, BOOKS, HALF_AN_ORDER, compute_median
from backstop.studies.reproductions.figure_comparison import (
    FigureRow,
    Reproduction,
    build_absolute_tolerance,
    build_row,
)
from backstop.studies.risk_questions.path_runner import PathRunner, get_column, load_with_changes
from backstop.studies.self_hedge.second_prices_from_bars import load_series

HOUR = 3_600
CALM_HOURS = 10
"""Hours of 12 March 2020 before the one in which ether fell by a seventh."""

PATHS = 1_000
AS_IT_WAS = 20
"""Paths of the day at its published prices; they differ only between these."""

DECAY = 0.94
"""Weight of the variance so far in that of the next bar, where recent moves weigh more.

RiskMetrics' for days (J.P. Morgan and Reuters, Technical Document, 1996), taken for bars as it is and not
fitted.
"""

RECENT, REACTING = "recent moves weigh more", "owners react"

MICRO = 10**6
HERE = Path(__file__).parent
MODEL = "prices.ETH.model"

SOURCES = (
    "BerkeleyBlockchain/stablesims at 29556c7, feeds/eth/03-12-2020.json: ten-minute bars of ether",
    "the same, feeds/eth/05-19-2021.json",
    "aaronwu2017/TheGlory at 929fd9c, analysis/etf/data/binance data: five-minute bars of bitcoin on 10 "
    "October 2025",
    "Whiterabbit, 'Black Thursday for MakerDAO', 14 March 2020: 5.67 million DAI lost",
)


class ForecastCase(NamedTuple):
    """Published series of price bars to forecast, and an earlier series that the fit may use too."""

    title: str
    series: str
    before: str
    source: int


CASES = (
    ForecastCase("ether, 12 March 2020", "eth-2020-03-12", "", 1),
    ForecastCase("ether, 19 May 2021", "eth-2021-05-19", "", 2),
    ForecastCase("the same, knowing 12 March 2020", "eth-2021-05-19", "eth-2020-03-12", 2),
    ForecastCase("bitcoin, 10 October 2025", "btc-2025-10-10", "", 3),
)


def reproduce_result(seed: int, books: int = BOOKS, paths: int = PATHS) -> Reproduction:
    """Compare forecasts of price drops, and of bad debt on 12 March 2020, with published outcomes.

    Bad debt is forecast on `books` random sets of vaults, with `paths` paths each.
    """
    falls = [each for case in CASES for each in _compare_falls(case)]
    seeds = range(seed, seed + books)
    still, reacting = (
        _forecast_bad_debt(seeds, paths, are_owners_reacting=reacts) for reacts in (False, True)
    )
    return Reproduction(
        "forecasts",
        "Forecasts of bad days",
        SOURCES,
        [
            *falls,
            *_interleave_rows(still, reacting, REACTING),
            _count_rows_within_bounds(
                "falls, one volatility", (row for row in falls if row.figure.strip() != RECENT)
            ),
            _count_rows_within_bounds(
                f"falls, {RECENT}", (row for row in falls if row.figure.strip() == RECENT)
            ),
            _count_rows_within_bounds("bad debt, owners stand still", still),
            _count_rows_within_bounds(f"bad debt, {REACTING}", reacting),
        ],
    )


def _interleave_rows(rows: Sequence[FigureRow], twins: Sequence[FigureRow], name: str) -> list[FigureRow]:
    """Return each row followed by its twin, which is renamed and indented by two more spaces."""
    found: list[FigureRow] = []
    for row, twin in zip(rows, twins, strict=True):
        indent = len(row.figure) - len(row.figure.lstrip()) + 2
        found += [row, replace(twin, figure=" " * indent + name)]
    return found


def _count_rows_within_bounds(name: str, rows: Iterable[FigureRow]) -> FigureRow:
    """Return a row that counts how many of the given rows agree within their bounds."""
    agreed = [row.agrees for row in rows if row.agrees is not None]
    return build_row(f"within bounds: {name}", sum(agreed), unit=f"of {len(agreed)}")


# ------------------------------------------------------------------------ falls


def compute_bar_returns(series: str) -> Floats:
    """Return the log returns of a series of bars from close to close.

    The first is from its open.
    """
    bars = load_series(series)
    moves: Floats = np.diff(
        compute_natural_log(np.array([bars[0][1], *(bar[4] for bar in bars)], dtype=np.float64))
    )
    return moves


def measure_seconds_per_bar(series: str) -> int:
    """Return the length of a series' bars [seconds]; all bars must have the same length."""
    (found,) = {after[0] - before[0] for before, after in pairwise(load_series(series))}
    return found


def estimate_recent_deviations(moves: Floats, opening_count: int, decay: float) -> Floats:
    """Return the expected deviation of each return, an exponentially weighted mean of past squares.

    The mean begins with the mean square of the first `opening_count` returns. The deviations of these returns
    therefore use later data.
    """
    variance = sum(float(each) * float(each) for each in moves[:opening_count]) / opening_count
    variances = np.empty(len(moves))
    for place, move in enumerate(moves):
        variances[place] = variance
        variance = decay * variance + (1 - decay) * float(move) * float(move)
    deviations: Floats = np.sqrt(variances)
    return deviations


def find_exceedances(
    known: Floats, moves: Floats, first: int, refit: int, decay: float | None = None
) -> dict[int, list[bool]]:
    """Return, by level, whether each return from index `first` on is below its forecast.

    The distribution is refitted every `refit` returns, to `known` and to the earlier returns. With `decay`,
    returns are divided by their expected deviation, which is estimated anew for each return.
    """
    found: dict[int, list[bool]] = {level: [] for level in LEVELS}
    forecasts: Mapping[int, float] = {}
    every = np.concatenate([known, moves])
    units = np.ones(len(every)) if decay is None else estimate_recent_deviations(every, refit, decay)
    for place in range(len(known) + first, len(every)):
        if (place - len(known) - first) % refit == 0:
            forecasts = forecast_falls(every[:place] / units[:place], 1, "tails")
        for level in LEVELS:
            found[level].append(bool(every[place] < forecasts[level] * units[place]))
    return found


def find_most_hits_kupiec_accepts(bar_count: int, rate: Fraction) -> int:
    """Return the largest number of exceedances among `bar_count` bars that Kupiec's test accepts."""
    return max(
        hits for hits in range(bar_count + 1) if kupiec_p(hits, bar_count, float(rate)) >= SIGNIFICANCE
    )


def _compare_falls(case: ForecastCase) -> list[FigureRow]:
    """Return rows that compare observed and expected exceedances of forecasts.

    The power of the test is given too.
    """
    moves = compute_bar_returns(case.series)
    known = compute_bar_returns(case.before) if case.before else np.empty(0)
    first = 0 if case.before else len(moves) // 2
    refit, rows = HOUR // measure_seconds_per_bar(case.series), []
    weighted = find_exceedances(known, moves, first, refit, DECAY)
    for level, bars in find_exceedances(known, moves, first, refit).items():
        rate, count = Fraction(10_000 - level, 10_000), len(bars)
        expected, name = count * rate, f"{case.title}: of {count} bars, deeper than at {level // 100}%"
        bound = build_absolute_tolerance(find_most_hits_kupiec_accepts(count, rate) - expected)
        rows += [
            build_row(title, expected, sum(exceeded), bound, places=2, source=case.source)
            for title, exceeded in ((name, bars), (f"  {RECENT}", weighted[level]))
        ]
        power = round(100 * kupiec_power(count, float(rate)))
        rows.append(build_row("  chance that twice as many would have been noticed", power, unit="%"))
    return rows


# ----------------------------------------------------------------------- losses


def fit_student_model_fields(moves: Floats, step: int) -> dict[str, str]:
    """Return the scenario fields of a price model with Student's t, fitted to log returns.

    `step` is the length of a bar [seconds]. The fields are those that `calibrate` writes.
    """
    tails = fit_student_t(moves[:, None], moves)
    yearly = tails.deviations[0] * sqrt(YEAR / step)
    fields = {f"{MODEL}.volatility": f"{100 * yearly:.4g}% a year"}
    if tails.degrees < 0.9 * MOST_DEGREES:
        fields[f"{MODEL}.degrees"] = str(int(tails.degrees))
    return fields


def add_default_owners(day: Scenario) -> Scenario:
    """Return the scenario with owners that follow the default behavior."""
    return replace(day, owners=read_default_owner_behavior(day.block_time))


def compute_bad_debt_by_path(
    scenario_file: str,
    field_changes: Mapping[str, str],
    seed: int,
    path_count: int,
    *,
    are_owners_reacting: bool = False,
) -> list[Fraction]:
    """Return the bad debt of each path of a scenario, for one set of vaults [stablecoins].

    `field_changes` has new texts for fields at dotted paths.
    """
    day = load_with_changes(str(HERE / scenario_file), field_changes)
    if are_owners_reacting:
        day = add_default_owners(day)
    (outcomes,) = PathRunner(path_count, seed, "fast").run_outcomes([day])
    return [Fraction(int(each), MICRO) for each in get_column(day, outcomes, "bad_debt")]


def _forecast_bad_debt(seeds: range, path_count: int, *, are_owners_reacting: bool) -> list[FigureRow]:
    """Return rows that compare forecasts of bad debt on 12 March 2020 with the published figure.

    One forecast uses the returns of the calm hours, another those of the whole day. The bad debt at the
    published prices is computed with the same behavior of owners.
    """
    series = "eth-2020-03-12"
    moves, step = compute_bar_returns(series), measure_seconds_per_bar(series)
    laws = {"calm hours": moves[: CALM_HOURS * HOUR // step], "whole day": moves}

    def run_books(file: str, fields: Mapping[str, str], count: int) -> list[list[Fraction]]:
        return [
            compute_bad_debt_by_path(file, fields, seed, count, are_owners_reacting=are_owners_reacting)
            for seed in seeds
        ]

    up, down = (
        compute_median([sum(found, Fraction()) / len(found) for found in run_books(file, {}, AS_IT_WAS)])
        for file in ("maker-2020-keepers-up.yaml", "maker-2020.yaml")
    )
    rows = [
        build_row("at the published prices, keepers up: bad debt", up, unit="USD"),
        build_row(
            "at the published prices, keepers down: bad debt",
            down,
            BAD_DEBT,
            HALF_AN_ORDER,
            unit="USD",
            source=4,
        ),
    ]
    for name, known in laws.items():
        fields = fit_student_model_fields(known, step)
        found = sorted(each for book in run_books("forecast.yaml", fields, path_count) for each in book)

        def compute_share_above(least: Fraction | int, found: list[Fraction] = found) -> Fraction:
            return Fraction(100 * sum(each >= least for each in found), len(found))

        rows += [
            build_row(f"law of the {name}, keepers up: bad debt of one day in {one_in}",
                found[-(len(found) // one_in)], BAD_DEBT, HALF_AN_ORDER, unit="USD", source=4)
            for one_in in (20, 100)
        ]  # fmt: skip
        rows += [
            build_row(f"  days with {least}", compute_share_above(amount), unit="%", places=2)
            for least, amount in (
                ("more than at the published prices, keepers up", up),
                ("more than at the published prices, keepers down", down),
                ("as much as was published", BAD_DEBT),
            )
        ]
    return rows
