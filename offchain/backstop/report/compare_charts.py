"""Charts of a comparison: who paid, how long the loss was open, what leaving early brought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backstop.deployment.contract_names import POOLS
from backstop.model.arithmetic import RAD, WAD
from backstop.report import amounts
from backstop.report.compare_margin_charts import margin_closed, margin_payers
from backstop.report.frames import table
from backstop.report.loss_charts import stage_color
from backstop.report.named_bars import Part, axis, stacked
from backstop.report.plotting import (
    Chart,
    Key,
    color,
    from_zero,
    line,
    milliseconds,
    panel_title,
    plotted,
    time_axis,
    titled,
)
from backstop.simulation.bearers import GROUPS
from backstop.simulation.run_directory import Run

_STAGE_OF = {contract: stage for stage, (contract, *_) in POOLS.items()}


def charts(comparison: Mapping[str, Any], runs: Sequence[Run]) -> list[Chart]:
    """Build each chart that the comparison has data for."""
    found = [
        payers(comparison),
        open_losses(comparison, runs),
        exits(comparison),
        margin_payers(comparison),
        margin_closed(comparison),
    ]
    return [chart for chart in found if chart is not None]


def payers(comparison: Mapping[str, Any]) -> Chart | None:
    """Draw a bar for each preset, from the loss's first payer to what nobody has paid."""
    rows = comparison["presets"]
    if not any(int(row["created_rad"]) for row in rows):
        return None
    names = [row["title"] for row in rows]
    parts, legend, told = [], [], []
    for i, name in enumerate(GROUPS):
        values = [int(row["loss_paid_by"][i]["rad"]) for row in rows]
        if not any(values):
            continue
        legend.append(Key(name if name != "holders" else "outstanding", f"@{name}", "area"))
        parts.append(Part(name, f"@{name}", values))
        told += [
            f"{names[k]}: {name} {amounts.compact(value, RAD)}" for k, value in enumerate(values) if value
        ]
    label = f"Who paid for the loss, by preset: {'; '.join(told)}."
    return Chart("payers", "Who paid", label, stacked(names, parts), tuple(legend))


def open_losses(comparison: Mapping[str, Any], runs: Sequence[Run]) -> Chart | None:
    """Draw the losses that were recognised and not yet paid, over time."""
    start, end = comparison["started_at"], comparison["ended_at"]
    traces, legend, highest = [], [], []
    for i, (row, run) in enumerate(zip(comparison["presets"], runs, strict=True)):
        state = table(run, "state")
        if state.empty:
            continue
        left: dict[int, int] = {}
        for at, deficit in zip(state["timestamp"], state["deficit_rad"], strict=True):
            if at <= end:
                left[at] = left.get(at, 0) + int(deficit)
        values = plotted(left.values(), RAD)
        dash = ("solid", "dot")[i // 4 % 2]
        traces.append(
            line(
                row["title"],
                milliseconds(left),
                values,
                color(i),
                step=True,
                dash=dash,
                shown=":,.0f",
            )
        )
        legend.append(Key(row["title"], color(i), "line" if dash == "solid" else "dash"))
        highest += values
    if not any(highest):
        return None
    figure = {
        "data": traces,
        "layout": {
            "height": 340,
            "xaxis": time_axis(start, end),
            "yaxis": {"tickformat": "~s", "range": from_zero(highest)},
            "annotations": [panel_title("stablecoins", [0, 1])],
        },
    }
    label = "Losses recognised and not paid yet, by preset: " + "; ".join(
        f"{row['title']} {amounts.compact(int(row['outstanding_rad']), RAD)} at the end"
        for row in comparison["presets"]
    )
    return Chart("open", "Losses that nobody had paid yet", f"{label}.", figure, tuple(legend))


def exits(comparison: Mapping[str, Any]) -> Chart | None:
    """Draw what the member who left had at the end beyond one who stayed, by pool."""
    rows = comparison["presets"]
    names = [row["title"] for row in rows]
    traces: list[dict[str, Any]] = []
    legend, told = [], []
    for i, pool in enumerate(race["pool"] for race in rows[0]["exit_race"]):
        races = [row["exit_race"][i] for row in rows]
        values = [None if race["gain_wad"] is None else int(race["gain_wad"]) for race in races]
        if all(value is None for value in values):
            continue
        shade = stage_color(_STAGE_OF[pool]) if pool in _STAGE_OF else color(len(traces))
        legend.append(Key(pool, shade, "area"))
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": pool,
                "x": [
                    None if race["gain_bps"] is None else float(f"{race['gain_bps'] / 100:.6g}")
                    for race in races
                ],
                "y": list(range(len(rows))),
                "marker": {"color": shade},
                "customdata": ["" if value is None else amounts.fixed(value, WAD) for value in values],
                "hovertemplate": f"{pool}: %{{x:.2f}}% of the deposit, %{{customdata}}<extra></extra>",
            }
        )
        told += [
            f"{names[k]}, {pool}: {amounts.compact(value, WAD)}"
            for k, value in enumerate(values)
            if value is not None
        ]
    if not traces:
        return None
    figure = {
        "data": traces,
        "layout": {
            "height": 90 + 44 * len(rows),
            "barmode": "group",
            "bargap": 0.4,
            "hovermode": "closest",
            "xaxis": {"ticksuffix": "%", "showgrid": True, "zeroline": True, "zerolinecolor": "@faint"}
            | {"title": titled("gained by leaving, % of the deposit")},
            "yaxis": axis(names),
        },
    }
    label = f"What the one who left has beyond the one who stayed: {'; '.join(told)}."
    return Chart("exits", "What leaving early brought", label, figure, tuple(legend))
