"""CMA-ES: a cloud of points that moves, and takes the shape of, where the better ones are.

The algorithm is Hansen's (The CMA Evolution Strategy: A Tutorial, arXiv:1604.00772), with its default
constants. Only the order of points counts, so that they may be ranked by anything that can be compared.
The points of a generation depend on the seed, its number and what is kept here: to go on is to go on as if
nothing had happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import log, sqrt
from typing import Any

import numpy as np

from backstop.simulation.scenario.drawn import Floats, Streams


@dataclass
class Cloud:
    """Where points are drawn from, and what was learned. In JSON, floats keep every bit."""

    mean: list[float]
    step: float
    covariance: list[list[float]]
    path: list[float]  # of the mean, for the covariance
    step_path: list[float]  # the same in the cloud's own axes, for the step
    generation: int = 0

    @classmethod
    def new(cls, dimensions: int) -> Cloud:
        """Standard normal: what chance itself would draw."""
        zeros = [0.0] * dimensions
        return cls(zeros, 1.0, np.eye(dimensions).tolist(), zeros, zeros)

    @classmethod
    def of(cls, content: dict[str, Any]) -> Cloud:
        """As it was kept."""
        return cls(**content)

    def kept(self) -> dict[str, Any]:
        """What JSON can hold."""
        return asdict(self)

    def points(self, count: int, seed: int) -> Floats:
        """The present generation, a row for each point."""
        normals = Streams(seed).of("generation", self.generation).standard_normal((count, len(self.mean)))
        axes, lengths = self._axes()
        found: Floats = np.array(self.mean) + self.step * (normals * lengths) @ axes.T
        return found

    def learn(self, ranked: Floats) -> None:
        """The next generation, from the points of this one, the best first."""
        n, half = len(self.mean), len(ranked) // 2
        weights = log((len(ranked) + 1) / 2) - np.log(np.arange(1, half + 1))
        weights /= weights.sum()
        mass = 1 / float((weights**2).sum())
        # Learning rates: of both paths, of the step, of the covariance by the path and by the points.
        c_path = (4 + mass / n) / (n + 4 + 2 * mass / n)
        c_step = (mass + 2) / (n + mass + 5)
        damping = 1 + 2 * max(0.0, sqrt((mass - 1) / (n + 1)) - 1) + c_step
        c_one = 2 / ((n + 1.3) ** 2 + mass)
        c_many = min(1 - c_one, 2 * (mass - 2 + 1 / mass) / ((n + 2) ** 2 + mass))
        expected = sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n))

        axes, lengths = self._axes()
        moves = (ranked[:half] - np.array(self.mean)) / self.step
        move = weights @ moves
        whitened = axes @ ((axes.T @ move) / lengths)
        step_path = (1 - c_step) * np.array(self.step_path) + sqrt(c_step * (2 - c_step) * mass) * whitened
        length = float(np.linalg.norm(step_path))
        # While the step still grows fast, the path would stretch the covariance too much.
        steady = (
            length / sqrt(1 - (1 - c_step) ** (2 * (self.generation + 1))) < (1.4 + 2 / (n + 1)) * expected
        )
        path = (1 - c_path) * np.array(self.path)
        if steady:
            path = path + sqrt(c_path * (2 - c_path) * mass) * move
        missing = 0.0 if steady else c_one * c_path * (2 - c_path)
        old = np.array(self.covariance)
        spread = (moves.T * weights) @ moves
        covariance = (1 - c_one - c_many + missing) * old + c_one * np.outer(path, path) + c_many * spread

        self.mean = (np.array(self.mean) + self.step * move).tolist()
        self.covariance = ((covariance + covariance.T) / 2).tolist()
        self.path, self.step_path = path.tolist(), step_path.tolist()
        self.step *= float(np.exp(min(1.0, c_step / damping * (length / expected - 1))))
        self.generation += 1

    def _axes(self) -> tuple[Floats, Floats]:
        """The axes of the cloud, a column for each, and how long they are."""
        values, axes = np.linalg.eigh(np.array(self.covariance))
        return axes, np.sqrt(np.maximum(values, 1e-20))


def ranked(points: Floats, scores: Sequence[Any]) -> Floats:
    """The points, the highest score first; equal ones as they came."""
    order = sorted(range(len(scores)), key=lambda i: scores[i], reverse=True)
    return points[order]
