"""The back-test rejects by Kupiec's and Christoffersen's tests, and states the deviations it would miss."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import backstop
from backstop.errors import BackstopError
from backstop.simulation.sources.price_reader import PriceHistory
from backstop.studies.calibration import fall_forecast_backtest
from backstop.studies.calibration.fall_forecast_backtest import (
    christoffersen_p,
    christoffersen_power,
    forecast_falls,
    kupiec_p,
    kupiec_power,
    run_coverage_tests,
)

# Hits at which a law is not rejected at 5%, as Jorion's "Value at Risk" tabulates Kupiec's test.
KEPT = {(255, 0.01): (0, 6), (510, 0.01): (2, 10), (1_000, 0.01): (5, 16), (255, 0.05): (7, 20)}


@pytest.mark.parametrize(("days", "rate"), KEPT)
def test_kupiec_keeps_what_the_published_table_keeps(days, rate) -> None:
    kept = [hits for hits in range(60) if kupiec_p(hits, days, rate) >= 0.05]
    # The table leaves out that without any hit in 255 days the ratio is 5.1.
    assert (max(0, kept[0] - (days == 255 and rate == 0.01)), kept[-1]) == KEPT[days, rate]


@pytest.mark.deep(
    brief="tests/backstop/studies/calibration/test_backtest.py::test_kupiec_keeps_what_the_published_table_keeps"
)
def test_power_is_the_chance_to_reject() -> None:
    """By lot, as often as computed; a hundred days notice hardly anything at 99%."""
    random = np.random.default_rng(2)
    hits = random.binomial(250, 0.02, 4_000)
    found = np.mean([kupiec_p(int(each), 250, 0.01) < 0.05 for each in hits])
    assert kupiec_power(250, 0.01) == pytest.approx(found, abs=0.03)
    assert kupiec_power(100, 0.01) < 0.35 < 0.95 < kupiec_power(2_000, 0.01)
    assert kupiec_power(2_000, 0.01, 1) == pytest.approx(0.05, abs=0.02)


def test_christoffersen_sees_bad_days_together_and_not_apart() -> None:
    apart = [day % 20 == 0 for day in range(400)]
    together = [day % 200 < 10 for day in range(400)]
    assert sum(apart) == sum(together)
    assert christoffersen_p(together) < 1e-6 < 0.05 < christoffersen_p(apart)
    assert christoffersen_p([False] * 400) == 1
    assert christoffersen_power(250, 0.05) > christoffersen_power(60, 0.05)
    # Independent days: about as often as the level says, or less.
    random = np.random.default_rng(3).random((400, 300)) < 0.05
    assert np.mean(fall_forecast_backtest._compute_independence_p(random) < 0.05) < 0.12


def test_few_days_that_reject_nothing_tell_nothing() -> None:
    row = run_coverage_tests("ETH", {9_900: [False] * 99 + [True]})[0]
    assert row["verdict"] == "the data cannot tell" and float(str(row["kupiec_power"])) < 0.5
    row = run_coverage_tests("ETH", {9_900: [day % 20 == 0 for day in range(400)]})[0]
    assert row["verdict"] == "too many days exceed it"
    row = run_coverage_tests("ETH", {9_500: [False] * 400})[0]
    assert row["verdict"] == "too few days exceed it"
    row = run_coverage_tests("ETH", {9_500: [day % 20 == 0 for day in range(400)]})[0]
    assert row["verdict"] == "holds"


def test_forecasts_are_quantiles_of_the_law() -> None:
    random = np.random.default_rng(4)
    steady = 0.01 * random.standard_normal(6_000)
    for law in ("tails", "jumps"):
        found = forecast_falls(steady, 24, law)
        assert found[9_500] == pytest.approx(-1.645 * 0.01 * 24**0.5, rel=0.04)
        assert found[9_900] == pytest.approx(-2.326 * 0.01 * 24**0.5, rel=0.05)


def history(calm: float, then: float, days: int = 260) -> PriceHistory:
    """Return prices every four hours, with moves of one size in the first half and another in the second."""
    random = np.random.default_rng(6)
    moves = random.standard_normal(6 * days) * np.repeat([calm, then], 3 * days)
    prices = 2_000 * np.exp(np.cumsum(moves))
    times = 1_700_006_400 + 14_400 * np.arange(len(prices))
    return backstop.read_prices(pd.DataFrame({"time": times, "ETH": [f"{each:.6f}" for each in prices]}))


def book():
    frame = pd.DataFrame([("anna", "ETH", 100, 100_000)], columns=["owner", "collateral", "locked", "debt"])
    return backstop.read_book(frame)


def test_a_past_that_grew_wild_exceeds_its_forecasts() -> None:
    calm = backstop.back_test(book(), history(0.01, 0.01))
    assert set(calm["verdict"]) <= {"holds", "the data cannot tell"}
    wild = backstop.back_test(book(), history(0.01, 0.03))
    assert list(wild["verdict"]) == ["too many days exceed it"] * 2
    assert (wild["exceeded_days"] > 2 * wild["expected_days"]).all() and set(wild["days"]) == {130}


def test_a_short_history_is_refused() -> None:
    with pytest.raises(BackstopError, match=r"has 79 whole days, and a back-test needs 120"):
        backstop.back_test(book(), history(0.01, 0.01, 80))
