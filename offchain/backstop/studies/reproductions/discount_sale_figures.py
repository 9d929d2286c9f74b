"""Figures of one run of sales at a fixed discount: debt, sales, bonuses and losses in exact fractions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from backstop.model.arithmetic import RAD, WAD
from backstop.simulation.scenario import Scenario
from backstop.simulation.simulator import simulate
from backstop.studies.risk_questions.path_runner import load_with_changes


class SaleFigures(NamedTuple):
    """Liquidations at a fixed discount in one run [stablecoins].

    Times are in seconds from the scenario's start.
    """

    sales: int
    sold: Fraction  # collateral, in whole coins of all types
    repaid: Fraction
    booked: Fraction  # losses that sales left
    unbooked: Fraction  # debt beyond collateral at the market's last price
    bonus: Fraction  # buyers' part, at the feed's prices
    fee: Fraction  # protocol's part, at the feed's prices
    debt: Fraction  # principal of all vaults at the end
    first_at: int | None
    last_at: int | None

    @property
    def bad_debt(self) -> Fraction:
        """Booked losses, and debt beyond the collateral's worth [stablecoins]."""
        return self.booked + self.unbooked

    @property
    def minutes(self) -> Fraction:
        """Minutes from the first sale to the last; 0 without a sale."""
        if self.first_at is None or self.last_at is None:
            return Fraction(0)
        return Fraction(self.last_at - self.first_at, 60)


def load_changed_scenario(file: str, changes: Mapping[str, str]) -> Scenario:
    """Load a scenario file of this package, with new texts for the fields at these dotted paths."""
    return load_with_changes(Path(__file__).with_name(file), changes, "change")


def play_sales(scenario: Scenario, seed: int) -> SaleFigures:
    """Run a scenario on contracts and model, and return the figures of its discount sales."""
    summary, tables, _ = simulate(scenario, "revm", seed)
    types = summary["collateral_types"]
    sold = [each["discount_sales"] for each in types if "discount_sales" in each]
    times = [row[1] - scenario.start for row in tables["events"] if row[3] == "CollateralSold"]
    # A sale's bonus rate is that of all sales: the worth of a fee follows from the payment.
    events = [row[4][-4:] for row in tables["events"] if row[3] == "CollateralSold"]
    fees = (
        sum((Fraction(fee * paid, lot - fee) for lot, fee, paid, _ in events if lot > fee), Fraction()) / WAD
    )
    paid_in_all = sum(Fraction(each[2], WAD) for each in events)

    def sum_amounts(name: str, unit: int) -> Fraction:
        return sum((Fraction(int(each[name]), unit) for each in sold), Fraction())

    bonus = sum_amounts("bonus_wad", WAD)
    return SaleFigures(
        sales=sum(each["sales"] for each in sold),
        sold=sum_amounts("sold_wad", WAD),
        repaid=sum_amounts("repaid_rad", RAD),
        booked=sum_amounts("lost_rad", RAD),
        unbooked=sum((Fraction(int(each["underwater_rad"]), RAD) for each in types), Fraction()),
        bonus=bonus,
        fee=fees * (1 + bonus / paid_in_all) if events else Fraction(),
        debt=sum((Fraction(int(each["debt_rad"]), RAD) for each in types), Fraction()),
        first_at=min(times, default=None),
        last_at=max(times, default=None),
    )


def set_debt(scenario: Scenario, owner: str, debt: int) -> Scenario:
    """Return the scenario with another debt of this owner's vault [wad]."""
    vaults = tuple(replace(each, debt=debt) if each.owner == owner else each for each in scenario.vaults)
    return replace(scenario, vaults=vaults)
