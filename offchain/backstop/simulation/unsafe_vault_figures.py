"""Figures of unsafe vaults: debt beyond its collateral's worth, and the repayment that restores safety."""

from __future__ import annotations

from backstop.keepers.keeper_view import KeeperView
from backstop.keepers.view_records import Auction, Workout
from backstop.model.arithmetic import BASIS_POINTS, div_up


def compute_debt_beyond_collateral(view: KeeperView, collateral_type: int) -> int:
    """Return debt of vaults, auctions and workouts beyond the worth of their collateral outside, rad.

    It is no loss yet.
    """
    market = view.outside.prices[collateral_type]
    positions: list[Auction | Workout] = [*view.auctions, *view.workouts]
    return view.sum_vault_shortfalls_at_price(collateral_type, market) + sum(
        max(0, each.principal - each.lot * market)
        for each in positions
        if each.collateral_type == collateral_type
    )


def compute_repayment_to_safety(collateral: int, debt: int, price: int, liquidation_ratio: int) -> int:
    """Return the least repayment out of a vault's collateral that brings it to its liquidation ratio [rad].

    Collateral [wad] of the same worth as the repayment leaves the vault, at the price of the feed [ray] and
    without a bonus, so that the figure is the same for every liquidation mechanism. Rounded up. Zero for a
    safe vault; all of the debt [rad] if no repayment makes the vault safe. The ratio [bps] is over 100%.
    """
    missing = debt * liquidation_ratio - collateral * price * BASIS_POINTS
    return min(debt, max(0, div_up(missing, liquidation_ratio - BASIS_POINTS)))
