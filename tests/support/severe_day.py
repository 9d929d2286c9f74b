"""A day on which much is liquidated, for tests of the fast engine, and its columns by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from backstop.model.arithmetic import WAD
from backstop.simulation.scenario import load_scenario
from backstop.simulation.scenario.scenario_random_processes import PriceModel
from backstop.studies.stress.fast import FastEngine

DAY = load_scenario("stress-day")
MILLION = 10**6
KEEPERS = tuple(replace(group, capital=group.capital // 10) for group in DAY.keepers)


def build_severe_day(**changes: Any) -> Any:
    """A day on which much is liquidated, of a small book on thin markets."""
    falling = PriceModel("brownian", drift=-60 * 10**9, volatility=2 * 10**9, degrees=4)
    return replace(
        DAY,
        prices={symbol: replace(path, model=falling) for symbol, path in DAY.prices.items()},
        generated={symbol: replace(book, vaults=80) for symbol, book in DAY.generated.items()},
        markets={symbol: replace(market, depth=2 * MILLION * WAD) for symbol, market in DAY.markets.items()},
        members={"junior": {"first": MILLION * WAD}, "savings": {"saver": MILLION * WAD}},
        keepers=KEEPERS,
        **changes,
    )


def map_columns(rows: Any, scenario: Any) -> dict[str, Any]:
    """The figures of each path by the name of their column."""
    return {name: rows[:, i] for i, name in enumerate(FastEngine(scenario, 1).columns.names)}
