"""Charts of the margin market: the payers of its losses, their order, and the times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backstop.model.arithmetic import WAD
from backstop.report import amounts
from backstop.report.chart_parts import (
    Chart,
    LegendKey,
    build_axis_title,
    build_bars,
    build_time_axis,
    compute_range_from_zero,
    to_milliseconds,
    to_plot_values,
)
from backstop.report.loss_charts import WaterfallStep, draw_falling_bars
from backstop.report.price_charts import choose_bucket_seconds
from backstop.report.run_frames import get_table, list_records
from backstop.simulation.loss_bearers import PAYERS
from backstop.simulation.loss_totals import sum_unpaid_margin_loss
from backstop.simulation.run_directory import Run

COLORS = {
    "clawed_back": "@withdrawn",
    "insured": "@insurance",
    "taken": "@winners",
    "posted": "@protocol",
    "cut": "@later",
}


def list_payer_steps(summary: Mapping[str, Any]) -> list[WaterfallStep]:
    """Return each payer's payment for the margin market's losses [wad], in the order of payment."""
    margin = summary["margin"]
    return [WaterfallStep(name, int(margin[f"{kind}_wad"]), COLORS[kind]) for kind, name in PAYERS.items()]


def draw_margin_waterfall(run: Run) -> Chart | None:
    """Return the chart of debts beyond margin, each payer's payment, and the rest; None without debts."""
    summary = run.summary
    if not summary.get("margin"):
        return None
    whole = WaterfallStep("owed", int(summary["margin"]["loss_wad"]), "@loss")
    left = WaterfallStep("not yet covered", sum_unpaid_margin_loss(summary["margin"]), "@outstanding")
    title = "The losses of the margin market"
    return draw_falling_bars("margin-waterfall", title, whole, list_payer_steps(summary), left, WAD)


def draw_margin_payments(run: Run) -> Chart | None:
    """Return the chart of payments for the margin market's losses over time; None without payments."""
    rows = [
        row
        for row in list_records(get_table(run, "margin_payments"))
        if row["kind"] in PAYERS and int(row["paid_wad"])
    ]
    if not rows:
        return None
    first, last = int(rows[0]["timestamp"]), int(rows[-1]["timestamp"])
    bucket = choose_bucket_seconds(max(3_600, last - first))
    paid: dict[str, dict[int, int]] = {kind: {} for kind in PAYERS}
    heights: dict[int, int] = {}
    for row in rows:
        at, amount = int(row["timestamp"]) // bucket * bucket, int(row["paid_wad"])
        for bars_of in (paid[row["kind"]], heights):
            bars_of[at] = bars_of.get(at, 0) + amount
    found = {kind: of for kind, of in paid.items() if of}
    figure = {
        "data": [
            build_bars(
                PAYERS[kind],
                to_milliseconds(of),
                to_plot_values(of.values(), WAD),
                COLORS[kind],
                bucket * 1000,
            )
            for kind, of in found.items()
        ],
        "layout": {
            "height": 240,
            "barmode": "stack",
            "xaxis": build_time_axis(min(heights) - bucket, max(heights) + 2 * bucket),
            "yaxis": {
                "range": compute_range_from_zero(to_plot_values(heights.values(), WAD)),
                "tickformat": "~s",
                "nticks": 4,
            }
            | {"title": build_axis_title("stablecoins")},
        },
    }
    sums = "; ".join(
        f"{PAYERS[kind]} {amounts.format_compact(sum(of.values()), WAD)}" for kind, of in found.items()
    )
    span = f"from {amounts.format_moment(first)} to {amounts.format_moment(last)}"
    label = f"Payments for losses of the margin market, {span}: {sums}."
    legend = tuple(LegendKey(PAYERS[kind], f"{COLORS[kind]}:b3", "area") for kind in found)
    return Chart("margin-payments", "When they paid", label, figure, legend)
