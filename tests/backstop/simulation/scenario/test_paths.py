"""Price paths: exact through the points, the same for one seed, never outside the points' bounds."""

from __future__ import annotations

from itertools import pairwise

import pytest

from backstop.model.arithmetic import RAY
from backstop.simulation.scenario import price_path

POINTS = {0: 200 * RAY, 3_600: 150 * RAY, 4_800: 100 * RAY, 7_200: 130 * RAY}


def path(seed: int, volatility: int = 300) -> list[int]:
    return price_path(POINTS, volatility, seed, "ETH", 7_200, 60)


@pytest.mark.parametrize("seed", range(20))
def test_passes_through_the_points_and_keeps_the_low(seed: int) -> None:
    prices = path(seed)
    assert len(prices) == 121
    assert all(prices[at // 60] == value for at, value in POINTS.items())
    assert min(prices) == 100 * RAY
    assert max(prices) == 200 * RAY


def test_seeds() -> None:
    assert path(1) == path(1) != path(2)


def test_no_volatility_is_a_straight_line() -> None:
    prices = path(1, volatility=0)
    for i in range(60):
        expected = 200 * RAY - 50 * RAY * i // 60
        assert abs(prices[i] - expected) <= 10  # one rounding for each halving


def test_the_bridge_is_as_rough_as_asked() -> None:
    # 3% for the square root of an hour is about 0.39% a minute.
    moves = [abs(b - a) * 10_000 // a for seed in range(30) for a, b in pairwise(path(seed)[:60])]
    assert 20 < sum(moves) / len(moves) < 60
