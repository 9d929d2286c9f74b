"""Moves of known laws, and how often calibrated intervals hold what they were drawn by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import sqrt

import numpy as np

from backstop.simulation.sources.depth_reader import BILLIONTH, MICRO, DepthQuote, DepthQuotes
from backstop.studies.calibration.correlation import measure_correlation
from backstop.studies.calibration.jackknife import Figure
from backstop.studies.calibration.log_returns import LogReturns
from backstop.studies.calibration.market_depth import measure_market
from backstop.studies.calibration.scenario_calibration import YEAR, _estimate_group_price_figures

HOUR = 3_600
YEARLY = sqrt(YEAR / HOUR)
VOLATILITY = 0.7
A_MOVE = VOLATILITY / YEARLY

Truth = Mapping[str, float]
Trial = tuple[Mapping[str, Figure | None], Truth]


def build_hourly_log_returns_from_columns(*columns: np.ndarray) -> LogReturns:
    """Moves of an hour of assets called A, B ..."""
    table = np.stack(columns, axis=1)
    return LogReturns(tuple("ABCD"[: len(columns)]), HOUR, table, tuple(range(len(table))), 0)


def draw_student(rng: np.random.Generator, sample_size: int, degrees: float = 5) -> np.ndarray:
    return A_MOVE * rng.standard_t(degrees, sample_size) * sqrt((degrees - 2) / degrees)


def compare_normal_fit_to_truth(sample_size: int, rng: np.random.Generator) -> Trial:
    (found,) = _estimate_group_price_figures(
        build_hourly_log_returns_from_columns(A_MOVE * rng.standard_normal(sample_size)), ["A"], "tails"
    )
    return {"volatility": found.volatility}, {"volatility": VOLATILITY}


def compare_student_fit_to_truth(sample_size: int, rng: np.random.Generator) -> Trial:
    (found,) = _estimate_group_price_figures(
        build_hourly_log_returns_from_columns(draw_student(rng, sample_size)), ["A"], "tails"
    )
    return {"volatility": found.volatility, "degrees": found.degrees}, {
        "volatility": VOLATILITY,
        "degrees": 5,
    }


def fit_merton(sample_size: int, rng: np.random.Generator) -> Trial:
    chance, mean, deviation = 0.01, -0.02, 0.03
    jumped = rng.random(sample_size) < chance
    column = A_MOVE * rng.standard_normal(sample_size) + jumped * (
        mean + deviation * rng.standard_normal(sample_size)
    )
    (found,) = _estimate_group_price_figures(build_hourly_log_returns_from_columns(column), ["A"], "jumps")
    truth = {"volatility": VOLATILITY, "every": -HOUR / np.log1p(-chance), "mean": mean}
    return {name: getattr(found, name) for name in (*truth, "deviation")}, truth | {"deviation": deviation}


def fit_common_jumps(sample_size: int, rng: np.random.Generator) -> Trial:
    """Two prices that jump at the same times; of the second."""
    chance, mean, deviation = 0.01, -0.02, 0.03
    jumped, size = rng.random(sample_size) < chance, rng.standard_normal(sample_size)
    one, other = rng.standard_normal((2, sample_size))
    other = 0.8 * one + 0.6 * other
    columns = [A_MOVE * each + jumped * (mean + deviation * size) for each in (one, other)]
    _, found = _estimate_group_price_figures(
        build_hourly_log_returns_from_columns(*columns), ["A", "B"], "jumps"
    )
    truth = {"volatility": VOLATILITY, "every": -HOUR / np.log1p(-chance), "mean": mean}
    return {name: getattr(found, name) for name in (*truth, "deviation")}, truth | {"deviation": deviation}


def measure_garch_volatility(sample_size: int, rng: np.random.Generator) -> Trial:
    """GARCH(1,1): moves that are on their own in direction, not in size."""
    alpha, beta, variance = 0.05, 0.90, A_MOVE**2
    column, shocks = np.empty(sample_size), rng.standard_normal(sample_size)
    for i in range(sample_size):
        column[i] = sqrt(variance) * shocks[i]
        variance = (1 - alpha - beta) * A_MOVE**2 + alpha * column[i] ** 2 + beta * variance
    (found,) = _estimate_group_price_figures(build_hourly_log_returns_from_columns(column), ["A"], "tails")
    return {"volatility": found.volatility}, {"volatility": VOLATILITY}


def fit_normal_pair(sample_size: int, rng: np.random.Generator) -> Trial:
    """Normal moves: the correlation in crashes is the usual one."""
    one, other = rng.standard_normal((2, sample_size))
    both = build_hourly_log_returns_from_columns(one, 0.6 * one + 0.8 * other)
    days = both.aggregate_days()
    found = measure_correlation(
        (both.get_returns("A"), both.get_returns("B")), (days.get_returns("A"), days.get_returns("B"))
    )
    return {"usual": found.usual, "in crashes": found.crash}, {"usual": 0.6, "in crashes": 0.6}


def estimate_student_correlation_and_truth(sample_size: int, rng: np.random.Generator) -> Trial:
    """Student's moves with common bad moments: usually as if normal."""
    mixing = np.sqrt(rng.chisquare(4, sample_size) / 4)
    one, other = rng.standard_normal((2, sample_size))
    both = build_hourly_log_returns_from_columns(one / mixing, (0.6 * one + 0.8 * other) / mixing)
    found = measure_correlation(
        (both.get_returns("A"), both.get_returns("B")), (both.get_returns("A"), both.get_returns("B"))
    )
    return {"usual": found.usual}, {"usual": 0.6}


def compare_depth_recovery_to_truth(sample_size: int, rng: np.random.Generator) -> Trial:
    """Depths of two venues that recover: 100 snapshots, quotes of three sizes that are off by a twentieth."""
    step, recovery, mean = 600, 3_600.0, 10e6
    kept, gap, quotes = np.exp(-step / recovery), 0.0, []
    for i in range(max(60, sample_size // 40)):
        gap = kept * gap + 0.2 * rng.standard_normal()
        for venue, part in (("one", 0.7), ("other", 0.3)):
            depth = part * mean * np.exp(gap)
            for size in (50_000, 200_000, 800_000):
                left = (1 - 0.003) * depth / (depth + size)
                impact = (1 - left) * (1 + 0.02 * rng.standard_normal())
                quotes.append(DepthQuote("A", venue, i * step, size * MICRO, round(impact * BILLIONTH)))
    found = measure_market(DepthQuotes("depths", tuple(quotes)), "A")
    return {"recovery": found.recovery}, {"recovery": recovery}


def fit_still_depth(sample_size: int, rng: np.random.Generator) -> Trial:
    """Quotes of one depth that are off by a little."""
    quotes = []
    for venue, depth in (("one", 7e6), ("other", 3e6)):
        for size in np.linspace(50_000, 800_000, 24):
            left = (1 - 0.003) * depth / (depth + size)
            impact = (1 - left) * (1 + 0.05 * rng.standard_normal())
            quotes.append(DepthQuote("A", venue, 0, round(size * MICRO), round(impact * BILLIONTH)))
    found = measure_market(DepthQuotes("depths", tuple(quotes)), "A")
    return {"depth": found.depth, "fee": found.fee}, {"depth": 10e6, "fee": 0.003}


def count_interval_hits(
    trial: Callable[[int, np.random.Generator], Trial], sample_size: int, times: int
) -> dict[str, tuple[int, int]]:
    """Count for each figure in how many trials its interval held the truth, and in how many it had one."""
    rng, found = np.random.default_rng(11), dict[str, tuple[int, int]]()
    for _ in range(times):
        figures, truth = trial(sample_size, rng)
        for name, figure in figures.items():
            within, of = found.get(name, (0, 0))
            if figure is not None and (figure.low is not None or figure.high is not None):
                low = -np.inf if figure.low is None else figure.low
                high = np.inf if figure.high is None else figure.high
                within, of = within + bool(low <= truth[name] <= high), of + 1
            found[name] = within, of
    return found
