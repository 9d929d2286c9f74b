"""Prices of blocks between drawn ones: a path of longer blocks, looked at in shorter ones.

Drawn prices stay as they are, so that the same paths can be run with other blocks. A Brownian motion with
known ends is a Brownian bridge in between.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
import numpy.typing as npt

from backstop.simulation.scenario.deterministic_float import Floats
from backstop.simulation.scenario.scenario_records import Scenario


def get_price_interval(scenario: Scenario) -> tuple[int, int]:
    """Return the interval of drawn prices [seconds], and the number of blocks in it."""
    interval = scenario.price_interval or scenario.block_time
    return interval, interval // scenario.block_time


def draw_bridge_noise(intervals: int, parts: int, stream: np.random.Generator) -> Floats:
    """Draw the noise that refines each interval into parts, with a row for each interval.

    Each row sums to 0 (a Brownian bridge), for moves of variance 1 over an interval. All is 0 if an interval
    is one part.
    """
    if parts == 1:
        return np.zeros((intervals, 1))
    moves: Floats = stream.standard_normal((intervals, parts)) / sqrt(parts)
    total = np.zeros(intervals)
    for part in range(parts):
        total += moves[:, part]
    return moves - (total / parts)[:, None]


def insert_moves(moved: Floats, jumps: Floats, places: npt.NDArray[np.int64], noise: Floats) -> Floats:
    """Return the moves since the start at the end of each part of each interval.

    Values at interval ends stay unchanged. The jump of an interval happens in the part `places` names. The
    remaining move is divided equally, plus `noise` (a row for each interval, a column for each part).
    """
    intervals, parts = noise.shape
    steps = ((np.diff(moved) - jumps) / parts)[:, None] + noise
    steps[np.arange(intervals), places] += jumps
    found, at = np.empty(intervals * parts + 1), moved[:-1]
    for part in range(parts - 1):
        at = at + steps[:, part]
        found[part + 1 :: parts] = at
    found[::parts] = moved
    return found
