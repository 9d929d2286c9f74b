"""Depth of a market that thins out while the price outside falls, as order books do in a crash."""

from __future__ import annotations

from collections.abc import Sequence

from backstop.model.arithmetic import BASIS_POINTS
from backstop.simulation.scenario.scenario_records import MarketDepth


def count_window_blocks(market: MarketDepth, block_time: int) -> int:
    """Return the number of past blocks for the highest price, from which a market's fall is measured.

    0 if the market's depth does not depend on a fall.
    """
    return 0 if market.depth_after_fall is None else market.depth_after_fall.within // block_time


def compute_depth_after_fall(market: MarketDepth, window_prices: Sequence[int]) -> int:
    """Return a market's depth after a price fall [wad], rounded down, at least 1.

    `window_prices` are the prices of the last `within` seconds, the present one last. The depth is full at
    their highest price, falls linearly, and reaches the share `depth` at a fall of `fall` or more.
    """
    thinning = market.depth_after_fall
    if thinning is None:
        return market.depth
    highest = max(window_prices)
    whole = highest * thinning.fall
    fallen = min((highest - window_prices[-1]) * BASIS_POINTS, whole)
    lost = (BASIS_POINTS - thinning.depth) * fallen
    return max(1, market.depth * (BASIS_POINTS * whole - lost) // (BASIS_POINTS * whole))
