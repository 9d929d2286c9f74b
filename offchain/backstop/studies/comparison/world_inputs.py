"""Inputs of a scenario that no system decides: owners, markets, keepers, gas. Each can be halved and doubled.

A comparison of systems shows beside each figure the inputs that move it most, so that a reader sees how much
of the figure is an assumption of the scenario.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

from backstop.keepers.keeper_group_settings import KeeperGroup, Outage, StepSeries
from backstop.model.arithmetic import BASIS_POINTS, RAY, div_up
from backstop.simulation.scenario.scenario_records import GeneratedBook, MarketDepth, Scenario, Vault

HALF, DOUBLE = Fraction(1, 2), Fraction(2)
FACTORS = (HALF, DOUBLE)


class WorldInput(NamedTuple):
    """Input of a scenario that no system decides: name, title, and a function that scales it."""

    name: str
    title: str
    scale: Callable[[Scenario, Fraction], Scenario]


def scale_owner_margins(scenario: Scenario, factor: Fraction) -> Scenario:
    """Return the scenario with each vault's collateral beyond the initial ratio times a factor.

    The initial ratio, at which owners may draw, is equal under all systems, so that all have the same vaults.
    Debts stay. Vaults below that ratio at the opening price stay unchanged.
    """
    initial = {each.symbol: each.initial_ratio for each in scenario.parameters.collateral_types}
    prices = scenario.first_prices | dict(scenario.opened_at)
    return replace(
        scenario,
        vaults=tuple(
            _scale_vault_margin(each, factor, initial[each.symbol], prices[each.symbol])
            for each in scenario.vaults
        ),
        generated={
            symbol: _scale_book_margins(book, factor, initial[symbol])
            for symbol, book in scenario.generated.items()
        },
    )


def _scale_vault_margin(vault: Vault, factor: Fraction, initial: int, price: int) -> Vault:
    needed = div_up(vault.debt * initial * RAY, price * BASIS_POINTS)
    margin = max(0, vault.locked - needed)
    return replace(vault, locked=vault.locked - margin + int(margin * factor))


def _scale_book_margins(book: GeneratedBook, factor: Fraction, initial: int) -> GeneratedBook:
    low, high = (each + int(max(0, each - initial) * (factor - 1)) for each in book.ratio)
    return replace(book, ratio=(low, high))


def scale_depths(scenario: Scenario, factor: Fraction) -> Scenario:
    """Return the scenario with the depth of every market times a factor."""

    def scale(market: MarketDepth) -> MarketDepth:
        return replace(
            market,
            depth=int(market.depth * factor),
            debt_to_depth=int(market.debt_to_depth / factor),
        )

    return replace(scenario, markets={symbol: scale(each) for symbol, each in scenario.markets.items()})


def scale_recoveries(scenario: Scenario, factor: Fraction) -> Scenario:
    """Return the scenario with the recovery time of every market times a factor."""
    return replace(
        scenario,
        markets={
            symbol: replace(each, recovery=max(each.every, int(each.recovery * factor)))
            for symbol, each in scenario.markets.items()
        },
    )


def scale_bidder_capital(scenario: Scenario, factor: Fraction) -> Scenario:
    """Return the scenario with the capital of every bidder times a factor."""

    def scale(group: KeeperGroup) -> KeeperGroup:
        return replace(group, capital=int(group.capital * factor)) if group.role == "bidder" else group

    return replace(scenario, keepers=tuple(map(scale, scenario.keepers)))


def scale_outages(scenario: Scenario, factor: Fraction) -> Scenario:
    """Return the scenario with the length of every keeper outage times a factor.

    The starts of outages stay.
    """

    def scale(group: KeeperGroup) -> KeeperGroup:
        outages = tuple(
            Outage(each.start, each.start + int((each.end - each.start) * factor)) for each in group.outages
        )
        return replace(group, outages=outages)

    return replace(scenario, keepers=tuple(map(scale, scenario.keepers)))


def scale_gas_prices(scenario: Scenario, factor: Fraction) -> Scenario:
    """Return the scenario with the gas price of every block times a factor; keepers' caps stay."""
    prices = scenario.gas_prices
    values = tuple(int(each * factor) for each in prices.values)
    return replace(scenario, gas_prices=StepSeries(prices.times, values))


INPUTS = (
    WorldInput("margins", "owners' margin", scale_owner_margins),
    WorldInput("depth", "market depth", scale_depths),
    WorldInput("recovery", "market recovery time", scale_recoveries),
    WorldInput("capital", "bidders' capital", scale_bidder_capital),
    WorldInput("outages", "keeper outages", scale_outages),
    WorldInput("gas-price", "gas price", scale_gas_prices),
)
"""The inputs, in the order in which a page lists them."""


def list_scaled_scenarios(scenario: Scenario) -> list[tuple[WorldInput, Fraction, Scenario]]:
    """Return (input, factor, scenario) with each input halved and doubled.

    Inputs that the scenario does not have are left out.
    """
    found = []
    for each in INPUTS:
        for factor in FACTORS:
            scaled = each.scale(scenario, factor)
            if scaled != scenario:
                found.append((each, factor, scaled))
    return found
