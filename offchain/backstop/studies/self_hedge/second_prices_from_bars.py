"""Prices of bad days, second by second: published bars, and a seeded path inside each of them.

Only the bars are published. Inside a bar a path goes from the close of the bar before through its two
extremes to its close, at times drawn by lot, as a Brownian bridge that stays within the bar. One series is of
trades, and has its seconds published. All is integers, so one seed gives one path on every machine.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from itertools import pairwise
from math import isqrt
from pathlib import Path
from typing import NamedTuple

from backstop.model.arithmetic import BASIS_POINTS, div_up
from backstop.randomness import SCALE, SeededRandom

UNIT = 10**8
"""Prices are integers in units of 1e-8 dollars."""
SERIES = ("eth-2020-03-12", "eth-2021-05-19", "btc-2025-10-10", "avax-2025-10-10")
SYNTHETIC = SERIES[:3]
"""Series of which only bars are published."""
_FOLDER = Path(__file__).parent / "bars"


class Bar(NamedTuple):
    """Open, high, low and close prices of a few minutes [1e-8 dollars], and their start [seconds]."""

    at: int
    open: int
    high: int
    low: int
    close: int


@cache
def load_series(name: str) -> tuple[tuple[int, ...], ...]:
    """Return the rows of a published series: Unix time in seconds, and prices in 1e-8 dollars."""
    lines = (_FOLDER / f"{name}.csv").read_text().splitlines()
    reader = csv.reader(line for line in lines if not line.startswith("#"))
    next(reader)
    return tuple(
        (_parse_iso_timestamp(at), *(int(Decimal(each) * UNIT) for each in prices)) for at, *prices in reader
    )


def list_prices_for_every_second(series_name: str, seed: int) -> list[int]:
    """Return a series' price at each second [1e-8 dollars].

    If only bars are published, the seconds within a bar are drawn from the seed.
    """
    rows = load_series(series_name)
    if series_name not in SYNTHETIC:
        path: list[int] = []
        for (at, price), (until, _) in pairwise(rows):
            path += [price] * (until - at)
        return [*path, rows[-1][1]]
    bars, path = [Bar(*row) for row in rows], [rows[0][1]]
    length = bars[1].at - bars[0].at
    for index, bar in enumerate(bars):
        path += fill_bar(bar, path[-1], length, SeededRandom(seed, series_name, index))
    return path


def fill_bar(bar: Bar, before: int, length: int, dice: SeededRandom) -> list[int]:
    """Return random prices for the seconds of a bar, through both extremes to its close.

    `before` is the close of the previous bar, `length` the bar's length in seconds.
    """
    low, high = min(bar.low, before), max(bar.high, before)
    first, second = sorted(1 + dice.draw_index(length - 1) for _ in range(2))
    second = max(second, first + 1)
    extremes = (bar.low, bar.high) if dice.draw_index(2) else (bar.high, bar.low)
    anchors = [(0, before), (first, extremes[0]), (second, extremes[1]), (length, bar.close)]
    if second == length:  # the close is where the second extreme would be
        anchors.pop(2)
    path = [before] * (length + 1)
    for (start, price), (end, last) in pairwise(anchors):
        path[start], path[end] = price, last
        _fill_bridge(path, start, end, (low, high, length), dice)
    return path[1:]


def _fill_bridge(
    path: list[int], start: int, end: int, within: tuple[int, int, int], dice: SeededRandom
) -> None:
    """Fill the prices between two seconds of `path` by a Brownian bridge, the middle second first.

    Its deviation grows with the bar's range and the root of time. `within` is (low, high, length) of the bar.
    """
    if end - start < 2:
        return
    low, high, length = within
    middle = (start + end) // 2
    spread = (high - low) * isqrt((end - start) * 10**6 // length) // 3_200
    mean = path[start] + (path[end] - path[start]) * (middle - start) // (end - start)
    path[middle] = min(high, max(low, mean + spread * dice.draw_scaled_normal() // SCALE))
    _fill_bridge(path, start, middle, within, dice)
    _fill_bridge(path, middle, end, within, dice)


def largest_move(path: Sequence[int], window: int) -> int:
    """Return the largest move of a price within `window` seconds [bps], rounded up.

    The move is a share of the earlier price.
    """
    most = 0
    lows, highs = _compute_extremes(path, window, lower=True), _compute_extremes(path, window, lower=False)
    for price, low, high in zip(path, lows, highs, strict=True):
        fall, rise = div_up((high - price) * BASIS_POINTS, high), div_up((price - low) * BASIS_POINTS, low)
        most = max(most, fall, rise)
    return most


def _compute_extremes(path: Sequence[int], window: int, *, lower: bool) -> list[int]:
    """Return, for each second, the lowest or highest price of it and of the `window` seconds before."""
    waiting: list[int] = []
    head, found = 0, []
    for index, price in enumerate(path):
        while len(waiting) > head and (price <= path[waiting[-1]] if lower else price >= path[waiting[-1]]):
            waiting.pop()
        waiting.append(index)
        if waiting[head] < index - window:
            head += 1
        found.append(path[waiting[head]])
    return found


def _parse_iso_timestamp(text: str) -> int:
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())
