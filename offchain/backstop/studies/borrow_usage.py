"""Loans and income of a setting, compared with its losses: debt drawn, stability fees, efficiency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD, rpow
from backstop.model.ledger import YEAR
from backstop.simulation.scenario import Scenario, build_vault_book

REVENUE, DEBT = "revenue", "debt"
"""Measure compared with expected shortfall: fees of a year, or the debt where no debt pays a fee."""


@dataclass(frozen=True)
class BorrowUsage:
    """Debt, collateral, debt ceiling and yearly fees of a scenario's vaults at the opening."""

    debts: tuple[int, ...]  # wad, of each collateral type
    locked: tuple[int, ...]  # wad, of each collateral type
    ceiling: int  # wad: the global one, or the sum of the types' where that is less
    revenue: int | None  # wad: stability fees of a year; None where a curve sets them

    @property
    def debt(self) -> int:
        """Debt of all vaults [wad]."""
        return sum(self.debts)

    @property
    def share_bps(self) -> int:
        """Share of the debt ceiling that is drawn [bps], rounded down."""
        return self.debt * BASIS_POINTS // max(1, self.ceiling)


def measure_borrow_usage(scenario: Scenario, seed: int) -> BorrowUsage:
    """Return debt and collateral of a scenario's vaults at opening prices, and their yearly fees.

    Fees are those on the drawn debt over a year at the scenario's rates, compounded by the second, rounded
    down. They exclude liquidation penalties, as engines do not separate these from the proceeds of sales.
    """
    types = scenario.parameters.collateral_types
    opening = {symbol: path.points[0] for symbol, path in scenario.prices.items()}
    debts, locked = dict.fromkeys(scenario.symbols, 0), dict.fromkeys(scenario.symbols, 0)
    for vault in build_vault_book(scenario, seed, opening):
        debts[vault.symbol] += vault.debt
        locked[vault.symbol] += vault.locked
    fees = [debts[each.symbol] * (rpow(RAY + each.stability_fee, YEAR) - RAY) // RAY for each in types]
    has_curve = scenario.parameters.guards is not None and any(each.policy.curve[-1] for each in types)
    ceilings = sum(each.debt_ceiling for each in types)
    return BorrowUsage(
        tuple(debts.values()),
        tuple(locked.values()),
        min(ceilings, scenario.parameters.global_debt_ceiling) * WAD,
        None if has_curve else sum(fees),
    )


def choose_measure(usages: Sequence[BorrowUsage]) -> str:
    """Return the gain to weigh against the expected shortfall of settings: REVENUE or DEBT.

    DEBT if the revenue of a setting is unknown, or if no setting has any.
    """
    revenues = [each.revenue for each in usages]
    return DEBT if None in revenues or not any(revenues) else REVENUE


def describe_measure(usages: Sequence[BorrowUsage]) -> str:
    """Return a sentence on the gain that is weighed against expected shortfall, and on its omissions."""
    if choose_measure(usages) == REVENUE:
        return "Revenue is a year's stability fees on the debt drawn, without penalties of liquidations."
    is_unknown = None in (each.revenue for each in usages)
    why = "a curve sets the stability fees" if is_unknown else "no debt pays a stability fee"
    return f"Debt drawn stands for revenue, as {why}, and penalties of liquidations are not counted."


def find_front(gains: Sequence[int], risks: Sequence[int]) -> list[bool]:
    """Return, for each setting, whether it is efficient: no other setting dominates it.

    A setting dominates if it has more gain at no more risk, or less risk at no less gain.
    """
    pairs = list(zip(gains, risks, strict=True))
    return [
        not any((g >= gain and r < risk) or (g > gain and r <= risk) for g, r in pairs)
        for gain, risk in pairs
    ]


def find_efficient(usages: Sequence[BorrowUsage], risks: Sequence[int]) -> list[bool]:
    """Return, for each setting, whether no other setting dominates it in revenue (or debt) and risk."""
    if choose_measure(usages) == REVENUE:
        return find_front([each.revenue or 0 for each in usages], risks)
    return find_front([each.debt for each in usages], risks)
