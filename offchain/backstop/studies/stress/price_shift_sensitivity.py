"""Sensitivity of losses to prices: the same paths with prices moved right after the start.

Each path is its own control (common random numbers), so that a difference of a few stablecoins shows among
losses of millions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from backstop.model.arithmetic import BASIS_POINTS
from backstop.studies.stress.columns import OutcomeColumns, Rows
from backstop.studies.stress.engines import Task
from backstop.studies.stress.path_statistics import estimate_mean_with_interval
from backstop.studies.stress.stress_summary import convert_estimate_to_integers


def build_shifted_tasks(task: Task, by: int) -> dict[str, Task]:
    """Return tasks of the same study in which prices are shifted by `by` basis points.

    The keys are "down" and "up" for all prices, and "down-SYMBOL" for one price alone. The latter are left
    out if there is only one price.
    """
    symbols = task.scenario.price_names
    shifts = {"down": dict.fromkeys(symbols, -by), "up": dict.fromkeys(symbols, by)}
    if len(symbols) > 1:
        shifts |= {f"down-{symbol}": {symbol: -by} for symbol in symbols}
    return {
        name: replace(task, scenario=replace(task.scenario, shifts=shift)) for name, shift in shifts.items()
    }


def estimate_price_shift_sensitivity(
    task: Task, shift_bps: int, base_outcomes: Rows, shifted_outcomes: Mapping[str, Rows]
) -> dict[str, Any]:
    """Estimate how bad debt changes with prices, on the same paths.

    The result has `slope` and `convexity` for a rise of all prices by 1%, and `falls`: the increase of each
    type's bad debt if one price alone falls by `shift_bps`.
    """
    columns = OutcomeColumns.from_parameters(task.scenario.parameters)
    whole, percents = columns.get_index("bad_debt"), shift_bps / (BASIS_POINTS / 100)
    down, here, up = (
        rows[:, whole].astype(float)
        for rows in (shifted_outcomes["down"], base_outcomes, shifted_outcomes["up"])
    )
    return {
        "shift_bps": shift_bps,
        "slope": convert_estimate_to_integers(
            estimate_mean_with_interval((up - down) / (2 * percents)), "micro"
        ),
        "convexity": convert_estimate_to_integers(
            estimate_mean_with_interval((up - 2 * here + down) / percents**2), "micro"
        ),
        "falls": [
            {
                "shifted": symbol,
                "changes": _estimate_bad_debt_increases(
                    columns, base_outcomes, shifted_outcomes[f"down-{symbol}"]
                ),
            }
            for symbol in task.scenario.price_names
            if f"down-{symbol}" in shifted_outcomes
        ],
    }


def _estimate_bad_debt_increases(
    columns: OutcomeColumns, base: Rows, fallen: Rows
) -> Sequence[dict[str, Any]]:
    found = []
    for symbol in columns.types:
        place = columns.get_index(f"bad_debt_{symbol}")
        more = fallen[:, place] - base[:, place]
        found.append(
            {
                "symbol": symbol,
                "more": convert_estimate_to_integers(estimate_mean_with_interval(more), "micro"),
            }
        )
    return found
