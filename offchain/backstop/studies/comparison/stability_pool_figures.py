"""Figures of stability pools, for runs side by side: debt repaid, collateral received, members' gain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backstop.simulation.stability_pool_totals import sum_stability_pool_figures
from backstop.studies.comparison.run_comparison_lines import Line


def collect_stability_pool_figures(summary: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the totals of a run's stability pools, amounts as text.

    None if the run has no pool.
    """
    totals = sum_stability_pool_figures(summary)
    if totals is None:
        return None
    offsets = totals.pop("offsets")
    return {"count": offsets, **{name: str(value) for name, value in totals.items()}}


def list_stability_pool_line_specs(comparison: Mapping[str, Any]) -> list[Line]:
    """Return the table lines on stability pools; empty if no run has one."""
    if not any(row.get("pools") for row in comparison["presets"]):
        return []
    return [
        Line("debt offset by stability pools", "pools.principal_rad", "rad"),
        Line("  repaid by members", "pools.paid_wad", "wad"),
        Line("  collateral got, worth then", "pools.worth_wad", "wad"),
        Line("  members' gain at the end", "pools.gain_wad", "wad"),
        Line("  liquidators' rewards", "pools.reward_worth_wad", "wad"),
        Line("  rest sent to auction", "pools.auctioned_rad", "rad"),
        Line("  rest written off", "pools.written_off_rad", "rad"),
    ]
