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
    """Values of a figure under the current and the proposed setting, with their difference.

    `change` is the difference with its interval, `verdict` its meaning in words.
    """

    now: float
    proposed: float
    change: Estimate
    verdict: str


def compare_paired(now: Sample, proposed: Sample, level: float | None = None) -> Difference:
    """Compare the averages, or the expected shortfalls at `level`, of two settings on the same paths.

    `now` and `proposed` have one value per path. The interval of the change is None, and the verdict
    CANNOT_TELL, if fewer than ten paths differ. For shortfalls, only differing paths in a tail count.
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
    """Return the verdict on a change by its interval: "raises it", "lowers it" or CANNOT_TELL.

    The data cannot tell if the interval contains 0 or has no end.
    """
    if (
        change_estimate.low is None
        or change_estimate.high is None
        or change_estimate.low <= 0 <= change_estimate.high
    ):
        return CANNOT_TELL
    return "raises it" if change_estimate.low > 0 else "lowers it"


def _count_differing_tail_paths(both: Weights, level: float | None) -> int:
    """Return how many paths differ between the settings.

    With a `level`, only paths in the tail of at least one setting count.
    """
    differ = both[0] != both[1]
    if level is not None:
        tail = ceil(round(both.shape[1] * (1 - level), 9))
        differ &= np.any([each >= np.sort(each)[-tail] for each in both], axis=0)
    return int(np.sum(differ))


def _compute_differences_and_errors(
    outcome_pairs: Weights, resample_counts: Weights, level: float | None
) -> tuple[Weights, Weights]:
    """Return the difference of the two settings' figures, and its standard error, for each resample.

    Each row of `resample_counts` says how often the resample contains each path.
    """
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
    """Return each path's contribution to the average or the expected shortfall, for each resample.

    For the average this is the path's value. The average of edge + max(0, x - edge) / (1 - level) is the
    expected shortfall (Rockafellar, Uryasev).
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
