"""Figures of unsafe vaults: debt beyond its collateral's worth, and the repayment that restores safety."""

from __future__ import annotations

from backstop.keepers.keeper_view import KeeperView
from backstop.keepers.view_records import Auction, Workout
from backstop.model.arithmetic import BASIS_POINTS, div_up


def compute_debt_beyond_collateral(view: KeeperView, collateral_type: int) -> int:
    """Return the debt of vaults, auctions and workouts beyond their collateral's value [rad].

    Collateral counts at the outside market price. The result is not a loss yet.
    """
    market = view.outside.prices[collateral_type]
    positions: list[Auction | Workout] = [*view.auctions, *view.workouts]
    return view.sum_vault_shortfalls_at_price(collateral_type, market) + sum(
        max(0, each.principal - each.lot * market)
        for each in positions
        if each.collateral_type == collateral_type
    )


def compute_repayment_to_safety(collateral: int, debt: int, price: int, liquidation_ratio: int) -> int:
    """Return the least repayment from a vault's own collateral that makes the vault safe [rad].

    Collateral [wad] worth the repayment leaves the vault at `price` [ray], without a bonus, so that the
    figure is the same for every liquidation mechanism. Rounded up. 0 for a safe vault; the whole debt [rad]
    if no repayment makes it safe. The ratio [basis points] must exceed 100%.
    """
    missing = debt * liquidation_ratio - collateral * price * BASIS_POINTS
    return min(debt, max(0, div_up(missing, liquidation_ratio - BASIS_POINTS)))
