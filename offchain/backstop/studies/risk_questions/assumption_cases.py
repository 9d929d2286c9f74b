"""Other worlds than the file's, in which an answer should still hold: each changes one assumption."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from backstop.keepers.keeper_group_settings import KeeperGroup
from backstop.simulation.scenario import Scenario
from backstop.simulation.scenario.scenario_random_processes import PriceModel
from backstop.simulation.scenario.scenario_records import MarketDepth, PricePath

WILDER = 3, 2
"""By how much moves are larger: half as much again."""

SHIFT = 500
"""Basis points that prices are lower from the second block on."""


def build_scenario_changes_by_name() -> Mapping[str, Callable[[Scenario], Scenario]]:
    """Return what changes a scenario's assumptions, by what it says."""
    return {
        "moves half as large again": _raise_volatility,
        "all prices 5% lower": lambda day: replace(day, shifts=dict.fromkeys(day.price_names, -SHIFT)),
        "markets half as deep": lambda day: replace(
            day, markets={symbol: _halve_depth(each) for symbol, each in day.markets.items()}
        ),
        "markets that keep their depth": lambda day: replace(
            day, markets={symbol: _keep_depth(each) for symbol, each in day.markets.items()}
        ),
        "markets that recover half as fast": lambda day: replace(
            day, markets={symbol: _double_recovery(each) for symbol, each in day.markets.items()}
        ),
        "bidders with half the capital": lambda day: replace(
            day, keepers=tuple(_halve_bidder_capital(group) for group in day.keepers)
        ),
        "keepers that fail twice as often": lambda day: replace(
            day, keepers=tuple(_double_failure_frequency(group) for group in day.keepers)
        ),
    }


def _raise_volatility(day: Scenario) -> Scenario:
    prices, assets = (
        {name: _scale_path_volatility(path) for name, path in paths.items()}
        for paths in (day.prices, day.asset_prices)
    )
    return replace(day, prices=prices, asset_prices=assets)


def _scale_path_volatility(path: PricePath) -> PricePath:
    return path if path.model is None else replace(path, model=_scale_model_volatility(path.model))


def _scale_model_volatility(model: PriceModel) -> PriceModel:
    times, of = WILDER
    jumps = model.jumps
    if jumps is not None:
        jumps = replace(jumps, mean=jumps.mean * times // of, deviation=jumps.deviation * times // of)
    return replace(
        model,
        volatility=model.volatility * times // of,
        jumps=jumps,
        returns=tuple(move * times / of for move in model.returns),
    )


def _halve_depth(market: MarketDepth) -> MarketDepth:
    return replace(market, depth=market.depth // 2, debt_to_depth=2 * market.debt_to_depth)


def _keep_depth(market: MarketDepth) -> MarketDepth:
    return replace(market, depth_after_fall=None)


def _double_recovery(market: MarketDepth) -> MarketDepth:
    return replace(market, recovery=2 * market.recovery)


def _halve_bidder_capital(keeper_group: KeeperGroup) -> KeeperGroup:
    return (
        replace(keeper_group, capital=keeper_group.capital // 2)
        if keeper_group.role == "bidder"
        else keeper_group
    )


def _double_failure_frequency(keeper_group: KeeperGroup) -> KeeperGroup:
    if keeper_group.fails is None:
        return keeper_group
    return replace(
        keeper_group, fails=replace(keeper_group.fails, every=max(60, keeper_group.fails.every // 2))
    )
