"""Sensitivity of losses to prices: the same paths with prices moved right after the start.

Each path is its own control (common random numbers), so that a difference of a few stablecoins shows among
losses of millions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from backstop.model.arithmetic import BASIS_POINTS
from backstop.studies.stress.columns import Columns, Rows
from backstop.studies.stress.engines import Task
from backstop.studies.stress.path_statistics import estimate_mean
from backstop.studies.stress.stress_summary import round_estimate


def build_shifted_tasks(task: Task, by: int) -> dict[str, Task]:
    """Build the extra studies: all prices `by` basis points down and up, and each price alone down."""
    symbols = task.scenario.price_names
    shifts = {"down": dict.fromkeys(symbols, -by), "up": dict.fromkeys(symbols, by)}
    if len(symbols) > 1:
        shifts |= {f"down-{symbol}": {symbol: -by} for symbol in symbols}
    return {
        name: replace(task, scenario=replace(task.scenario, shifts=shift)) for name, shift in shifts.items()
    }


def estimate_sensitivity(task: Task, by: int, base: Rows, moved: Mapping[str, Rows]) -> dict[str, Any]:
    """Estimate slope and convexity of bad debt for 1% of all prices, and each price's own effect."""
    columns = Columns.from_parameters(task.scenario.parameters)
    whole, percents = columns.get_index("bad_debt"), by / (BASIS_POINTS / 100)
    down, here, up = (rows[:, whole].astype(float) for rows in (moved["down"], base, moved["up"]))
    return {
        "shift_bps": by,
        "slope": round_estimate(estimate_mean((up - down) / (2 * percents)), "micro"),
        "convexity": round_estimate(estimate_mean((up - 2 * here + down) / percents**2), "micro"),
        "falls": [
            {"shifted": symbol, "changes": _estimate_changes(columns, base, moved[f"down-{symbol}"])}
            for symbol in task.scenario.price_names
            if f"down-{symbol}" in moved
        ],
    }


def _estimate_changes(columns: Columns, base: Rows, fallen: Rows) -> Sequence[dict[str, Any]]:
    found = []
    for symbol in columns.types:
        place = columns.get_index(f"bad_debt_{symbol}")
        more = fallen[:, place] - base[:, place]
        found.append({"symbol": symbol, "more": round_estimate(estimate_mean(more), "micro")})
    return found
