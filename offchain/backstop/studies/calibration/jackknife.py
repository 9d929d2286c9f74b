"""Intervals of figures of a history by the grouped jackknife: a few dozen stretches are left out in turn.

One method for all figures, without random numbers. Stretches are contiguous and longer than the dependence
between moves, so that spells of unrest widen the interval. Its coverage is measured in
tests/backstop/studies/calibration/test_coverage.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from math import atanh, floor, isfinite, log10, sqrt, tanh
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from backstop.simulation.scenario.deterministic_float import compute_natural_log, exp

DIGITS = 4
"""Digits to which every figure and its interval are rounded, the same on every processor."""

STRETCHES = 32
CONFIDENCE = 0.95

# On which scale a figure's error is about normal: there and back.
_SCALES: Mapping[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "as it is": (float, float),
    "logarithm": (compute_natural_log, exp),
    "correlation": (atanh, tanh),
}
_ALMOST = 1 - 1e-9


class Figure(NamedTuple):
    """Estimated figure with its 95% interval; an end is None if the history does not bound it."""

    value: float
    low: float | None
    high: float | None


def round_figure(value: float, digits: int = DIGITS) -> float:
    """Return a value rounded to `digits` significant digits."""
    if value == 0 or not isfinite(value):
        return value
    return round(value, digits - 1 - floor(log10(abs(value))))


def cut_jackknife_stretches(row_count: int) -> list[slice]:
    """Return slices that cut the rows into stretches of nearly equal length, at most STRETCHES."""
    groups = min(STRETCHES, row_count)
    edges = [row_count * i // groups for i in range(groups + 1)]
    return [slice(a, b) for a, b in pairwise(edges)]


def drop_stretch(rows: np.ndarray, stretch: slice) -> np.ndarray:
    """Return the rows without the stretch."""
    return np.concatenate([rows[: stretch.start], rows[stretch.stop :]])


def compute_figure_with_jackknife_interval(
    whole: float, leave_one_out_values: list[float], scale: str
) -> Figure:
    """Return a figure with its 95% jackknife interval.

    `whole` is the value of all data, and `leave_one_out_values` are the values without one stretch each.
    `scale` is the scale on which errors are about normal. On a logarithmic scale the ends are None unless all
    values are positive.
    """
    there, back = _SCALES[scale]
    if scale == "logarithm" and min(whole, *leave_one_out_values) <= 0:
        return Figure(round_figure(whole), None, None)
    if scale == "correlation":
        whole, *leave_one_out_values = (
            min(_ALMOST, max(-_ALMOST, each)) for each in (whole, *leave_one_out_values)
        )
    centre, count = there(whole), len(leave_one_out_values)
    moved = [there(each) for each in leave_one_out_values]
    middle = sum(moved) / count
    error = sqrt((count - 1) / count * sum((each - middle) ** 2 for each in moved))
    reach = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2)) * error
    return Figure(round_figure(whole), round_figure(back(centre - reach)), round_figure(back(centre + reach)))
