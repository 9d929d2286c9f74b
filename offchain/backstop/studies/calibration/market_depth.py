"""How deep markets are and how fast they recover, as constant-product markets that lose as much.

Such a market of depth D with a fee f brings (1 - f) * D / (D + size) of a sale's worth: its reciprocal is a
straight line in the size. Depths of venues add up, since whoever sells splits the sale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log as natural

import numpy as np
from scipy.stats import linregress

from backstop.simulation.sources.depth_reader import BILLIONTH, MICRO, DepthQuote, DepthQuotes
from backstop.studies.calibration.jackknife import (
    Figure,
    compute_figure_with_jackknife_interval,
    cut_jackknife_stretches,
    round_figure,
)

SNAPSHOTS = 20
"""Times of depth that a recovery needs at least."""

_FEWEST = 3  # sizes that a line needs to say how well it fits


@dataclass(frozen=True)
class MarketFigures:
    """What is measured of one asset's markets; None where the file does not tell."""

    depth: Figure | None = None  # dollars on one side, of all venues
    lowest: float | None = None  # dollars: the depth that one snapshot in twenty is under
    fee: Figure | None = None  # share
    recovery: Figure | None = None  # seconds in which a hole shrinks to 37%
    venues: int = 0
    quotes: int = 0


def measure_market(depth: DepthQuotes, symbol: str) -> MarketFigures:
    """Measure one asset's markets; leave out venues whose sales of several sizes make no line."""
    quotes = depth.get_quotes(symbol)
    venues = {quote.venue for quote in quotes}
    lined = {
        venue for venue in venues if _fit_depth_and_fee([q for q in quotes if q.venue == venue]) is not None
    }
    kept = [quote for quote in quotes if quote.venue in lined]
    if not kept:
        return MarketFigures(venues=len(venues), quotes=len(quotes))
    whole = _sum_venue_depths_and_fee(kept)
    assert whole is not None
    parts = [
        found
        for cut in cut_jackknife_stretches(len(kept))
        if (found := _sum_venue_depths_and_fee(kept[: cut.start] + kept[cut.stop :]))
    ]
    unbounded = len(parts) < _FEWEST + 1 or lined != venues
    figures = [
        Figure(each.value, None, None) if unbounded else each
        for each in (
            compute_figure_with_jackknife_interval(whole[0], [part[0] for part in parts], "logarithm"),
            compute_figure_with_jackknife_interval(whole[1], [part[1] for part in parts], "as it is"),
        )
    ]
    series = _compute_depth_series(kept)
    lowest = (
        None if len(series) < SNAPSHOTS else round_figure(float(np.quantile(list(series.values()), 0.05)))
    )
    return MarketFigures(
        figures[0], lowest, figures[1], _estimate_depth_recovery_time(series), len(venues), len(quotes)
    )


def _fit_depth_and_fee(quotes: Sequence[DepthQuote]) -> tuple[float, float] | None:
    """Return depth [dollars] and fee of the market that loses most nearly as much; None where none does."""
    sizes = [quote.size / MICRO for quote in quotes]
    if len(set(sizes)) < 2:
        return None
    left = [1 / (1 - quote.impact / BILLIONTH) for quote in quotes]
    found = linregress(sizes, left)
    slope, level = float(found.slope), float(found.intercept)
    if slope <= 0 or level <= 0:
        return None
    return level / slope, max(0.0, 1 - 1 / level)


def _sum_venue_depths_and_fee(quotes: Sequence[DepthQuote]) -> tuple[float, float] | None:
    """Return the depth of all venues together, and their fee by depth; None if one makes no line."""
    lines = [
        _fit_depth_and_fee([q for q in quotes if q.venue == venue])
        for venue in sorted({q.venue for q in quotes})
    ]
    found = [line for line in lines if line is not None]
    if not found or len(found) < len(lines):
        return None
    depth = sum(line[0] for line in found)
    return depth, sum(line[0] * line[1] for line in found) / depth


def _compute_depth_series(quotes: Sequence[DepthQuote]) -> dict[int, float]:
    """Return the depth at each time at which every venue was quoted in several sizes [dollars]."""
    venues = {quote.venue for quote in quotes}
    at: dict[int, list[DepthQuote]] = {}
    for quote in quotes:
        at.setdefault(quote.time, []).append(quote)
    found = {}
    for time, there in at.items():
        depth = _sum_venue_depths_and_fee(there) if {quote.venue for quote in there} == venues else None
        if depth is not None:
            found[time] = depth[0]
    return found


def _estimate_depth_recovery_time(depth_by_time: dict[int, float]) -> Figure | None:
    """Return the time in which a hole in the depth shrinks to 37% of itself, as a scenario's does [seconds].

    A logarithm of depth that goes back by the same share of its gap in each step is a regression of each on
    the one before; its known bias in short series is added back.
    """
    times = list(depth_by_time)
    if len(times) < SNAPSHOTS:
        return None
    steps = np.diff(times)
    usual = int(np.median(steps))
    logs = np.array([natural(each) for each in depth_by_time.values()])
    pairs = np.stack([logs[:-1], logs[1:]], axis=1)[steps == usual]
    if len(pairs) < SNAPSHOTS:
        return None
    whole = _fit_recovery_time(pairs, usual)
    parts = []
    for cut in cut_jackknife_stretches(len(pairs)):
        parts.append(_fit_recovery_time(np.concatenate([pairs[: cut.start], pairs[cut.stop :]]), usual))
    if whole is None or any(part is None for part in parts):
        return None
    return compute_figure_with_jackknife_interval(
        whole, [part for part in parts if part is not None], "logarithm"
    )


def _fit_recovery_time(pairs: np.ndarray, step: int) -> float | None:
    kept = float(linregress(pairs[:, 0], pairs[:, 1]).slope)
    kept += (1 + 3 * kept) / len(pairs)
    if not 0 < kept < 1:
        return None
    return -step / natural(kept)
