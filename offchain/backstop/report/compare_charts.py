"""Charts of a comparison: the payers, the time that the loss was open, the profit of leaving early."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backstop.deployment.contracts_by_parameter_name import POOLS
from backstop.model.arithmetic import RAD, WAD
from backstop.report import amounts
from backstop.report.chart_parts import (
    Chart,
    LegendKey,
    build_axis_title,
    build_line,
    build_panel_title,
    build_time_axis,
    compute_range_from_zero,
    get_series_color,
    to_milliseconds,
    to_plot_values,
)
from backstop.report.compare_margin_charts import draw_closed_positions, draw_margin_payers
from backstop.report.loss_charts import get_stage_color
from backstop.report.named_bars import BarPart, build_name_axis, build_stacked_bars
from backstop.report.run_frames import get_table
from backstop.simulation.loss_bearers import GROUPS
from backstop.simulation.run_directory import Run

_STAGE_OF = {contract: stage for stage, (contract, *_) in POOLS.items()}


def build_charts(comparison: Mapping[str, Any], runs: Sequence[Run]) -> list[Chart]:
    """Return the charts of a preset comparison for which there is data."""
    found = [
        draw_payers(comparison),
        draw_open_losses(comparison, runs),
        build_early_leaver_gain_chart(comparison),
        draw_margin_payers(comparison),
        draw_closed_positions(comparison),
    ]
    return [chart for chart in found if chart is not None]


def draw_payers(comparison: Mapping[str, Any]) -> Chart | None:
    """Return the chart of the loss by payer under each preset; None without a loss."""
    rows = comparison["presets"]
    if not any(int(row["created_rad"]) for row in rows):
        return None
    names = [row["title"] for row in rows]
    parts, legend, told = [], [], []
    for i, name in enumerate(GROUPS):
        values = [int(row["loss_paid_by"][i]["rad"]) for row in rows]
        if not any(values):
            continue
        legend.append(LegendKey(name if name != "holders" else "outstanding", f"@{name}", "area"))
        parts.append(BarPart(name, f"@{name}", values))
        told += [
            f"{names[k]}: {name} {amounts.format_compact(value, RAD)}"
            for k, value in enumerate(values)
            if value
        ]
    label = f"Payers of the loss, by preset: {'; '.join(told)}."
    return Chart("payers", "Payers", label, build_stacked_bars(names, parts), tuple(legend))


def draw_open_losses(comparison: Mapping[str, Any], runs: Sequence[Run]) -> Chart | None:
    """Return the chart of recognised and still unpaid losses over time, by preset; None without any."""
    start, end = comparison["started_at"], comparison["ended_at"]
    traces, legend, highest = [], [], []
    for i, (row, run) in enumerate(zip(comparison["presets"], runs, strict=True)):
        state = get_table(run, "state")
        if state.empty:
            continue
        left: dict[int, int] = {}
        for at, deficit in zip(state["timestamp"], state["deficit_rad"], strict=True):
            if at <= end:
                left[at] = left.get(at, 0) + int(deficit)
        values = to_plot_values(left.values(), RAD)
        dash = ("solid", "dot")[i // 4 % 2]
        traces.append(
            build_line(
                row["title"],
                to_milliseconds(left),
                values,
                get_series_color(i),
                step=True,
                dash=dash,
                shown=":,.0f",
            )
        )
        legend.append(LegendKey(row["title"], get_series_color(i), "line" if dash == "solid" else "dash"))
        highest += values
    if not any(highest):
        return None
    figure = {
        "data": traces,
        "layout": {
            "height": 340,
            "xaxis": build_time_axis(start, end),
            "yaxis": {"tickformat": "~s", "range": compute_range_from_zero(highest)},
            "annotations": [build_panel_title("stablecoins", [0, 1])],
        },
    }
    label = "Losses recognised and not paid yet, by preset: " + "; ".join(
        f"{row['title']} {amounts.format_compact(int(row['outstanding_rad']), RAD)} at the end"
        for row in comparison["presets"]
    )
    return Chart("open", "Losses not yet covered", f"{label}.", figure, tuple(legend))


def build_early_leaver_gain_chart(comparison: Mapping[str, Any]) -> Chart | None:
    """Return the chart of a pool member's gain from leaving early, by preset and pool; None if unknown."""
    rows = comparison["presets"]
    names = [row["title"] for row in rows]
    traces: list[dict[str, Any]] = []
    legend, told = [], []
    for i, pool in enumerate(race["pool"] for race in rows[0]["exit_race"]):
        races = [row["exit_race"][i] for row in rows]
        values = [None if race["gain_wad"] is None else int(race["gain_wad"]) for race in races]
        if all(value is None for value in values):
            continue
        shade = get_stage_color(_STAGE_OF[pool]) if pool in _STAGE_OF else get_series_color(len(traces))
        legend.append(LegendKey(pool, shade, "area"))
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
                "customdata": ["" if value is None else amounts.format_fixed(value, WAD) for value in values],
                "hovertemplate": f"{pool}: %{{x:.2f}}% of the deposit, %{{customdata}}<extra></extra>",
            }
        )
        told += [
            f"{names[k]}, {pool}: {amounts.format_compact(value, WAD)}"
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
            | {"title": build_axis_title("gained by leaving, % of the deposit")},
            "yaxis": build_name_axis(names),
        },
    }
    label = f"Balance of the member that left beyond that of the member that stayed: {'; '.join(told)}."
    return Chart("exits", "Gain of an early withdrawal", label, figure, tuple(legend))
