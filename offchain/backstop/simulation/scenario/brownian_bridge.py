"""Price paths: exact through the given points, a seeded Brownian bridge in between. Prices in ray."""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt

from backstop.model.arithmetic import BASIS_POINTS
from backstop.randomness import SCALE, SeededRandom

HOUR = 3_600


def price_path(
    points: Mapping[int, int], volatility: int, seed: int, symbol: str, duration: int, block_time: int
) -> list[int]:
    """Return the price at each block [ray], drawn as a Brownian bridge between given points.

    `points` maps seconds to prices; it must have a point at 0 and one at or after the end. `volatility` is in
    basis points per square root of an hour. The path stays within the range of the points, and a local low or
    high among them stays one, so that a published low is the lowest price.
    """
    path: dict[int, int] = {at // block_time: value for at, value in points.items()}
    marks = sorted(path)
    lowest, highest = min(path.values()), max(path.values())
    given = [path[mark] for mark in marks]
    for i in range(len(marks) - 1):
        if marks[i + 1] - marks[i] < 2:
            continue
        lows, highs = [lowest], [highest]
        for turn in (i, i + 1):
            around = given[max(0, turn - 1) : turn] + given[turn + 1 : turn + 2]
            if given[turn] <= min(around):
                lows.append(given[turn])
            if given[turn] >= max(around):
                highs.append(given[turn])
        dice = SeededRandom(seed, "price", symbol, marks[i])
        _fill_bridge(path, marks[i], marks[i + 1], volatility, block_time, dice, max(lows), min(highs))
    return [path[i] for i in range(duration // block_time + 1)]


def _fill_bridge(
    path: dict[int, int],
    left: int,
    right: int,
    volatility: int,
    block_time: int,
    dice: SeededRandom,
    lowest: int,
    highest: int,
) -> None:
    """Fill the blocks between two known prices by recursive midpoints of a Brownian bridge.

    A midpoint has the mean of the straight line and the variance of the bridge.
    """
    if right - left < 2:
        return
    middle = (left + right) // 2
    mean = (path[left] * (right - middle) + path[right] * (middle - left)) // (right - left)
    # sqrt of the bridge's variance in hours, times SCALE
    spread = isqrt((middle - left) * (right - middle) * block_time * SCALE * SCALE // ((right - left) * HOUR))
    shock = mean * volatility * spread * dice.draw_scaled_normal() // (BASIS_POINTS * SCALE * SCALE)
    path[middle] = _reflect_value(mean + shock, lowest, highest)
    _fill_bridge(path, left, middle, volatility, block_time, dice, lowest, highest)
    _fill_bridge(path, middle, right, volatility, block_time, dice, lowest, highest)


def _reflect_value(value: int, lowest: int, highest: int) -> int:
    """Reflect a value at the bounds so that it stays within `lowest` and `highest`."""
    if value < lowest:
        value = 2 * lowest - value
    if value > highest:
        value = 2 * highest - value
    return min(max(value, lowest), highest)
