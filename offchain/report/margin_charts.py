"""Charts of the margin market: who paid for its losses, in which order, and when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from offchain.model.arithmetic import WAD
from offchain.report import amounts
from offchain.report.figures import Chart, Key, bars, from_zero, milliseconds, plotted, time_axis
from offchain.report.loss_charts import Step, falling
from offchain.report.price_charts import bucket_seconds
from offchain.report.tables import records, table

if TYPE_CHECKING:
    from offchain.runs import Run

PAYERS = {
    "clawed_back": ("withdrawn profits", "@clawback"),
    "insured": ("insurance", "@buffer"),
    "taken": ("gains, by deleveraging", "@second"),
    "posted": ("the protocol", "@protocol"),
    "cut": ("later gains", "@third"),
}
"""Who pays a loss beyond an account's own margin, in this order, by the kind of a payment."""


def steps(summary: Mapping[str, Any]) -> list[Step]:
    """What each paid, wad."""
    margin = summary["margin"]
    return [Step(name, int(margin[f"{kind}_wad"]), color) for kind, (name, color) in PAYERS.items()]


def owed(summary: Mapping[str, Any]) -> int:
    """What nobody has paid of the losses that were dealt with, wad."""
    return int(summary["margin"]["loss_wad"]) - sum(step.amount for step in steps(summary))


def margin_waterfall(run: Run) -> Chart | None:
    """From what accounts owed beyond their margin to what nobody has paid."""
    summary = run.summary
    if not summary.get("margin"):
        return None
    whole = Step("owed", int(summary["margin"]["loss_wad"]), "@loss")
    left = Step("not paid", owed(summary), "@outstanding")
    title = "The losses of the margin market"
    return falling("margin-waterfall", title, whole, steps(summary), left, WAD)


def margin_payments(run: Run) -> Chart | None:
    """When who paid how much, as bars over time."""
    rows = records(table(run, "margin_payments"))
    start, end = int(run.summary["started_at"]), int(run.summary["ended_at"])
    bucket = bucket_seconds(end - start)
    paid: dict[str, dict[int, int]] = {}
    for row in rows:
        if row["kind"] in PAYERS and int(row["paid_wad"]):
            at = (int(row["timestamp"]) - start) // bucket * bucket + start
            heights = paid.setdefault(row["kind"], {})
            heights[at] = heights.get(at, 0) + int(row["paid_wad"])
    if not paid:
        return None
    kinds = [kind for kind in PAYERS if kind in paid]
    sums = [
        sum(paid[kind].get(at, 0) for kind in kinds) for at in {at for kind in kinds for at in paid[kind]}
    ]
    figure = {
        "data": [
            bars(
                PAYERS[kind][0],
                milliseconds(paid[kind]),
                plotted(paid[kind].values(), WAD),
                PAYERS[kind][1],
                bucket * 1000,
            )
            for kind in kinds
        ],
        "layout": {
            "height": 240,
            "barmode": "stack",
            "xaxis": time_axis(start, end),
            "yaxis": {"range": from_zero(plotted(sums, WAD)), "tickformat": "~s", "nticks": 4},
        },
    }
    first = min(at for kind in kinds for at in paid[kind])
    parts = "; ".join(f"{PAYERS[kind][0]} {amounts.compact(sum(paid[kind].values()), WAD)}" for kind in kinds)
    label = f"Payments for losses of the margin market from {amounts.moment(first)} on: {parts}."
    legend = tuple(Key(PAYERS[kind][0], f"{PAYERS[kind][1]}:b3", "area") for kind in kinds)
    return Chart("margin-payments", "When they paid", label, figure, legend)
