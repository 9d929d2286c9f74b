"""Depth and recovery of markets, as constant-product markets with equal losses.

Such a market of depth D with a fee f brings (1 - f) * D / (D + size) of a sale's worth: its reciprocal is a
straight line in the size. Depths of venues add up, since a seller splits the sale.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log as natural

import numpy as np
from scipy.stats import linregress

from backstop.simulation.sources.depth_reader import BILLIONTH, MICRO, DepthQuote, DepthQuotes
from backstop.simulation.sources.price_reader import PriceSeries, find_median_spacing
from backstop.studies.calibration.jackknife import (
    Figure,
    compute_figure_with_jackknife_interval,
    cut_jackknife_stretches,
    round_figure,
)

SNAPSHOTS = 20
"""Times of depth that a recovery needs at least, and the depth after falls, of these and of calm times."""

FALL_WINDOW = 3_600
"""Seconds before a snapshot in which the highest price is that its fall is from."""

FALLS = 5
"""Falls more than an hour apart that an interval needs: one crash says nothing of the next."""

LEAST_FALL, CALM_FALL = 0.03, 0.01
"""A snapshot is of a fall from the one on, and of a calm time under the other."""

_FEWEST = 3  # sizes that a line needs to say how well it fits


@dataclass(frozen=True)
class MarketFigures:
    """Measured figures of one asset's markets; a figure is None if the file has no data for it."""

    depth: Figure | None = None  # dollars on one side, of all venues
    lowest: float | None = None  # dollars: the depth that one snapshot in twenty is under
    fee: Figure | None = None  # share
    recovery: Figure | None = None  # seconds in which a hole shrinks to 37%
    venues: int = 0
    quotes: int = 0
    left_after_falls: Figure | None = None  # share of the calm depth
    mean_fall: float = 0.0  # share: of the snapshots of falls
    fall_snapshots: int = 0


def measure_market(depth: DepthQuotes, symbol: str, prices: PriceSeries | None = None) -> MarketFigures:
    """Measure the depth, the fee and the recovery of one asset's markets.

    A venue is left out if its quotes of several sizes fit no constant product market. Without `prices`, the
    depth after price drops is not measured.
    """
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
        Figure(round_figure(whole[k]), None, None)
        if unbounded
        else compute_figure_with_jackknife_interval(whole[k], [part[k] for part in parts], scale)
        for k, scale in enumerate(("logarithm", "as it is"))
    ]
    series = _compute_depth_series(kept)
    lowest = (
        None if len(series) < SNAPSHOTS else round_figure(float(np.quantile(list(series.values()), 0.05)))
    )
    falls = {} if prices is None else _compute_falls(list(series), prices)
    after = [time for time, fall in falls.items() if fall >= LEAST_FALL]
    return MarketFigures(
        figures[0],
        lowest,
        figures[1],
        _estimate_depth_recovery_time(series),
        len(venues),
        len(quotes),
        _estimate_depth_left_after_falls(series, falls),
        sum(falls[time] for time in after) / max(1, len(after)),
        len(after),
    )


def _fit_depth_and_fee(quotes: Sequence[DepthQuote]) -> tuple[float, float] | None:
    """Return depth [dollars] and fee of the constant product market that fits the quotes best.

    None if no market fits.
    """
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
    """Return the total depth of all venues [dollars], and their fee weighted by depth.

    None if the quotes of a venue fit no market.
    """
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
    """Return the total depth by time [dollars], for times with fitting quotes of all venues."""
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


def _compute_falls(times: Sequence[int], prices: PriceSeries) -> dict[int, float]:
    """Return, by time, the price drop from the highest price of the hour before, as a share.

    Times without a whole hour of prices before them are left out. The result is empty if prices are usually
    more than an hour apart.
    """
    if find_median_spacing([after - before for before, after in pairwise(prices.times)]) > FALL_WINDOW:
        return {}
    found = {}
    for time in times:
        if prices.times[0] <= time - FALL_WINDOW and time <= prices.times[-1]:
            first, last = bisect_left(prices.times, time - FALL_WINDOW), bisect_right(prices.times, time)
            highest = max(prices.get_price(time - FALL_WINDOW), *prices.values[first:last])
            found[time] = 1 - prices.get_price(time) / highest
    return found


def _estimate_depth_left_after_falls(
    depth_by_time: dict[int, float], fall_by_time: dict[int, float]
) -> Figure | None:
    """Return the ratio of mean depth after price drops to mean depth in calm times.

    None with fewer than SNAPSHOTS times of either kind. The interval has no ends if there are fewer than
    FALLS separate drops, or if one stretch of the file has all of them.
    """
    rows = [(fall, depth_by_time[time]) for time, fall in fall_by_time.items()]

    def compute_ratio(part: Sequence[tuple[float, float]]) -> float | None:
        after = [depth for fall, depth in part if fall >= LEAST_FALL]
        calm = [depth for fall, depth in part if fall < CALM_FALL]
        return sum(after) / len(after) / (sum(calm) / len(calm)) if after and calm else None

    counts = sum(fall >= LEAST_FALL for fall, _ in rows), sum(fall < CALM_FALL for fall, _ in rows)
    whole = compute_ratio(rows)
    if whole is None or min(counts) < SNAPSHOTS:
        return None
    parts = [
        compute_ratio(rows[: cut.start] + rows[cut.stop :]) for cut in cut_jackknife_stretches(len(rows))
    ]
    known = [part for part in parts if part is not None]
    after = [time for time, fall in fall_by_time.items() if fall >= LEAST_FALL]
    falls = 1 + sum(later - earlier > FALL_WINDOW for earlier, later in pairwise(after))
    if falls < FALLS or len(known) < len(parts):
        return Figure(round_figure(whole), None, None)
    return compute_figure_with_jackknife_interval(whole, known, "logarithm")


def _estimate_depth_recovery_time(depth_by_time: dict[int, float]) -> Figure | None:
    """Return the time in which a gap in the depth shrinks to 37%, with its interval [seconds].

    The logarithm of depth is regressed on its previous value. The known bias of short series is corrected.
    None with too few snapshots.
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
