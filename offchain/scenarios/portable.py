"""Arithmetic of floats that comes out the same on every processor.

Sums, products, quotients and square roots are rounded the same everywhere (IEEE 754), in a given order.
Logarithms, exponentials and powers are not: numpy and the C library have several of each, and take the one
that suits the processor. Nor are products of matrices, whose sums are split as its registers ask for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import fsum, sqrt
from operator import mul
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# ln 2 in two parts: a whole number times the first is exact.
_LN2_HIGH = float.fromhex("0x1.62e42feep-1")
_LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
_ROOT_HALF = sqrt(0.5)
_LEAST_PIVOT = 1e-9


def exp(values: Floats | float) -> Floats:
    """Return e to the power of each value; within two units in the last place."""
    whole = np.rint(values * np.float64(1 / (_LN2_HIGH + _LN2_LOW)))
    rest = (values - whole * _LN2_HIGH) - whole * _LN2_LOW
    found = np.ones_like(rest)
    for i in range(13, 0, -1):  # Taylor's series; rest is at most 0.35
        found = found * rest * (1 / i) + 1
    powers: Floats = np.ldexp(found, whole.astype(np.int32))
    return powers


def log(values: npt.NDArray[Any] | float) -> Floats:
    """Return the natural logarithm of each value, all positive; within four units in the last place."""
    mantissa, exponent = np.frexp(values)
    low = mantissa < _ROOT_HALF
    mantissa, exponent = np.where(low, 2 * mantissa, mantissa), exponent - low
    ratio = (mantissa - 1) / (mantissa + 1)
    square, series = ratio * ratio, np.zeros_like(ratio)
    for i in range(23, 0, -2):  # of twice the inverse hyperbolic tangent; ratio is at most 0.18
        series = series * square + 1 / i
    logarithms: Floats = exponent * _LN2_HIGH + (2 * ratio * series + exponent * _LN2_LOW)
    return logarithms


def length(values: Sequence[float] | Floats) -> float:
    """Return the root of the sum of squares, whatever their order."""
    return sqrt(fsum(float(value) * float(value) for value in values))


def weighted(weights: Iterable[float], rows: Iterable[Floats]) -> Floats:
    """Return the sum of arrays, each times its weight, added one after the other."""
    pairs = zip(weights, rows, strict=True)
    weight, row = next(pairs)
    total: Floats = weight * row
    for weight, row in pairs:
        total += weight * row
    return total


def cholesky(matrix: Sequence[Sequence[float]], floor: float | None = None) -> list[list[float]]:
    """Return the lower triangle whose product with its transpose is a matrix, row by row.

    ValueError if there is none, or hardly one: a pivot of the matrix is not above a billionth. With a floor,
    no error: pivots are raised to that share of the diagonal.
    """
    rows: list[list[float]] = []
    for i, given in enumerate(matrix):
        row: list[float] = []
        for j in range(i):
            row.append((given[j] - fsum(map(mul, row, rows[j]))) / rows[j][j])
        pivot = given[i] - fsum(map(mul, row, row))
        if floor is not None:
            pivot = max(pivot, floor * given[i])
        elif pivot <= _LEAST_PIVOT:
            raise ValueError("the matrix is not positive definite")
        rows.append([*row, sqrt(pivot)])
    return rows


def solved(triangle: Sequence[Sequence[float]], product: Sequence[float] | Floats) -> list[float]:
    """Return what a lower triangle, row by row, has to be multiplied by to come to a product."""
    found: list[float] = []
    for row, value in zip(triangle, product, strict=True):
        found.append((float(value) - fsum(map(mul, row, found))) / row[-1])
    return found
