"""Functions that are the same on every processor are also right."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from backstop.simulation.scenario.deterministic_float import (
    compute_natural_log,
    compute_norm,
    decompose_cholesky,
    exp,
    solve_triangular,
    sum_weighted_rows,
)

VALUES = np.random.default_rng(1).uniform(-30, 30, 400)


def off(found: float, exact: Decimal) -> float:
    """How far a value is from the exact one, units in the last place."""
    return float(abs(Decimal(float(found)) - exact)) / float(np.spacing(abs(float(exact))))


def test_exponentials_are_within_two_units() -> None:
    for value, found in zip(VALUES.tolist(), exp(VALUES).tolist(), strict=True):
        assert off(found, Decimal(value).exp()) <= 2
        assert exp(value) == found
    assert exp(0.0) == 1 and exp(-10_000.0) == 0


def test_logarithms_are_within_two_units() -> None:
    values = np.concatenate([exp(VALUES), 1 + VALUES / 1_000, np.arange(2.0, 50)])
    for value, found in zip(values.tolist(), compute_natural_log(values).tolist(), strict=True):
        assert off(found, Decimal(value).ln()) <= 2
        assert compute_natural_log(value) == found
    assert compute_natural_log(1.0) == 0


def test_a_length_does_not_depend_on_the_order() -> None:
    assert compute_norm([3.0, 4.0]) == 5
    assert compute_norm(VALUES) == compute_norm(VALUES[::-1])


def test_the_factor_times_its_transpose_is_the_matrix() -> None:
    matrix = [[1.0, 0.8, -0.3], [0.8, 1.0, 0.1], [-0.3, 0.1, 1.0]]
    rows = [[*row, *[0.0] * (3 - len(row))] for row in decompose_cholesky(matrix)]
    again = [[sum(a * b for a, b in zip(one, other, strict=True)) for other in rows] for one in rows]
    assert again == [pytest.approx(row) for row in matrix]
    with pytest.raises(ValueError, match="not positive definite"):
        decompose_cholesky([[1.0, 1.0], [1.0, 1.0]])


def test_a_factor_is_found_near_any_matrix_if_pivots_have_a_floor() -> None:
    assert decompose_cholesky([[4.0, 2.0], [2.0, 2.0]], 1e-6) == [[2.0], [1.0, 1.0]]
    assert decompose_cholesky([[4.0, 4.0], [4.0, 4.0]], 1e-6) == [[2.0], [2.0, pytest.approx(2e-3)]]


def test_what_a_triangle_was_multiplied_by_is_found_again() -> None:
    triangle = [[2.0], [-1.0, 0.5], [3.0, 4.0, 5.0]]
    numbers = [7.0, -8.0, 9.0]
    product = [sum(a * b for a, b in zip(row, numbers, strict=False)) for row in triangle]
    assert solve_triangular(triangle, product) == numbers


def test_rows_are_added_up_each_with_its_weight() -> None:
    rows = np.array([[1.0, 2.0], [30.0, 40.0], [0.5, 0.25]])
    assert sum_weighted_rows([2.0, 0.1, 4.0], rows).tolist() == [7.0, 9.0]
    with pytest.raises(ValueError):
        sum_weighted_rows([1.0], rows)
