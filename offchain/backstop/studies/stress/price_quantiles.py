"""Fan of prices of a study: between which prices so many paths are at each time, and the worst path's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from backstop.model.arithmetic import BASIS_POINTS
from backstop.simulation.scenario.draw_scenario import TickPrices, draw_path_outcomes
from backstop.studies.stress.engines import Task

FAN_PATHS = 200
"""Paths of the study that a fan is drawn from, its first; quantiles in between move little with more."""

LEVELS = (100, 500, 2_500, 5_000, 7_500, 9_500, 9_900)
"""Percentiles of a price at each time [bps]."""

MOST_TIMES = 120
MILLION = 10**6


def compute_price_quantiles(task: Task, paths: int, worst: int) -> list[dict[str, Any]]:
    """Return quantiles over time of each type's price, and the price on the path `worst`.

    Prices are in millionths of the first price. Each dictionary has `symbol`, `first_ray`, `seconds`,
    `worst_millionths` and `fan` (one series per level). Times after the scenario's end are left out.
    """
    scenario = task.scenario
    draws = [draw_path_outcomes(scenario, task.seed, path) for path in range(min(paths, FAN_PATHS))]
    bad = draw_path_outcomes(scenario, task.seed, worst)
    found = []
    for symbol in scenario.symbols:
        drawn = np.stack([_convert_ticks_to_floats(each.prices[symbol]) for each in draws])
        own = _convert_ticks_to_floats(bad.prices[symbol])
        even = np.linspace(0, len(own) - 1, min(MOST_TIMES, len(own))).round().astype(int)
        kept = np.unique([*even, own.argmin(), own.argmax()])
        first = int(bad.prices[symbol].ticks[0]) * bad.prices[symbol].tick
        quantiles = np.percentile(drawn[:, kept], [level * 100 / BASIS_POINTS for level in LEVELS], axis=0)
        found.append(
            {
                "symbol": symbol,
                "first_ray": str(first),
                "seconds": (kept * scenario.block_time).tolist(),
                "worst_millionths": _to_millionths(own[kept], first),
                "fan": [
                    {"level_bps": level, "millionths": _to_millionths(row, first)}
                    for level, row in zip(LEVELS, quantiles, strict=True)
                ],
            }
        )
    return found


def _convert_ticks_to_floats(prices: TickPrices) -> npt.NDArray[np.float64]:
    """Return the price at each block as a float, which is exact for nine digits."""
    return prices.ticks.astype(np.float64) * float(prices.tick)


def _to_millionths(prices: Any, first: int) -> list[int]:
    return [round(float(price) / first * MILLION) for price in prices]
