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

from backstop.simulation.scenario.portable import Floats, log
from backstop.studies.calibration.backtest import LEVELS, SIGNIFICANCE, forecast, kupiec_p, kupiec_power
from backstop.studies.calibration.calibrate import YEAR
from backstop.studies.calibration.laws import MOST_DEGREES, tails_of
from backstop.studies.questions.setup import Runner, column, loaded
from backstop.studies.reproductions.black_thursday import BAD_DEBT, BOOKS, HALF_AN_ORDER, median
from backstop.studies.reproductions.table import Reproduction, Row, by, row
from backstop.studies.straddle.paths import rows_of

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


class Case(NamedTuple):
    """Bars whose falls are forecast: of a series, by the series before if there is one, and from which on."""

    title: str
    series: str
    before: str
    source: int


CASES = (
    Case("ether, 12 March 2020", "eth-2020-03-12", "", 1),
    Case("ether, 19 May 2021", "eth-2021-05-19", "", 2),
    Case("the same, knowing 12 March 2020", "eth-2021-05-19", "eth-2020-03-12", 2),
    Case("bitcoin, 10 October 2025", "btc-2025-10-10", "", 3),
)


def reproduce(seed: int, books: int = BOOKS, paths: int = PATHS) -> Reproduction:
    """Forecast the published falls, and the bad debt of 12 March 2020 on books drawn from this seed on."""
    rows = [each for case in CASES for each in _falls(case)]
    return Reproduction("forecasts", "Forecasts of bad days", SOURCES, rows + _losses(seed, books, paths))


# ------------------------------------------------------------------------ falls


def moves_of(series: str) -> Floats:
    """Return the moves from close to close of published bars, in logarithms; the first is from its open."""
    bars = rows_of(series)
    moves: Floats = np.diff(log(np.array([bars[0][1], *(bar[4] for bar in bars)], dtype=np.float64)))
    return moves


def spacing_of(series: str) -> int:
    """Return how long a bar is, seconds; all bars of a series follow each other."""
    (found,) = {after[0] - before[0] for before, after in pairwise(rows_of(series))}
    return found


def exceeded(known: Floats, moves: Floats, first: int, refit: int) -> dict[int, list[bool]]:
    """Tell by level, from the move `first` on, which falls were deeper than the forecast of their time.

    The law is fitted anew every `refit` moves, to what was known then and to the moves so far.
    """
    found: dict[int, list[bool]] = {level: [] for level in LEVELS}
    forecasts: Mapping[int, float] = {}
    for place in range(first, len(moves)):
        if (place - first) % refit == 0:
            forecasts = forecast(np.concatenate([known, moves[:place]]), 1, "tails")
        for level in LEVELS:
            found[level].append(bool(moves[place] < forecasts[level]))
    return found


def most_kept(count: int, rate: Fraction) -> int:
    """Return the most bars that may exceed a forecast without Kupiec's test rejecting it."""
    return max(hits for hits in range(count + 1) if kupiec_p(hits, count, float(rate)) >= SIGNIFICANCE)


def _falls(case: Case) -> list[Row]:
    """Compare how many bars fell deeper than forecast, and how many were to; say what the test would miss."""
    moves = moves_of(case.series)
    known = moves_of(case.before) if case.before else np.empty(0)
    first = 0 if case.before else len(moves) // 2
    found, rows = exceeded(known, moves, first, HOUR // spacing_of(case.series)), []
    for level, bars in found.items():
        rate, count = Fraction(10_000 - level, 10_000), len(bars)
        expected, name = count * rate, f"{case.title}: of {count} bars, deeper than at {level // 100}%"
        bound = by(most_kept(count, rate) - expected)
        rows.append(row(name, expected, sum(bars), bound, places=2, source=case.source))
        power = round(100 * kupiec_power(count, float(rate)))
        rows.append(row("  chance that twice as many would have been noticed", power, unit="%"))
    return rows


# ----------------------------------------------------------------------- losses


def law_of(moves: Floats, step: int) -> dict[str, str]:
    """Return Student's t of moves as the fields of a scenario's model, as `calibrate` writes them."""
    tails = tails_of(moves[:, None], moves)
    yearly = tails.deviations[0] * sqrt(YEAR / step)
    fields = {f"{MODEL}.volatility": f"{100 * yearly:.4g}% a year"}
    if tails.degrees < 0.9 * MOST_DEGREES:
        fields[f"{MODEL}.degrees"] = str(int(tails.degrees))
    return fields


def bad_debt(file: str, fields: Mapping[str, str], seed: int, paths: int) -> list[Fraction]:
    """Return the bad debt of each path of a scenario on one book, stablecoins."""
    day = loaded(str(HERE / file), fields)
    (outcomes,) = Runner(paths, seed, "fast").outcomes([day])
    return [Fraction(int(each), MICRO) for each in column(day, outcomes, "bad_debt")]


def _losses(seed: int, books: int, paths: int) -> list[Row]:
    """Forecast the bad debt of 12 March 2020 by the law of its calm hours, and by that of the whole day."""
    series = "eth-2020-03-12"
    moves, step = moves_of(series), spacing_of(series)
    laws = {"calm hours": moves[: CALM_HOURS * HOUR // step], "whole day": moves}
    seeds = range(seed, seed + books)

    def usual(file: str) -> Fraction:
        each = (bad_debt(file, {}, seed, AS_IT_WAS) for seed in seeds)
        return median([sum(found, Fraction()) / len(found) for found in each])

    up, down = usual("maker-2020-keepers-up.yaml"), usual("maker-2020.yaml")
    rows = [
        row("at the published prices, keepers up: bad debt", up, unit="USD"),
        row(
            "at the published prices, keepers down: bad debt",
            down,
            BAD_DEBT,
            HALF_AN_ORDER,
            unit="USD",
            source=4,
        ),
    ]
    for name, known in laws.items():
        fields = law_of(known, step)
        found = sorted(each for seed in seeds for each in bad_debt("forecast.yaml", fields, seed, paths))

        def beyond(least: Fraction | int, found: list[Fraction] = found) -> Fraction:
            return Fraction(100 * sum(each >= least for each in found), len(found))

        rows += [
            row(f"law of the {name}, keepers up: bad debt of one day in {one_in}",
                found[-(len(found) // one_in)], BAD_DEBT, HALF_AN_ORDER, unit="USD", source=4)
            for one_in in (20, 100)
        ]  # fmt: skip
        rows += [
            row("  days with more than at the published prices, keepers up", beyond(up), unit="%", places=2),
            row("  the same, keepers down", beyond(down), unit="%", places=2),
            row("  days with as much as was published", beyond(BAD_DEBT), unit="%", places=2),
        ]
    return rows
