"""Maturity of debt: dated debt by time, all else on demand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from backstop.model.arithmetic import RAY, WAD
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
from backstop.report.price_charts import choose_bucket_seconds
from backstop.simulation.run_directory import Run

DAY = 86_400
WITHIN = ((DAY, "within a day"), (7 * DAY, "within a week"), (30 * DAY, "within 30 days"))


class MaturityBucket(NamedTuple):
    """Debt due within one time span, with the span's title."""

    title: str
    due: int


def list_run_debt_maturities(run_summary: Mapping[str, Any]) -> list[MaturityBucket]:
    """Return all debt at the end of a run by due time [wad]; empty without open workouts.

    Workouts are called vaults repaid in instalments; other debt is due on demand.
    """
    due = _list_due_instalments(run_summary)
    if not due:
        return []
    ledger, now = run_summary["ledger"], int(run_summary["ended_at"])
    sold = int(ledger["in_auction_rad"]) - int(run_summary["guards"]["workouts"]["principal_rad"])
    return [
        MaturityBucket("vaults, on demand", int(ledger["performing_rad"]) // RAY),
        MaturityBucket("auctions, as they sell", sold // RAY),
        *_sum_by_span("instalments", due, now),
    ]


def list_audit_maturities(statement: Mapping[str, Any]) -> list[MaturityBucket]:
    """Return the debts of an audit statement by due time [rad], without empty time spans."""
    dated: dict[str, list[tuple[int, int]]] = {}
    undated = []
    for row in statement["maturity"]:
        if row["due_at"] is None:
            undated.append(MaturityBucket(row["due"], int(row["rad"])))
        else:
            dated.setdefault(f"{row['due']}s", []).append((row["due_at"], int(row["rad"])))
    now = statement["timestamp"]
    spans = [bucket for kind, due in dated.items() for bucket in _sum_by_span(kind, due, now) if bucket.due]
    return [*spans, *undated]


def build_instalments_due_chart(run: Run) -> Chart | None:
    """Return the chart of workout instalments still due over time; None if there are none."""
    due = _list_due_instalments(run.summary)
    if not due:
        return None
    first, last = min(due[0][0], int(run.summary["ended_at"])), due[-1][0]
    bucket = choose_bucket_seconds(max(DAY, last - first))
    heights: dict[int, int] = {}
    for at, amount in due:
        start = at // bucket * bucket
        heights[start] = heights.get(start, 0) + amount
    y = to_plot_values(heights.values(), WAD)
    figure = {
        "data": [build_bars("due", to_milliseconds(heights), y, "@second", bucket * 1000)],
        "layout": {
            "height": 220,
            "xaxis": build_time_axis(first, last + bucket),
            "yaxis": {"range": compute_range_from_zero(y), "tickformat": "~s", "nticks": 4}
            | {"title": build_axis_title("due, stablecoins")},
        },
    }
    label = (
        f"{amounts.format_compact(sum(amount for _, amount in due), WAD)} stablecoins of instalments are "
        "due in "
        f"{len(due)} parts, the first at {amounts.format_moment(due[0][0])}, the last at "
        f"{amounts.format_moment(last)}."
    )
    return Chart("maturity", "Instalments due", label, figure, (LegendKey("due", "@second:b3", "area"),))


def _sum_by_span(kind: str, due: Iterable[tuple[int, int]], now: int) -> list[MaturityBucket]:
    """Return sums of amounts by the time span until they are due, with overdue and later ones."""
    found = dict.fromkeys(("overdue", *(title for _, title in WITHIN), "later"), 0)
    for at, amount in due:
        when = next((title for seconds, title in WITHIN if at <= now + seconds), "later")
        found[when if at >= now else "overdue"] += amount
    return [MaturityBucket(f"{kind}, {title}", amount) for title, amount in found.items()]


def _list_due_instalments(run_summary: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return pairs of due time and amount [wad] of the open instalments, the earliest first."""
    guards = run_summary.get("guards") or {}
    found = guards.get("workouts", {}).get("due", [])
    return [(int(each["at"]), int(each["wad"])) for each in found]
