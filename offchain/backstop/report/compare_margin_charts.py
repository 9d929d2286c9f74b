"""Charts of the margin market in a comparison: the payers, and the positions closed by force."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backstop.model.arithmetic import WAD
from backstop.report import amounts
from backstop.report.chart_parts import Chart, LegendKey
from backstop.report.margin_loss_payment_charts import COLORS
from backstop.report.named_bars import BarPart, build_stacked_bars
from backstop.simulation.loss_bearers import PAYERS


def draw_margin_payers(comparison: Mapping[str, Any]) -> Chart | None:
    """Return the chart of the margin market's losses by payer and preset; None without a loss."""
    rows = comparison["presets"]
    if not any(row["margin"] and int(row["margin"]["loss_wad"]) for row in rows):
        return None
    names = [row["title"] for row in rows]
    parts = [
        BarPart(name, COLORS.get(kind, "@outstanding"), [int(row["margin"][f"{kind}_wad"]) for row in rows])
        for kind, name in {**PAYERS, "not_paid": "not paid"}.items()
    ]
    parts = [part for part in parts if any(part.values)]
    told = [
        f"{names[i]}: {part.name} {amounts.format_compact(value, WAD)}"
        for part in parts
        for i, value in enumerate(part.values)
        if value
    ]
    legend = tuple(LegendKey(part.name, part.color, "area") for part in parts)
    label = f"Payers of the margin market's losses, by preset: {'; '.join(told)}."
    return Chart("margin-payers", "Payers", label, build_stacked_bars(names, parts, WAD), legend)


def draw_closed_positions(comparison: Mapping[str, Any]) -> Chart | None:
    """Return the chart of positions closed by deleveraging, by preset; None if none were closed.

    It also shows how much more would be closed if whole positions were closed.
    """
    rows = comparison["presets"]
    if not any(row["margin"] and row["margin"]["closed"] for row in rows):
        return None
    names = [row["title"] for row in rows]
    parts = [
        BarPart(name, shade, [int(row["margin"][figure]) for row in rows])
        for name, shade, figure in (
            ("closed", "@first", "closed_wad"),
            ("beyond it, by whole positions", "@loss", "greedy_excess_wad"),
        )
    ]
    told = [
        f"{names[i]}: {part.name} {amounts.format_compact(value, WAD)}"
        for part in parts
        for i, value in enumerate(part.values)
    ]
    legend = tuple(LegendKey(part.name, part.color, "area") for part in parts)
    label = f"Positions closed against those of debtors, at the mark: {'; '.join(told)}."
    return Chart(
        "margin-closed", "Positions closed by force", label, build_stacked_bars(names, parts, WAD), legend
    )
