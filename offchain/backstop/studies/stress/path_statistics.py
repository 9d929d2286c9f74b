"""Estimates with intervals from a sample of paths, in floats; reports round them to integers.

Each function names the method of its interval; tests/backstop/studies/stress/test_statistics.py measures
how often each holds the truth. The bootstrap's seed is fixed, so that equal samples have equal intervals.
"""

from __future__ import annotations

from math import ceil, sqrt
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from backstop.simulation.scenario.deterministic_float import compute_natural_log, exp

Sample = npt.NDArray[Any]
"""Integers or floats, one for each path."""

CONFIDENCE = 0.95
Z = 1.959963984540054  # the normal quantile of (1 + CONFIDENCE) / 2
LEAST_TAIL = 10
RESAMPLES = 800
_CELLS = 2_000_000  # cells of a table of resamples, which bounds memory
_SEED = 1
# Tolerance for levels such as 0.95, which are not exact: 1,000 * 0.95 must still be 950.
_ROUND = 1e-9
# Logarithm from which on an upper end says nothing.
_ENORMOUS = compute_natural_log(1_000)


class Estimate(NamedTuple):
    """Estimated figure with its confidence interval.

    An end is None where the sample does not bound it.
    """

    value: float
    low: float | None
    high: float | None


def estimate_mean_with_interval(sample: Sample) -> Estimate:
    """Estimate the mean, with the normal interval cut to the sample's range.

    Both ends of the interval are None for a sample of fewer than two values.
    """
    value = float(np.mean(sample))
    if len(sample) < 2:
        return Estimate(value, None, None)
    margin = Z * float(np.std(sample, ddof=1)) / sqrt(len(sample))
    return Estimate(value, max(float(np.min(sample)), value - margin), value + margin)


def estimate_share(count: int, of: int) -> Estimate:
    """Estimate a probability from `count` hits among `of` paths, with Wilson's interval.

    The value is 0 without an interval if `of` is 0.
    """
    if of == 0:
        return Estimate(0.0, None, None)
    p, spread = count / of, Z * Z / of
    middle = (p + spread / 2) / (1 + spread)
    margin = sqrt(p * (1 - p) * spread + spread * spread / 4) / (1 + spread)
    return Estimate(p, max(0.0, middle - margin), min(1.0, middle + margin))


def estimate_quantile(sample: Sample, level: float) -> Estimate:
    """Estimate the value at risk: the least value that a share `level` of the paths does not exceed.

    The interval lies between two order statistics given by the binomial distribution, for any distribution of
    the sample. With few paths the lower or the upper one may not exist; that end is None then.
    """
    ordered, n = np.sort(sample), len(sample)
    k = max(1, ceil(n * level - _ROUND))
    below = np.cumsum(
        _binomial_probabilities(n, level)
    )  # below[i]: at most i paths are under the true quantile
    low = int(np.searchsorted(below, (1 - CONFIDENCE) / 2, side="right"))
    high = int(np.searchsorted(below, (1 + CONFIDENCE) / 2, side="left")) + 1
    return Estimate(
        float(ordered[k - 1]),
        float(ordered[low - 1]) if low >= 1 else None,
        float(ordered[high - 1]) if high <= n else None,
    )


def estimate_shortfall(sample: Sample, level: float) -> Estimate:
    """Estimate the expected shortfall: the average of the worst share 1 - `level` of the paths.

    The path at the edge of the tail counts in part. The interval is a studentised bootstrap of the logarithm,
    as plain bootstraps are too short for heavy tails. With fewer than ten paths in the tail, both ends are
    None.
    """
    n = len(sample)
    tail = round(n * (1 - level), 9)  # 200 * (1 - 0.95) is 10
    # Resamples draw from the worst paths one by one, and from all others together.
    worst = np.sort(sample)[::-1][: min(n, int(4 * tail) + 51)].astype(np.float64)
    once = np.ones((1, len(worst)))
    values, errors = _compute_shortfalls(worst, once, n, level)
    value, error = float(values[0]), float(errors[0])
    if value <= 0 or tail < LEAST_TAIL - _ROUND or error == 0:
        return Estimate(value, None, None)
    chances = np.full(len(worst) + 1, 1 / n)
    chances[-1] = max(0.0, 1 - len(worst) / n)
    random, found = np.random.default_rng(_SEED), []
    at_once = max(1, _CELLS // len(chances))
    for first in range(0, RESAMPLES, at_once):
        rows = min(at_once, RESAMPLES - first)
        counts = random.multinomial(n, chances / chances.sum(), rows)[:, :-1]
        found.append(_compute_shortfalls(worst, counts.astype(np.float64), n, level))
    values, errors = (np.concatenate(each) for each in zip(*found, strict=True))
    kept = (values > 0) & (errors > 0)
    pulls = np.sort(
        (compute_natural_log(values[kept]) - compute_natural_log(value)) * values[kept] / errors[kept]
    )
    outside, relative = int(len(pulls) * (1 - CONFIDENCE) / 2), error / value
    high = -pulls[outside] * relative
    low = -pulls[len(pulls) - 1 - outside] * relative
    return Estimate(value, value * exp(low), value * exp(high) if high < _ENORMOUS else None)


def compute_tail_shortfall(worst: Sample, path_count: int, level: float) -> float:
    """Return the expected shortfall over `path_count` paths, from their worst values alone.

    `worst` must have at least as many values as the tail.
    """
    ordered = np.sort(worst)[::-1].astype(np.float64)
    return float(_compute_shortfalls(ordered, np.ones((1, len(ordered))), path_count, level)[0][0])


def _compute_shortfalls(
    worst: Sample, counts: Sample, path_count: int, level: float
) -> tuple[Sample, Sample]:
    """Return the expected shortfall and its standard error for each row of counts.

    `worst` has the largest values in descending order. Each row of `counts` says how often each value occurs.
    """
    tail = round(path_count * (1 - level), 9)  # 200 * (1 - 0.95) is 10
    reached = np.cumsum(counts, axis=1)
    weights = np.diff(np.minimum(reached, tail), axis=1, prepend=0)
    edge = worst[np.minimum(np.sum(reached < tail - _ROUND, axis=1), len(worst) - 1)]
    over = np.maximum(worst[None, :] - edge[:, None], 0) / (1 - level)
    first = np.sum(counts * over, axis=1) / path_count
    second = np.sum(counts * over * over, axis=1) / path_count
    return np.sum(weights * worst, axis=1) / tail, np.sqrt(np.maximum(second - first * first, 0) / path_count)


def _binomial_probabilities(trials: int, probability: float) -> Sample:
    """Return the binomial probabilities of 0 to `trials` successes."""
    i = np.arange(trials + 1)
    factorials = np.concatenate([[0.0], np.cumsum(compute_natural_log(np.arange(1.0, trials + 1)))])
    logs = (
        factorials[-1]
        - factorials
        - factorials[::-1]
        + i * compute_natural_log(probability)
        + (trials - i) * compute_natural_log(1 - probability)
    )
    return exp(logs)
