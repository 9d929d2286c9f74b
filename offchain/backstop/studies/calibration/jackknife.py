"""Intervals of figures of a history: each of a few dozen stretches is left out once (the grouped jackknife).

One method for all figures, without random numbers. Stretches are contiguous and longer than what moves have
to do with each other, so that spells of unrest widen the interval. How often it holds the truth,
tests/backstop/studies/calibration/test_coverage.py measures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from math import atanh, floor, isfinite, log10, sqrt, tanh
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from backstop.simulation.scenario.deterministic_float import exp, log

DIGITS = 4
"""Digits to which every figure and its interval are rounded, the same on every processor."""

STRETCHES = 32
CONFIDENCE = 0.95

# On which scale a figure's error is about normal: there and back.
_SCALES: Mapping[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "as it is": (float, float),
    "logarithm": (log, exp),
    "correlation": (atanh, tanh),
}
_ALMOST = 1 - 1e-9


class Figure(NamedTuple):
    """A figure with its interval of 95%; an end is None where the history does not bound it."""

    value: float
    low: float | None
    high: float | None


def round_figure(value: float, digits: int = DIGITS) -> float:
    """Round to so many digits that count."""
    if value == 0 or not isfinite(value):
        return value
    return round(value, digits - 1 - floor(log10(abs(value))))


def cut_stretches(count: int) -> list[slice]:
    """Cut so many rows into stretches of nearly equal length, at most `STRETCHES`."""
    groups = min(STRETCHES, count)
    edges = [count * i // groups for i in range(groups + 1)]
    return [slice(a, b) for a, b in pairwise(edges)]


def drop_stretch(rows: np.ndarray, out: slice) -> np.ndarray:
    """Return the rows but for a stretch."""
    return np.concatenate([rows[: out.start], rows[out.stop :]])


def jackknife_figure(whole: float, parts: list[float], scale: str) -> Figure:
    """Return a figure with the interval that figures without one stretch each come to."""
    there, back = _SCALES[scale]
    if scale == "logarithm" and min(whole, *parts) <= 0:
        return Figure(round_figure(whole), None, None)
    if scale == "correlation":
        whole, *parts = (min(_ALMOST, max(-_ALMOST, each)) for each in (whole, *parts))
    centre, count = there(whole), len(parts)
    moved = [there(each) for each in parts]
    middle = sum(moved) / count
    error = sqrt((count - 1) / count * sum((each - middle) ** 2 for each in moved))
    reach = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2)) * error
    return Figure(round_figure(whole), round_figure(back(centre - reach)), round_figure(back(centre + reach)))
