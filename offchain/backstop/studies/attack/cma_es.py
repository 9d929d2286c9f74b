"""CMA-ES: a cloud of points that moves to where the better ones are, and takes their shape.

The algorithm is Hansen's (The CMA Evolution Strategy: A Tutorial, arXiv:1604.00772), with its default
constants. A point is the Cholesky factor of the covariance times normal numbers, and the path of the step
goes through those numbers (Krause, Arbonès and Igel, CMA-ES with Optimal Covariance Update and Storage
Complexity, 2016): unlike the axes of the covariance, the factor is the same on every processor. So are
products, which are added up one after the other.

Only the order of points counts, so that they may be ranked by anything that can be compared. The points of a
generation depend on the seed, its number and the cloud's fields, so that a resumed search goes on as if it
had never stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np

from backstop.simulation.scenario.deterministic_float import (
    Floats,
    compute_natural_log,
    compute_norm,
    decompose_cholesky,
    exp,
    solve_triangular,
    sum_weighted_rows,
)
from backstop.simulation.scenario.draw_scenario import RandomStreams

_GRAIN = 2.0**32
"""Fineness of normal numbers, multiples of 1/2**32: their last bits depend on the C library."""
_FLOOR = 1e-12
"""Least share of a number's variance that the numbers before it leave open."""


@dataclass
class SearchDistribution:
    """State of CMA-ES: a normal distribution of points, and its evolution paths.

    Floats keep every bit in JSON.
    """

    mean: list[float]
    step: float
    covariance: list[list[float]]
    path: list[float]  # evolution path of the mean, for the covariance
    step_path: list[float]  # evolution path of the normal numbers behind the points, for the step
    generation: int = 0

    @classmethod
    def create_standard_normal(cls, dimensions: int) -> SearchDistribution:
        """Return a standard normal distribution, which is also that of random paths."""
        zeros = [0.0] * dimensions
        round_one = [[float(i == j) for j in range(dimensions)] for i in range(dimensions)]
        return cls(zeros, 1.0, round_one, zeros, zeros)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> SearchDistribution:
        """Restore a distribution from the result of `as_json`."""
        return cls(**content)

    def as_json(self) -> dict[str, Any]:
        """Return the distribution for JSON."""
        return asdict(self)

    def draw_points(self, count: int, seed: int) -> Floats:
        """Draw the points of the current generation, one per row.

        The points depend only on the seed, the generation's number and the distribution.
        """
        normals = (
            RandomStreams(seed)
            .get_labelled_stream("generation", self.generation)
            .standard_normal((count, len(self.mean)))
        )
        normals = np.rint(normals * _GRAIN) / _GRAIN
        found: Floats = np.empty_like(normals)
        for i, row in enumerate(decompose_cholesky(self.covariance, _FLOOR)):
            found[:, i] = self.mean[i] + self.step * sum_weighted_rows(row, normals.T[: i + 1])
        return found

    def update_distribution(self, ranked: Floats) -> None:
        """Update the distribution to the next generation from this generation's points, best first."""
        n, half = len(self.mean), len(ranked) // 2
        weights = compute_natural_log((len(ranked) + 1) / 2) - compute_natural_log(np.arange(1.0, half + 1))
        weights /= weights.sum()
        mass = 1 / float((weights * weights).sum())
        # Learning rates: of both paths, of the step, of the covariance by the path and by the points.
        c_path = (4 + mass / n) / (n + 4 + 2 * mass / n)
        c_step = (mass + 2) / (n + mass + 5)
        damping = 1 + 2 * max(0.0, sqrt((mass - 1) / (n + 1)) - 1) + c_step
        c_one = 2 / ((n + 1.3) * (n + 1.3) + mass)
        c_many = min(1 - c_one, 2 * (mass - 2 + 1 / mass) / ((n + 2) * (n + 2) + mass))
        expected = sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n))

        moves = (ranked[:half] - np.array(self.mean)) / self.step
        move = sum_weighted_rows(weights, moves)
        normal = np.array(solve_triangular(decompose_cholesky(self.covariance, _FLOOR), move))
        step_path = (1 - c_step) * np.array(self.step_path) + sqrt(c_step * (2 - c_step) * mass) * normal
        grown = compute_norm(step_path)
        forgotten = 1.0
        for _ in range(2 * (self.generation + 1)):
            forgotten *= 1 - c_step
        # While the step still grows fast, the path would stretch the covariance too much.
        steady = grown / sqrt(1 - forgotten) < (1.4 + 2 / (n + 1)) * expected
        path = (1 - c_path) * np.array(self.path)
        if steady:
            path += sqrt(c_path * (2 - c_path) * mass) * move
        missing = 0.0 if steady else c_one * c_path * (2 - c_path)
        spread = sum_weighted_rows(weights, [np.multiply.outer(each, each) for each in moves])
        covariance = (1 - c_one - c_many + missing) * np.array(self.covariance)
        covariance += c_one * np.multiply.outer(path, path) + c_many * spread

        self.mean = (np.array(self.mean) + self.step * move).tolist()
        self.covariance = covariance.tolist()
        self.path, self.step_path = path.tolist(), step_path.tolist()
        self.step *= exp(min(1.0, c_step / damping * (grown / expected - 1)))
        self.generation += 1


def sort_by_score(points: Floats, scores: Sequence[Any]) -> Floats:
    """Return the points sorted by score, highest first; ties keep their order."""
    order = sorted(range(len(scores)), key=lambda i: scores[i], reverse=True)
    return points[order]
