"""Charts of the margin market: who paid for its losses, in which order, and when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backstop.model.arithmetic import WAD
from backstop.report import amounts
from backstop.report.frames import records, table
from backstop.report.loss_charts import Step, falling
from backstop.report.plotting import Chart, Key, bars, from_zero, milliseconds, plotted, time_axis, titled
from backstop.report.price_charts import bucket_seconds
from backstop.simulation.bearers import PAYERS
from backstop.simulation.headline import margin_left
from backstop.simulation.run_directory import Run

COLORS = {
    "clawed_back": "@withdrawn",
    "insured": "@insurance",
    "taken": "@winners",
    "posted": "@protocol",
    "cut": "@later",
}


def steps(summary: Mapping[str, Any]) -> list[Step]:
    """List what each payer paid for the margin market's losses [wad]."""
    margin = summary["margin"]
    return [Step(name, int(margin[f"{kind}_wad"]), COLORS[kind]) for kind, name in PAYERS.items()]


def margin_waterfall(run: Run) -> Chart | None:
    """Draw what accounts owed beyond their margin, what each payer paid, and what is unpaid."""
    summary = run.summary
    if not summary.get("margin"):
        return None
    whole = Step("owed", int(summary["margin"]["loss_wad"]), "@loss")
    left = Step("paid by nobody", margin_left(summary["margin"]), "@outstanding")
    title = "The losses of the margin market"
    return falling("margin-waterfall", title, whole, steps(summary), left, WAD)


def margin_payments(run: Run) -> Chart | None:
    """Draw who paid how much and when, as bars from the first payment to the last."""
    rows = [
        row
        for row in records(table(run, "margin_payments"))
        if row["kind"] in PAYERS and int(row["paid_wad"])
    ]
    if not rows:
        return None
    first, last = int(rows[0]["timestamp"]), int(rows[-1]["timestamp"])
    bucket = bucket_seconds(max(3_600, last - first))
    paid: dict[str, dict[int, int]] = {kind: {} for kind in PAYERS}
    heights: dict[int, int] = {}
    for row in rows:
        at, amount = int(row["timestamp"]) // bucket * bucket, int(row["paid_wad"])
        for bars_of in (paid[row["kind"]], heights):
            bars_of[at] = bars_of.get(at, 0) + amount
    found = {kind: of for kind, of in paid.items() if of}
    figure = {
        "data": [
            bars(PAYERS[kind], milliseconds(of), plotted(of.values(), WAD), COLORS[kind], bucket * 1000)
            for kind, of in found.items()
        ],
        "layout": {
            "height": 240,
            "barmode": "stack",
            "xaxis": time_axis(min(heights) - bucket, max(heights) + 2 * bucket),
            "yaxis": {"range": from_zero(plotted(heights.values(), WAD)), "tickformat": "~s", "nticks": 4}
            | {"title": titled("stablecoins")},
        },
    }
    sums = "; ".join(f"{PAYERS[kind]} {amounts.compact(sum(of.values()), WAD)}" for kind, of in found.items())
    span = f"from {amounts.moment(first)} to {amounts.moment(last)}"
    label = f"Payments for losses of the margin market, {span}: {sums}."
    legend = tuple(Key(PAYERS[kind], f"{COLORS[kind]}:b3", "area") for kind in found)
    return Chart("margin-payments", "When they paid", label, figure, legend)
