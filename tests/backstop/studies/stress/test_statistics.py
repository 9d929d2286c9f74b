"""Estimates follow their definitions, and intervals hold the truth about as often as they claim."""

from __future__ import annotations

import numpy as np
import pytest

from backstop.studies.stress.path_statistics import (
    estimate_mean_with_interval,
    estimate_quantile,
    estimate_share,
    estimate_shortfall,
)

LONGER = pytest.mark.deep(
    brief="tests/backstop/studies/stress/test_statistics.py::test_the_interval_of_a_shortfall_holds_it"
)

TIMES = 100
LIGHT = pytest.mark.deep(
    brief="tests/backstop/studies/stress/test_statistics.py::test_the_interval_of_a_shortfall_holds_it"
)


def heavy(n: int, rng: np.random.Generator) -> np.ndarray:
    """Nothing on four paths of five, else a lognormal loss."""
    return np.where(rng.random(n) < 0.8, 0, np.exp(1.5 * rng.standard_normal(n)) * 1e6).astype(np.int64)


def light(n: int, rng: np.random.Generator) -> np.ndarray:
    return (rng.exponential(1e6, n)).astype(np.int64)


def held(estimate, draw, n: int, truth: float) -> float:
    """Return the share of samples with an interval that holds the truth."""
    rng = np.random.default_rng(7)
    found = [estimate(draw(n, rng)) for _ in range(TIMES)]
    return (
        sum((low is None or low <= truth) and (high is None or truth <= high) for _, low, high in found)
        / TIMES
    )


def test_the_quantile_is_an_order_statistic() -> None:
    sample = np.arange(1, 1_001)
    assert estimate_quantile(sample, 0.95).value == 950
    assert estimate_quantile(sample, 0.99).value == 990
    assert estimate_quantile(np.array([5]), 0.95).value == 5


def test_the_quantile_has_no_upper_bound_where_paths_are_few() -> None:
    assert estimate_quantile(np.arange(1, 101), 0.99).high is None
    low, high = estimate_quantile(np.arange(1, 1_001), 0.95)[1:]
    # Binomial(1,000, 0.95): 2.5% at 936, 97.5% at 963.
    assert (low, high) == (936, 964)


def test_the_shortfall_is_the_average_of_the_tail() -> None:
    assert estimate_shortfall(np.arange(1, 1_001), 0.99).value == pytest.approx(995.5)
    # 2.5 of 50 paths: two whole ones and half of the third.
    assert estimate_shortfall(np.arange(1, 51), 0.95).value == pytest.approx((50 + 49 + 48 / 2) / 2.5)


def test_without_losses_nothing_is_bounded() -> None:
    assert estimate_shortfall(np.zeros(100), 0.95) == (0, None, None)
    assert estimate_quantile(np.zeros(1_000), 0.95) == (0, 0, 0)


def test_equal_samples_have_equal_intervals() -> None:
    sample = heavy(2_000, np.random.default_rng(3))
    assert estimate_shortfall(sample, 0.95) == estimate_shortfall(sample[::-1].copy(), 0.95)


@pytest.mark.parametrize("draw", [heavy, light])
def test_the_interval_of_a_quantile_holds_it(draw) -> None:
    truth = float(np.quantile(draw(4_000_000, np.random.default_rng(1)), 0.95))
    assert held(lambda sample: estimate_quantile(sample, 0.95), draw, 1_000, truth) >= 0.92


@pytest.mark.parametrize("draw", [heavy, pytest.param(light, marks=LIGHT)])
@pytest.mark.parametrize(("n", "level"), [pytest.param(1_000, 0.95, marks=LONGER), (1_000, 0.99)])
def test_the_interval_of_a_shortfall_holds_it(draw, n, level) -> None:
    many = np.sort(draw(4_000_000, np.random.default_rng(1)))
    truth = float(many[int(len(many) * level) :].mean())
    assert held(lambda sample: estimate_shortfall(sample, level), draw, n, truth) >= 0.89


def test_the_interval_of_a_mean_and_a_share_hold_them() -> None:
    assert held(estimate_mean_with_interval, light, 500, 1e6) >= 0.92
    assert held(lambda sample: estimate_share(int((sample > 0).sum()), len(sample)), heavy, 500, 0.2) >= 0.92
    assert estimate_share(0, 100).low == 0 and estimate_share(0, 100).high == pytest.approx(0.037, abs=1e-3)
