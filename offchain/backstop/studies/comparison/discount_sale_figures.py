"""Figures of sales at a fixed discount, for runs side by side: sold amounts and unbooked losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backstop.simulation.discount_sale_totals import sum_discount_sales
from backstop.studies.comparison.run_comparison_lines import Line


def collect_discount_sale_figures(summary: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return number, principal [rad], payments and bonus [wad] of a run's discount sales.

    None if no type is sold at a discount. Amounts are texts.
    """
    if not any("discount_sales" in entry for entry in summary["collateral_types"]):
        return None
    totals = sum_discount_sales(summary)
    return {
        "count": totals.sales,
        "principal_rad": str(totals.principal),
        "paid_wad": str(totals.paid),
        "bonus_wad": str(totals.bonus),
    }


def sum_unbooked_debt(summary: Mapping[str, Any]) -> int:
    """Return debt beyond its collateral's market worth at a run's end [rad].

    Debt that is booked as a loss is not included.
    """
    return sum(int(entry["underwater_rad"]) for entry in summary["collateral_types"])


def has_discount_sales(comparison: Mapping[str, Any]) -> bool:
    """Return whether any run of a comparison has types that are sold at a fixed discount."""
    return any(row.get("sales") for row in comparison["presets"])


def has_sales_at_once(comparison: Mapping[str, Any]) -> bool:
    """Return whether any run of a comparison sells vaults in the same call that liquidates them."""
    return has_discount_sales(comparison) or any(row.get("pools") for row in comparison["presets"])


def list_discount_sale_line_specs(comparison: Mapping[str, Any]) -> list[Line]:
    """Return the table lines on discount sales; empty if no run has such a type."""
    if not has_discount_sales(comparison):
        return []
    return [
        Line("debt sold at a discount", "sales.principal_rad", "rad"),
        Line("  repaid by buyers", "sales.paid_wad", "wad"),
        Line("  buyers' bonus", "sales.bonus_wad", "wad"),
    ]


def list_unbooked_debt_line_specs(comparison: Mapping[str, Any]) -> list[Line]:
    """Return the table line on losses that are not booked at the end.

    Empty if no run sells vaults in the call that liquidates them.
    """
    if not has_sales_at_once(comparison):
        return []
    return [Line("owed beyond collateral, not booked", "unbooked_rad", "rad")]
