"""Forecasts of bad days against what was published of them: falls of prices, and the bad debt of one.

Laws are measured as `calibrate` does, in published bars that came before. A fall is forecast for each bar, in
the way of the back-test of days; bad debt for the day of 12 March 2020, on the fast engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from math import sqrt
from pathlib import Path
from typing import NamedTuple

import numpy as np

from backstop.simulation.scenario.deterministic_float import Floats, compute_natural_log
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
"""Paths of the day at its published prices, which differ in what lies between these."""

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
    """Bars whose falls are forecast: of a series, by the series before if there is one, and from which on."""

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


def reproduce(seed: int, books: int = BOOKS, paths: int = PATHS) -> Reproduction:
    """Forecast the published falls, and the bad debt of 12 March 2020 on books drawn from this seed on."""
    rows = [each for case in CASES for each in _compare_falls(case)]
    return Reproduction(
        "forecasts",
        "Forecasts of bad days",
        SOURCES,
        rows + _build_bad_debt_forecast_rows(seed, books, paths),
    )


# ------------------------------------------------------------------------ falls


def compute_bar_returns(series: str) -> Floats:
    """Return the moves from close to close of published bars, in logarithms; the first is from its open."""
    bars = load_series(series)
    moves: Floats = np.diff(
        compute_natural_log(np.array([bars[0][1], *(bar[4] for bar in bars)], dtype=np.float64))
    )
    return moves


def measure_seconds_per_bar(series: str) -> int:
    """Return how long a bar is, seconds; all bars of a series follow each other."""
    (found,) = {after[0] - before[0] for before, after in pairwise(load_series(series))}
    return found


def find_exceedances(known: Floats, moves: Floats, first: int, refit: int) -> dict[int, list[bool]]:
    """Tell by level, from the move `first` on, which falls were deeper than the forecast of their time.

    The law is fitted anew every `refit` moves, to what was known then and to the moves so far.
    """
    found: dict[int, list[bool]] = {level: [] for level in LEVELS}
    forecasts: Mapping[int, float] = {}
    for place in range(first, len(moves)):
        if (place - first) % refit == 0:
            forecasts = forecast_falls(np.concatenate([known, moves[:place]]), 1, "tails")
        for level in LEVELS:
            found[level].append(bool(moves[place] < forecasts[level]))
    return found


def find_most_hits_kupiec_accepts(bar_count: int, rate: Fraction) -> int:
    """Return the most bars that may exceed a forecast without Kupiec's test rejecting it."""
    return max(
        hits for hits in range(bar_count + 1) if kupiec_p(hits, bar_count, float(rate)) >= SIGNIFICANCE
    )


def _compare_falls(case: ForecastCase) -> list[FigureRow]:
    """Compare how many bars fell deeper than forecast, and how many were to; say what the test would miss."""
    moves = compute_bar_returns(case.series)
    known = compute_bar_returns(case.before) if case.before else np.empty(0)
    first = 0 if case.before else len(moves) // 2
    found, rows = find_exceedances(known, moves, first, HOUR // measure_seconds_per_bar(case.series)), []
    for level, bars in found.items():
        rate, count = Fraction(10_000 - level, 10_000), len(bars)
        expected, name = count * rate, f"{case.title}: of {count} bars, deeper than at {level // 100}%"
        bound = build_absolute_tolerance(find_most_hits_kupiec_accepts(count, rate) - expected)
        rows.append(build_row(name, expected, sum(bars), bound, places=2, source=case.source))
        power = round(100 * kupiec_power(count, float(rate)))
        rows.append(build_row("  chance that twice as many would have been noticed", power, unit="%"))
    return rows


# ----------------------------------------------------------------------- losses


def fit_student_model_fields(moves: Floats, step: int) -> dict[str, str]:
    """Return Student's t of moves as the fields of a scenario's model, as `calibrate` writes them."""
    tails = fit_student_t(moves[:, None], moves)
    yearly = tails.deviations[0] * sqrt(YEAR / step)
    fields = {f"{MODEL}.volatility": f"{100 * yearly:.4g}% a year"}
    if tails.degrees < 0.9 * MOST_DEGREES:
        fields[f"{MODEL}.degrees"] = str(int(tails.degrees))
    return fields


def compute_bad_debt_by_path(
    scenario_file: str, field_changes: Mapping[str, str], seed: int, path_count: int
) -> list[Fraction]:
    """Return the bad debt of each path of a scenario on one book, stablecoins."""
    day = load_with_changes(str(HERE / scenario_file), field_changes)
    (outcomes,) = PathRunner(path_count, seed, "fast").run_outcomes([day])
    return [Fraction(int(each), MICRO) for each in get_column(day, outcomes, "bad_debt")]


def _build_bad_debt_forecast_rows(seed: int, book_count: int, path_count: int) -> list[FigureRow]:
    """Forecast the bad debt of 12 March 2020 by the law of its calm hours, and by that of the whole day."""
    series = "eth-2020-03-12"
    moves, step = compute_bar_returns(series), measure_seconds_per_bar(series)
    laws = {"calm hours": moves[: CALM_HOURS * HOUR // step], "whole day": moves}
    seeds = range(seed, seed + book_count)

    def usual(file: str) -> Fraction:
        each = (compute_bad_debt_by_path(file, {}, seed, AS_IT_WAS) for seed in seeds)
        return compute_median([sum(found, Fraction()) / len(found) for found in each])

    up, down = usual("maker-2020-keepers-up.yaml"), usual("maker-2020.yaml")
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
        found = sorted(
            each
            for seed in seeds
            for each in compute_bad_debt_by_path("forecast.yaml", fields, seed, path_count)
        )

        def compute_share_above(least: Fraction | int, found: list[Fraction] = found) -> Fraction:
            return Fraction(100 * sum(each >= least for each in found), len(found))

        rows += [
            build_row(f"law of the {name}, keepers up: bad debt of one day in {one_in}",
                found[-(len(found) // one_in)], BAD_DEBT, HALF_AN_ORDER, unit="USD", source=4)
            for one_in in (20, 100)
        ]  # fmt: skip
        rows += [
            build_row(
                "  days with more than at the published prices, keepers up",
                compute_share_above(up),
                unit="%",
                places=2,
            ),
            build_row("  the same, keepers down", compute_share_above(down), unit="%", places=2),
            build_row(
                "  days with as much as was published", compute_share_above(BAD_DEBT), unit="%", places=2
            ),
        ]
    return rows
