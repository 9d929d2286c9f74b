"""Price drops of a law are those of its draws, and a history's interval holds the true drop."""

from __future__ import annotations

import csv
from math import expm1, log1p

import numpy as np
import pytest

import backstop
from backstop.studies.calibration.calibration_estimates import PriceFigures
from backstop.studies.calibration.fall_quantiles import (
    compare_fall_quantiles,
    compute_law_fall,
    estimate_fall_quantile,
)
from backstop.studies.calibration.fall_verdicts import (
    CANNOT_TELL,
    HOLDS,
    TOO_HARSH,
    TOO_MILD,
    choose_verdict,
)
from backstop.studies.calibration.jackknife import Figure
from backstop.studies.calibration.scenario_calibration import YEAR
from tests.support.checkout_paths import ROOT

SAMPLES = ROOT / "docs" / "how-to" / "samples"
HOUR = 3_600
DRAWN = 1_000_000


def figure(value: float) -> Figure:
    return Figure(value, None, None)


def price_of(volatility: float, **figures: float) -> PriceFigures:
    return PriceFigures(
        "ETH", "ETH", figure(volatility), **{name: figure(value) for name, value in figures.items()}
    )


@pytest.mark.parametrize("count", [1, 24])
@pytest.mark.parametrize("level", [100, 10])
def test_falls_of_normal_moves_are_known(count: int, level: int) -> None:
    deviation = 0.8 * (count * HOUR / YEAR) ** 0.5
    normal = {100: 2.3263478740, 10: 3.0902323062}[level]
    expected = -expm1(-normal * deviation)
    for price in (price_of(0.8), price_of(0.8, degrees=1e6)):
        assert compute_law_fall(price, HOUR, count, level) == pytest.approx(expected, rel=6e-4)


@pytest.mark.parametrize(("count", "rare"), [(1, 0.05), (24, 0.06)])
@pytest.mark.parametrize("degrees", [2.5, 4.0])
def test_falls_of_student_moves_are_those_that_are_drawn(count: int, rare: float, degrees: float) -> None:
    deviation = 0.8 * (HOUR / YEAR) ** 0.5
    dice = np.random.default_rng(1)
    sums = np.zeros(DRAWN)
    for _ in range(count):
        sums += dice.standard_t(degrees, DRAWN) * deviation * ((degrees - 2) / degrees) ** 0.5
    price = price_of(0.8, degrees=degrees)
    for level, within in ((100, 0.02), (10, rare)):
        expected = -expm1(float(np.quantile(sums, level / 10_000)))
        assert compute_law_fall(price, HOUR, count, level) == pytest.approx(expected, rel=within)


@pytest.mark.parametrize("count", [1, 24])
def test_falls_of_jumping_moves_are_those_that_are_drawn(count: int) -> None:
    every, mean, spread = 60 * HOUR, -0.06, 0.02
    deviation = 0.5 * (HOUR / YEAR) ** 0.5
    dice = np.random.default_rng(2)
    jumps = dice.binomial(count, -expm1(-HOUR / every), DRAWN)
    sums = dice.normal(0, deviation * count**0.5, DRAWN)
    sums += jumps * mean + np.sqrt(jumps) * spread * dice.standard_normal(DRAWN)
    price = price_of(0.5, every=every, mean=mean, deviation=spread)
    for level in (100, 10):
        expected = -expm1(float(np.quantile(sums, level / 10_000)))
        assert compute_law_fall(price, HOUR, count, level) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(("level", "count"), [(100, 700), (10, 8_000)])
def test_the_interval_of_a_history_holds_the_true_fall(level: int, count: int) -> None:
    """In 95 of 100 histories or more: the share of moves is a binomial count under any law."""
    dice, true = np.random.default_rng(3), -expm1(-{100: 2.3263478740, 10: 3.0902323062}[level])
    held = 0
    for _ in range(400):
        fall, low, high = estimate_fall_quantile(np.sort(dice.standard_normal(count)), level)
        assert fall is not None and low is not None and high is not None and low <= fall <= high
        held += low <= true <= high
    assert 376 <= held < 398


def test_few_moves_bound_one_end_or_know_nothing() -> None:
    assert estimate_fall_quantile(np.sort(np.arange(99.0)), 100) == (None, None, None)
    fall, low, high = estimate_fall_quantile(np.log1p(-np.arange(0.5, 0.0, -0.005)), 100)
    assert fall is not None and low is not None and high is None
    # Of 100 moves three at most are worse than the true fall, in 98 of 100 histories: the fourth bounds it.
    assert low == pytest.approx(0.5 - 0.005 * 3, rel=1e-3) and log1p(-fall) < log1p(-low)


@pytest.mark.parametrize(
    ("law", "low", "high", "expected"),
    [
        (0.05, 0.04, 0.06, HOLDS),
        (0.04, 0.04, None, HOLDS),
        (0.03, 0.04, None, TOO_MILD),
        (0.07, 0.04, 0.06, TOO_HARSH),
        (0.07, 0.04, None, HOLDS),
        (0.07, None, 0.06, TOO_HARSH),
        (0.05, None, None, CANNOT_TELL),
    ],
)
def test_a_verdict_is_of_the_ends_that_are_known(
    law: float, low: float | None, high: float | None, expected: str
) -> None:
    assert choose_verdict(law, low, high) == expected


def test_a_law_without_the_jumps_of_a_history_is_too_mild() -> None:
    """The sample's year has jumps: tails of single moves do not reach as far, and the page says so."""
    book = backstop.read_book(SAMPLES / "synthetic-aave.csv", like="aave")
    year = backstop.read_prices(SAMPLES / "synthetic-year.csv")
    verdicts = {}
    for law in ("jumps", "tails"):
        rows = compare_fall_quantiles(book, year, backstop.calibrate(book, year, law=law))
        assert len(rows) == 12 and set(rows["window_seconds"]) == {4 * HOUR, 24 * HOUR}
        known = rows[rows["seen_share"].notna()]
        assert len(known) == 9 and set(rows[rows["seen_share"].isna()]["verdict"]) == {CANNOT_TELL}
        verdicts[law] = set(known["verdict"])
    assert verdicts == {"jumps": {HOLDS}, "tails": {TOO_MILD}}


def test_falls_of_a_history_are_of_its_prices() -> None:
    """By hand: the price drops of days from close to close, sorted."""
    book = backstop.read_book(SAMPLES / "synthetic-aave.csv", like="aave")
    year = backstop.read_prices(SAMPLES / "synthetic-year.csv")
    rows = compare_fall_quantiles(book, year, backstop.calibrate(book, year))
    with (SAMPLES / "synthetic-year.csv").open() as file:
        closes = [float(row["WETH"]) for row in csv.DictReader(file)]
    moves = np.diff(np.log(closes))
    (found,) = rows[
        (rows["asset"] == "WETH") & (rows["window_seconds"] == 4 * HOUR) & (rows["level_bps"] == 100)
    ]["seen_share"]
    assert found == pytest.approx(-expm1(float(np.quantile(moves, 0.01))), rel=1e-3)
