"""Differences between two settings on the same paths, with intervals, and their verdicts.

Both settings have the same draws (common random numbers), so that each path is its own control. Intervals are
a studentised bootstrap, calibrated on known laws, which draws the same paths for both; its seed is fixed.
"""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from backstop.studies.stress.path_statistics import LEAST_TAIL, Estimate, Sample

RESAMPLES = 800
NOMINAL = 0.98
"""Share of resamples that an interval spans.

A sample of a heavy law mostly lacks what is far out, and with it the spread, so that of intervals that span
CONFIDENCE too few hold the difference. How many do tests/backstop/studies/stress/test_paired.py
counts.
"""
CANNOT_TELL = "the data cannot tell"
SAME = "changes nothing"

_SEED = 1
_CELLS = 1_000_000
_ROUND = 1e-9

Weights = npt.NDArray[np.float64]


class Difference(NamedTuple):
    """A figure's current and proposed value, the difference with its interval, and the verdict."""

    now: float
    proposed: float
    change: Estimate
    verdict: str


def compare_paired(now: Sample, proposed: Sample, level: float | None = None) -> Difference:
    """Compare averages, or expected shortfalls at a level, of the same paths under two settings.

    With fewer than ten paths that differ (and count) nothing is bounded: then the data cannot tell.
    """
    both = np.stack([now, proposed]).astype(np.float64)
    n = both.shape[1]
    once = np.ones((1, n))
    (value,), (error,) = _compute_differences_and_errors(both, once, level)
    figures = tuple(float(_compute_figure_by_resample(each, once, level)[0]) for each in both)
    if np.array_equal(now, proposed):
        return Difference(figures[0], figures[1], Estimate(0.0, 0.0, 0.0), SAME)
    if _count_differing_tail_paths(both, level) < LEAST_TAIL:
        return Difference(figures[0], figures[1], Estimate(float(value), None, None), CANNOT_TELL)
    if error == 0:  # the same on every path
        found = Estimate(float(value), float(value), float(value))
        return Difference(figures[0], figures[1], found, choose_change_verdict(found))
    random, pulls = np.random.default_rng(_SEED), []
    at_once = max(1, _CELLS // n)
    for first in range(0, RESAMPLES, at_once):
        counts = random.multinomial(n, np.full(n, 1 / n), min(at_once, RESAMPLES - first)).astype(np.float64)
        values, errors = _compute_differences_and_errors(both, counts, level)
        kept = errors > 0
        pulls.append((values[kept] - value) / errors[kept])
    ordered = np.sort(np.concatenate(pulls))
    outside = int(len(ordered) * (1 - NOMINAL) / 2)
    low, high = value - ordered[len(ordered) - 1 - outside] * error, value - ordered[outside] * error
    found = Estimate(float(value), float(low), float(high))
    return Difference(figures[0], figures[1], found, choose_change_verdict(found))


def choose_change_verdict(change_estimate: Estimate) -> str:
    """Return the verdict of an interval: the figure rises, falls, or neither is shown."""
    if (
        change_estimate.low is None
        or change_estimate.high is None
        or change_estimate.low <= 0 <= change_estimate.high
    ):
        return CANNOT_TELL
    return "raises it" if change_estimate.low > 0 else "lowers it"


def _count_differing_tail_paths(both: Weights, level: float | None) -> int:
    """Count the paths that differ and are in the tail of either setting, where there is one."""
    differ = both[0] != both[1]
    if level is not None:
        tail = ceil(round(both.shape[1] * (1 - level), 9))
        differ &= np.any([each >= np.sort(each)[-tail] for each in both], axis=0)
    return int(np.sum(differ))


def _compute_differences_and_errors(
    outcome_pairs: Weights, resample_counts: Weights, level: float | None
) -> tuple[Weights, Weights]:
    """Return for each row of counts the difference and its error."""
    n = outcome_pairs.shape[1]
    apart = _compute_path_contributions(
        outcome_pairs[1], resample_counts, level
    ) - _compute_path_contributions(outcome_pairs[0], resample_counts, level)
    value = np.sum(resample_counts * apart, axis=1) / n
    spread = np.sum(resample_counts * apart * apart, axis=1) / n - value * value
    # What rounding leaves of a spread that is none.
    spread[spread < _ROUND * value * value] = 0
    return value, np.sqrt(np.maximum(spread, 0) / n)


def _compute_path_contributions(sample: Weights, resample_counts: Weights, level: float | None) -> Weights:
    """Return each path's part of a figure: its value, or its excess over the edge of the tail.

    The average of edge + max(0, x - edge) / (1 - level) is the expected shortfall (Rockafellar, Uryasev).
    """
    if level is None:
        return np.broadcast_to(sample, resample_counts.shape)
    n = len(sample)
    tail = round(n * (1 - level), 9)  # 200 * (1 - 0.95) is 10
    order = np.argsort(-sample, kind="stable")
    reached = np.cumsum(resample_counts[:, order], axis=1)
    place = np.sum(reached < tail - _ROUND, axis=1)
    edge = sample[order][np.minimum(place, n - 1)][:, None]
    parts: Weights = edge + np.maximum(sample[None, :] - edge, 0) / (1 - level)
    return parts


def _compute_figure_by_resample(sample: Weights, resample_counts: Weights, level: float | None) -> Weights:
    value: Weights = np.sum(
        resample_counts * _compute_path_contributions(sample, resample_counts, level), axis=1
    ) / len(sample)
    return value
