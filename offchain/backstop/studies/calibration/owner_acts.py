"""How owners act: the ways of defences and releases, their sizes, and the distance that they leave."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from backstop.simulation.scenario.owner_behavior import PARTS
from backstop.studies.calibration.owner_history import OwnerAct

LEAST_SHARE = 20
"""One act in so many leaves less than the least distance."""


class ActLaw(NamedTuple):
    """Distribution of owners' acts in one direction, defence or release.

    It has the shares of the ways to act, quantiles of sizes, and the least distance from liquidation.
    """

    ways: tuple[float, ...]  # shares, of DEFENCES or RELEASES
    sizes: tuple[float, ...]  # parts of the debt: quantiles 0%, 10%, ..., 100%
    least: int  # basis points of distance


def measure_act_law(acts: Iterable[tuple[OwnerAct, int]], ways: Sequence[str]) -> ActLaw:
    """Return the distribution of acts, each given with its number of occurrences.

    Quantiles of sizes are observed sizes: of n in order, the one at index (n - 1) times the share, rounded
    down. The least distance [bps] is the 5% quantile of the distances that acts leave, at least 0. An act
    that leaves no debt has no distance. At least one act must occur.
    """
    counted = [(act, times) for act, times in acts if times]
    total = sum(times for _, times in counted)
    shares = tuple(sum(times for act, times in counted if act.way == way) / total for way in ways)
    sizes = sorted((act.size, times) for act, times in counted)
    distances = sorted(
        (act.distance_after, times) for act, times in counted if act.distance_after is not None
    )
    left = sum(times for _, times in distances)
    return ActLaw(
        ways=shares,
        sizes=tuple(_find_at_place(sizes, (total - 1) * i // PARTS) for i in range(PARTS + 1)),
        least=max(0, int(_find_at_place(distances, (left - 1) // LEAST_SHARE))) if left else 0,
    )


def _find_at_place(sorted_values: Sequence[tuple[float, int]], place: int) -> float:
    """Return the value at an index (from 0) of sorted values, each repeated by its count."""
    for value, times in sorted_values:
        if place < times:
            return value
        place -= times
    return sorted_values[-1][0]
