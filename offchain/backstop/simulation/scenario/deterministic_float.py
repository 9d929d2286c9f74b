"""Arithmetic of floats that comes out the same on every processor.

Sums, products, quotients and square roots are rounded the same everywhere (IEEE 754), in a given order.
Logarithms, exponentials and powers are not: numpy and the C library have several of each, and take the one
that suits the processor. Nor are products of matrices: their sums are split by the processor's registers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import frexp, fsum, ldexp, sqrt
from operator import mul
from typing import Any, overload

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# ln 2 in two parts: a whole number times the first is exact.
_LN2_HIGH = float.fromhex("0x1.62e42feep-1")
_LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
_WHOLE = 1 / (_LN2_HIGH + _LN2_LOW)
_ROOT_HALF = sqrt(0.5)
# The approximations of fdlibm, Sun's portable mathematical library; the highest power first.
_EXP = (
    4.13813679705723846039e-08,
    -1.65339022054652515390e-06,
    6.61375632143793436117e-05,
    -2.77777777770155933842e-03,
    1.66666666666666019037e-01,
)
_LOG = (
    1.479819860511658591e-01,
    1.531383769920937332e-01,
    1.818357216161805012e-01,
    2.222219843214978396e-01,
    2.857142874366239149e-01,
    3.999999999940941908e-01,
    6.666666666666735130e-01,
)
_LEAST_PIVOT = 1e-9


@overload
def exp(values: Floats) -> Floats: ...
@overload
def exp(values: float) -> float: ...
def exp(values: Floats | float) -> Floats | float:
    """Return e to the power of each value, identical on all processors.

    The error is at most two units in the last place.
    """
    if isinstance(values, np.ndarray):
        whole = np.rint(values * _WHOLE)
        powers: Floats = np.ldexp(_approximate_exp_fraction(values, whole), whole.astype(np.int32))
        return powers
    nearest = round(values * _WHOLE)
    return ldexp(_approximate_exp_fraction(values, nearest), nearest)


def _approximate_exp_fraction(values: Any, whole_powers: Any) -> Any:
    rest = values - whole_powers * _LN2_HIGH
    rest -= whole_powers * _LN2_LOW
    square = rest * rest
    bend = square * _EXP[0]
    for factor in _EXP[1:]:
        bend += factor
        bend *= square
    bend = rest - bend
    curved = rest * bend
    bend -= 2
    curved /= bend
    rest -= curved
    rest += 1
    return rest


@overload
def compute_natural_log(values: npt.NDArray[Any]) -> Floats: ...
@overload
def compute_natural_log(values: float) -> float: ...
def compute_natural_log(values: npt.NDArray[Any] | float) -> Floats | float:
    """Return the natural logarithm of each positive value, identical on all processors.

    The error is at most two units in the last place.
    """
    logarithms: Floats | float = _evaluate_log(
        *(np.frexp if isinstance(values, np.ndarray) else frexp)(values)
    )
    return logarithms


def _evaluate_log(mantissa: Any, exponent: Any) -> Any:
    low = mantissa < _ROOT_HALF
    over = mantissa + low * mantissa - 1
    exponent = exponent - low
    ratio = over / (over + 2)
    square = ratio * ratio
    rest = square * _LOG[0]
    for factor in _LOG[1:]:
        rest += factor
        rest *= square
    rest = over - rest
    rest *= ratio
    rest -= exponent * _LN2_LOW
    rest -= over
    return exponent * _LN2_HIGH - rest


def compute_norm(values: Sequence[float] | Floats) -> float:
    """Return the Euclidean norm, independent of the order of the values."""
    return sqrt(fsum(float(value) * float(value) for value in values))


def sum_weighted_rows(weights: Iterable[float], rows: Iterable[Floats]) -> Floats:
    """Return the weighted sum of arrays, added in the given order so that rounding is reproducible."""
    pairs = zip(weights, rows, strict=True)
    weight, row = next(pairs)
    total: Floats = weight * row
    for weight, row in pairs:
        total += weight * row
    return total


def decompose_cholesky(matrix: Sequence[Sequence[float]], floor: float | None = None) -> list[list[float]]:
    """Return the rows of the lower Cholesky factor L of a matrix: L times its transpose is the matrix.

    Without `floor`, raises ValueError if a pivot is at most 1e-9. With `floor`, pivots are raised to this
    share of the diagonal instead.
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


def solve_triangular(triangle: Sequence[Sequence[float]], product: Sequence[float] | Floats) -> list[float]:
    """Return the solution x of the lower triangular system `triangle` x = `product`."""
    found: list[float] = []
    for row, value in zip(triangle, product, strict=True):
        found.append((float(value) - fsum(map(mul, row, found))) / row[-1])
    return found
