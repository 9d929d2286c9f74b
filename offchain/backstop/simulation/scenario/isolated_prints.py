"""Isolated prints of a price series: one to three prices that leave both neighbours and come back.

A simulation reads a false print as a crash: one in an hourly history made millions of bad debt. A true crash
is no isolated print: its neighbours move, too, or its price does not come back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import median_low
from typing import NamedTuple

BILLIONTH = 10**9
LONGEST_RUN = 3
LEAST_MOVE = BILLIONTH // 20
"""Smallest move of an isolated print, billionths: 5%."""
_USUAL_MOVES = 10  # of the median move near a print
_WINDOW = 12  # moves on either side of which the median is taken


class IsolatedPrint(NamedTuple):
    """Run of prices far from both neighbours: first position, length, and median move nearby."""

    first: int  # position in the series
    length: int  # prices
    usual_move: int  # billionths: the median move of the prices near it


def list_isolated_prints(values: Sequence[int]) -> list[IsolatedPrint]:
    """Return the isolated prints of a price series, in order of time.

    A run of at most three prices is isolated if all are above, or all below, the prices before and after.
    Each must differ by at least 5% of the smaller price and by ten times the median of the twelve moves on
    either side (a Hampel filter of moves). The two neighbours may differ by at most half of the run's
    smallest move. The first and last price are never listed.
    """
    moves = [compute_move(before, after) for before, after in pairwise(values)]
    found: list[IsolatedPrint] = []
    first = 1
    while first < len(values) - 1:
        each = _find_run(values, moves, first) if moves[first - 1] >= LEAST_MOVE else None
        if each is not None:
            found.append(each)
        first += 1 if each is None else each.length + 1  # the price after a run is none of the next
    return found


def describe_isolated_print(
    price: int, neighbours: Sequence[tuple[int, int]], usual_move: int, format_price: Callable[[int], str]
) -> str:
    """Return a text of how far a price is from its two neighbours and from usual moves.

    Neighbours are pairs of price and row number. Percentages are rounded down to a tenth.
    """
    side = "above" if price > neighbours[0][0] else "below"
    far = " and ".join(
        f"{1_000 * abs(price - value) // value / 10}% {side} {format_price(value)} (row {row})"
        for value, row in neighbours
    )
    return (
        f"{format_price(price)} is {far}, where prices move by "
        f"{1_000 * usual_move // BILLIONTH / 10}%: an isolated print"
    )


def compute_move(one: int, other: int) -> int:
    """Return the difference of two prices over the smaller one [billionths], rounded down."""
    return abs(one - other) * BILLIONTH // min(one, other)


def _find_run(values: Sequence[int], moves: Sequence[int], first: int) -> IsolatedPrint | None:
    """Return the shortest isolated run of prices that starts at this position; None if there is none."""
    for length in range(1, min(LONGEST_RUN, len(values) - 1 - first) + 1):
        before, run, after = values[first - 1], values[first : first + length], values[first + length]
        if not (max(run) < min(before, after) or min(run) > max(before, after)):
            continue
        least = min(compute_move(each, neighbour) for each in run for neighbour in (before, after))
        end = first + length
        near = [*moves[max(0, first - 1 - _WINDOW) : first - 1], *moves[end : end + _WINDOW]]
        usual = median_low(near) if near else 0
        if least >= max(LEAST_MOVE, _USUAL_MOVES * usual) and 2 * compute_move(before, after) <= least:
            return IsolatedPrint(first, length, usual)
    return None
