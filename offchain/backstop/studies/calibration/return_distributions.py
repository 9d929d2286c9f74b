"""Two laws of moves, each by maximum likelihood: Student's t, and Merton's normal moves with jumps.

Prices that move together share what is extreme: degrees and times of jumps are measured on their common
index, the mean of their moves in standard deviations. Every linear mix of a multivariate t has its degrees.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import gammaln

from backstop.simulation.scenario.deterministic_float import Floats, compute_natural_log, exp

LEAST_DEGREES, MOST_DEGREES = 3, 1_000
"""Bounds of a scenario's `degrees`; at the upper one the law is as good as normal."""

FEW_JUMPS = 2
"""Jumps under which nothing is said of their size."""

_ROUNDS = 30
_STEPS = 400
_ENOUGH = 1e-7


@dataclass(frozen=True)
class StudentTails:
    """Fitted Student's t: degrees of freedom, and the standard deviation of each price's returns."""

    degrees: float
    deviations: tuple[float, ...]


@dataclass(frozen=True)
class JumpDiffusion:
    """Fitted normal returns with jumps: chance of a jump per step, and deviations without jumps.

    `means` and `spreads` are mean and deviation of each price's jumps.
    """

    chance: float
    deviations: tuple[float, ...]
    means: tuple[float, ...]
    spreads: tuple[float, ...]


def compute_mean_standardised_moves(moves: Floats) -> Floats:
    """Return the mean over all prices of their returns in standard deviations, for each step."""
    spreads = np.sqrt(np.mean(moves * moves, axis=0))
    index: Floats = np.mean(moves / np.where(spreads > 0, spreads, 1.0), axis=1)
    return index


def fit_student_t(table: Floats, index: Floats) -> StudentTails:
    """Fit Student's t: its degrees to `index`, then the deviation of each column.

    `index` has the common returns of all prices.
    """
    squares = index * index

    def misfit(inverse: float) -> float:
        degrees = 1 / inverse
        scale = _fit_scale(squares, degrees)
        constant = (
            float(gammaln((degrees + 1) / 2) - gammaln(degrees / 2))
            - compute_natural_log(degrees * scale) / 2
        )
        fallen = (degrees + 1) / 2 * float(np.mean(compute_natural_log(1 + squares / (degrees * scale))))
        return fallen - constant

    bounds = (1 / MOST_DEGREES, 1 / LEAST_DEGREES)
    found = minimize_scalar(misfit, bounds=bounds, method="bounded", options={"xatol": 1e-5})
    degrees = 1 / float(found.x)
    wider = degrees / (degrees - 2)
    deviations = (sqrt(_fit_scale(column * column, degrees) * wider) for column in table.T)
    return StudentTails(degrees, tuple(deviations))


def compute_deviations_around_zero(moves: Floats) -> tuple[float, ...]:
    """Return the root mean square of each price's returns."""
    return tuple(sqrt(float(np.mean(column * column))) for column in moves.T)


def _fit_scale(squares: Floats, degrees: float) -> float:
    """Return the maximum likelihood squared scale of Student's t around zero, from squared returns."""
    scale = float(np.mean(squares))
    for _ in range(_ROUNDS if scale > 0 else 0):
        before, scale = scale, scale * float(np.mean((degrees + 1) * squares / (degrees * scale + squares)))
        if abs(scale - before) <= _ENOUGH * scale:
            break
    return scale


def fit_jumps(table: Floats, index: Floats) -> JumpDiffusion | None:
    """Fit normal returns with jumps at common times, by expectation maximisation.

    None with fewer than FEW_JUMPS jumps.
    """
    jumped = estimate_move_jump_probabilities(index)
    if jumped is None:
        return None
    calm, times = 1 - jumped, float(np.sum(jumped))
    deviations, means, spreads = [], [], []
    for column in table.T:
        square = float(np.sum(calm * column * column)) / float(np.sum(calm))
        mean = float(np.sum(jumped * column)) / times
        spread = float(np.sum(jumped * (column - mean) ** 2)) / times - square
        deviations.append(sqrt(square))
        means.append(mean)
        spreads.append(sqrt(max(0.0, spread)))
    return JumpDiffusion(times / len(index), tuple(deviations), tuple(means), tuple(spreads))


def estimate_move_jump_probabilities(index: Floats) -> Floats | None:
    """Return the probability that each return of `index` contains a jump.

    None with fewer than FEW_JUMPS jumps, or if most returns are 0.
    """
    squares = index * index
    usual = float(np.median(np.abs(index))) / 0.6745
    if usual == 0:
        return None
    jumped = (np.abs(index) > 4 * usual).astype(np.float64)
    calm = usual * usual
    for _ in range(_STEPS):
        times = float(np.sum(jumped))
        if times < FEW_JUMPS:
            return None
        before = calm
        calm = float(np.sum((1 - jumped) * squares)) / (len(index) - times)
        mean = float(np.sum(jumped * index)) / times
        wide = max(calm, float(np.sum(jumped * (index - mean) ** 2)) / times)
        odds = (squares / calm - (index - mean) ** 2 / wide) / 2
        ratio = times / (len(index) - times) * sqrt(calm / wide)
        jumped = 1 / (1 + exp(-np.minimum(odds, 600.0)) / ratio)
        if abs(calm - before) <= _ENOUGH * calm:
            break
    return jumped
