"""Charts of the losses: the waterfall, and the remaining assets to pay with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from backstop.model.arithmetic import RAD, WAD
from backstop.report import amounts
from backstop.report.chart_parts import (
    Chart,
    LegendKey,
    build_axis_title,
    build_line,
    build_panel_title,
    build_stacked_area_traces,
    build_time_axis,
    to_milliseconds,
    to_plot_values,
)
from backstop.report.keeper_outage_shading import build_keeper_outage_legend, build_outage_shapes
from backstop.report.run_frames import get_first_value, get_last_value, get_table, list_records
from backstop.simulation.loss_bearers import GROUPS
from backstop.simulation.run_directory import Run

STAGES = [stage for group in GROUPS.values() for stage in group.stages]  # each has a colour in page.css


class WaterfallStep(NamedTuple):
    """Part of a loss in a waterfall chart: its payer, amount and colour."""

    name: str
    amount: int
    color: str


def draw_waterfall(run: Run) -> Chart | None:
    """Return the chart of bad debt, the payment of each stage, and the rest; None without bad debt."""
    losses = run.summary["losses"]
    steps = [
        WaterfallStep(stage["stage"], int(stage["rad"]), get_stage_color(stage["stage"]))
        for stage in losses["covered"]
    ]
    if int(losses["recovered_rad"]):
        steps.insert(
            0, WaterfallStep("recovered", int(losses["recovered_rad"]), get_stage_color("recovered"))
        )
    created = WaterfallStep("created", int(losses["created_rad"]), "@loss")
    left = WaterfallStep("outstanding", int(losses["outstanding_rad"]), "@outstanding")
    return draw_falling_bars("waterfall", "The loss waterfall", created, steps, left, RAD)


def draw_falling_bars(
    element_id: str,
    title: str,
    whole: WaterfallStep,
    paid: Sequence[WaterfallStep],
    left: WaterfallStep,
    unit: int,
) -> Chart | None:
    """Return a waterfall chart that steps down from a loss to its unpaid rest; None without a loss.

    `unit` is the amount that stands for one stablecoin.
    """
    if whole.amount == 0:
        return None
    steps = [whole, *paid, left]
    bases, rest = [0], whole.amount
    for step in paid:
        rest -= step.amount
        bases.append(rest)
    bases.append(0)
    names, values = [step.name for step in steps], [step.amount for step in steps]
    places = list(range(len(names)))
    tops = to_plot_values((base + value for base, value in zip(bases, values, strict=True)), unit)
    steps_between = [
        {"type": "line", "x0": end, "x1": end, "y0": i + 0.33, "y1": i + 0.67}
        | {"line": {"color": "@muted", "width": 1}}
        for i, end in enumerate(to_plot_values([0, *bases[1:-1]], unit))
        if i
    ]
    figure = {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "name": "losses",
                "x": to_plot_values(values, unit),
                "y": places,
                "base": to_plot_values(bases, unit),
                "width": 0.66,
                "marker": {"color": [step.color for step in steps]},
                "customdata": [amounts.format_fixed(value, unit) for value in values],
                "text": names,
                "textposition": "none",
                "hovertemplate": "%{text}: %{customdata}<extra></extra>",
            },
            {
                "type": "scatter",
                "mode": "text",
                "x": tops,
                "y": places,
                "text": [f" {amounts.format_compact(value, unit)}" for value in values],
                "textposition": "middle right",
                "textfont": {"size": 13, "color": "@ink"},
                "cliponaxis": False,
                "hoverinfo": "skip",
            },
        ],
        "layout": {
            "height": 70 + 52 * len(names),
            "hovermode": "closest",
            "xaxis": {
                "tickformat": "~s",
                "range": [0, whole.amount / unit * 1.25],
                "showgrid": True,
                "showline": False,
                "ticks": "",
                "title": build_axis_title("stablecoins"),
            },
            "yaxis": {
                "tickvals": places,
                "ticktext": names,
                "tickfont": {"size": 13, "color": "@ink"},
                "showgrid": False,
                "range": [len(names) - 0.5, -0.5],
            },
            "shapes": steps_between,
        },
    }
    label = "; ".join(
        f"{name} {amounts.format_compact(value, unit)}" for name, value in zip(names, values, strict=True)
    )
    return Chart(element_id, title, f"{title.removeprefix('The ').capitalize()}: {label}.", figure)


def draw_cushions(run: Run) -> Chart | None:
    """Return the chart of savings, reserve and buffers over time with accumulated losses; None if empty."""
    rows = get_table(run, "system")
    if rows.empty:
        return None
    start, end = run.summary["started_at"], run.summary["ended_at"]
    x = to_milliseconds(rows["timestamp"])
    layers = [
        ("savings", to_plot_values(rows["savings_wad"], WAD), "@savings"),
        ("reserve", to_plot_values(rows["reserve_rad"], RAD), "@reserve"),
        ("buffers", to_plot_values(rows["buffers_rad"], RAD), "@buffer"),
    ]
    posted = get_table(run, "waterfall")
    losses: list[tuple[int, float]] = [(start * 1000, 0.0)]
    if not posted.empty:
        for row in list_records(posted[posted["kind"] == "recognised"]):
            losses.append((int(row["timestamp"]) * 1000, losses[-1][1] + int(row["amount_rad"]) / RAD))
    losses.append((end * 1000, losses[-1][1]))
    figure = {
        "data": [
            *build_stacked_area_traces(x, layers),
            build_line(
                "losses so far",
                [at for at, _ in losses],
                [float(f"{sum_:.6g}") for _, sum_ in losses],
                "@loss",
                width=2,
                step=True,
                shown=":,.0f",
            ),
        ],
        "layout": {
            "height": 340,
            "xaxis": build_time_axis(start, end),
            "yaxis": {"rangemode": "tozero", "tickformat": "~s"},
            "shapes": build_outage_shapes(run),
            "annotations": [build_panel_title("stablecoins", [0, 1])],
        },
    }
    label = (
        f"Buffers went from {amounts.format_compact(get_first_value(rows, 'buffers_rad'), RAD)} to "
        f"{amounts.format_compact(get_last_value(rows, 'buffers_rad'), RAD)}, the reserve from "
        f"{amounts.format_compact(get_first_value(rows, 'reserve_rad'), RAD)} to "
        f"{amounts.format_compact(get_last_value(rows, 'reserve_rad'), RAD)}, "
        f"savings from {amounts.format_compact(get_first_value(rows, 'savings_wad'), WAD)} to "
        f"{amounts.format_compact(get_last_value(rows, 'savings_wad'), WAD)}."
    )
    legend = (
        LegendKey("buffers", "@buffer:66", "area"),
        LegendKey("reserve", "@reserve:66", "area"),
        LegendKey("savings", "@savings:66", "area"),
        LegendKey("losses so far", "@loss"),
        *build_keeper_outage_legend(run),
    )
    return Chart("cushions", "Balances of the stages", label, figure, legend)


def get_stage_color(stage: str) -> str:
    """Return the colour of a loss waterfall stage, the same in every chart."""
    return f"@{stage}" if stage in STAGES else "@third"
