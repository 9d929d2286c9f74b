"""Other worlds than the file's, in which an answer should still hold: each changes one assumption."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from backstop.keepers.keeper_group_settings import KeeperGroup
from backstop.simulation.scenario import Scenario
from backstop.simulation.scenario.scenario_random_processes import PriceModel
from backstop.simulation.scenario.scenario_records import MarketDepth, PricePath
from backstop.simulation.sources.default_owner_behavior import read_default_owner_behavior

WILDER = 3, 2
"""By how much moves are larger: half as much again."""

SHIFT = 500
"""Basis points that prices are lower from the second block on."""

HOUR = 3_600
"""Seconds between two looks of the default's owners."""

REACTING_OWNERS, STILL_OWNERS = "owners who react", "owners who stand still"


def build_scenario_changes_by_name() -> Mapping[str, Callable[[Scenario], Scenario]]:
    """Return functions that each change one assumption of a scenario, by the change's name.

    A function returns an equal scenario if there is nothing to change.
    """
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
        REACTING_OWNERS: _add_default_owners,
        STILL_OWNERS: lambda day: replace(day, owners=None),
    }


def find_other_reaction(day: Scenario) -> tuple[str, Scenario] | None:
    """Return name and scenario of the case with the opposite reaction of owners.

    Reacting owners become idle, and idle owners react by the package's default. None if the default's
    interval of an hour is no whole number of blocks.
    """
    changes = build_scenario_changes_by_name()
    name = REACTING_OWNERS if day.owners is None else STILL_OWNERS
    changed = changes[name](day)
    return None if changed == day else (name, changed)


def _add_default_owners(day: Scenario) -> Scenario:
    if day.owners is not None or HOUR % day.block_time:
        return day
    return replace(day, owners=read_default_owner_behavior(day.block_time))


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
