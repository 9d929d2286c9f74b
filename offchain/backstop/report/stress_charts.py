"""Charts of a study: the tail, the payers, the confidence of the figures, the start of losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from backstop.model.arithmetic import BASIS_POINTS, RAD
from backstop.report import amounts
from backstop.report.chart_parts import Chart, LegendKey, build_axis_title, compute_range_from_zero
from backstop.report.loss_charts import get_stage_color
from backstop.report.loss_histogram import COIN, build_level_marks, build_log_axis, build_loss_histogram_chart
from backstop.report.named_bars import BarPart, build_name_axis, build_stacked_bars
from backstop.studies.stress.columns import MICRO, NEVER
from backstop.studies.stress.path_statistics import Estimate, estimate_quantile, estimate_shortfall

Column = npt.NDArray[np.int64]
Columns = Mapping[str, Column]

MOST_DOTS = 2_500
MOST_STEPS = 800
# Numbers of paths at which an estimate is drawn.
STEPS = 24


def build_stress_charts(summary: Mapping[str, Any], columns: Columns) -> list[Chart]:
    """Return the charts of a study; empty if no path has bad debt."""
    if not columns["bad_debt"].any():
        return []
    found = [
        draw_tail(summary, columns),
        build_loss_histogram_chart(summary, columns),
        draw_payers(summary, columns),
        draw_stage_chances(summary),
    ]
    found.append(draw_convergence(columns))
    return [*found, build_loss_by_ratio_scatter(columns), *build_loss_cover_time_charts(columns)]


def draw_tail(summary: Mapping[str, Any], columns: Columns) -> Chart:
    """Return the chart of the share of paths with at least a given bad debt, on logarithmic axes."""
    losses = np.sort(columns["bad_debt"][columns["bad_debt"] > 0])[::-1]
    count = len(columns["bad_debt"])
    # The i-th largest loss is reached or exceeded on i paths. The first ranks are all drawn.
    ranks = np.unique(np.geomspace(1, len(losses), MOST_STEPS).round().astype(int))
    x, y = losses[ranks - 1].tolist(), [float(f"{rank / count:.6g}") for rank in ranks.tolist()]
    shapes, notes = build_level_marks(summary)
    told = "; ".join(
        f"value at risk {amounts.format_percent(level['level_bps'], BASIS_POINTS, 0)} "
        f"{amounts.format_compact(level['at_risk']['value_micro'], COIN)}, expected shortfall "
        f"{amounts.format_compact(level['shortfall']['value_micro'], COIN)}"
        for level in summary["bad_debt"]["levels"]
    )
    drawn = {
        "data": [
            {
                "type": "scatter",
                "mode": "lines",
                "x": [value / COIN for value in x],
                "y": y,
                "line": {"color": "@loss", "width": 2, "shape": "hv"},
                "hovertemplate": "%{x:,.0f} or more: %{y:.3%} of paths<extra></extra>",
            }
        ],
        "layout": {
            "height": 340,
            "hovermode": "closest",
            "xaxis": build_log_axis(x[-1], x[0]) | {"title": build_axis_title("bad debt, stablecoins")},
            "yaxis": {
                "type": "log",
                "tickformat": "~%",
                "title": build_axis_title("paths with as much or more, % of all"),
            },
            "shapes": shapes,
            "annotations": notes,
        },
    }
    return Chart("tail", "The tail", f"Bad debt and the share of paths that exceed it: {told}.", drawn)


def draw_payers(summary: Mapping[str, Any], columns: Columns) -> Chart:
    """Return the chart of each payer's average payment, over all paths and over the worst ones."""
    order = np.argsort(-columns["bad_debt"], kind="stable")
    count = len(order)
    picks = [("all paths", order)]
    picks += [
        (
            f"worst {amounts.format_percent(BASIS_POINTS - level['level_bps'], BASIS_POINTS, 0)}",
            order[: max(1, count * (BASIS_POINTS - level["level_bps"]) // BASIS_POINTS)],
        )
        for level in summary["bad_debt"]["levels"]
    ]
    names = [name for name, _ in picks]
    stages = [entry["stage"] for entry in summary["stages"]]
    parts = [(stage, get_stage_color(stage), columns[f"covered_{stage}"]) for stage in stages]
    parts.append(("outstanding", "@outstanding", columns["outstanding"]))
    bars = [
        BarPart(name, color, [int(paid[chosen].sum()) * MICRO // len(chosen) for _, chosen in picks])
        for name, color, paid in parts
        if paid.any()
    ]
    told = "; ".join(
        f"{name}: " + ", ".join(f"{bar.name} {amounts.format_compact(bar.values[i], RAD)}" for bar in bars)
        for i, name in enumerate(names)
    )
    legend = tuple(LegendKey(bar.name, bar.color, "area") for bar in bars)
    return Chart("payers", "Payers, on average", f"Payers: {told}.", build_stacked_bars(names, bars), legend)


def draw_stage_chances(summary: Mapping[str, Any]) -> Chart:
    """Return the chart of each stage's probability to pay anything, with confidence intervals."""
    names = [entry["stage"].replace("_", " ") for entry in summary["stages"]] + ["outstanding"]
    chances = [entry["covered"]["chance"] for entry in summary["stages"]] + [summary["outstanding"]["chance"]]
    colors = [get_stage_color(entry["stage"]) for entry in summary["stages"]] + ["@outstanding"]
    values, lows, highs = (
        [chance[f"{end}_bps"] / BASIS_POINTS for chance in chances] for end in ("value", "low", "high")
    )
    figure = {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "x": values,
                "y": list(range(len(names))),
                "width": 0.66,
                "marker": {"color": colors},
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "color": "@ink",
                    "thickness": 1,
                    "array": [high - value for high, value in zip(highs, values, strict=True)],
                    "arrayminus": [value - low for low, value in zip(lows, values, strict=True)],
                },
                "hovertemplate": "%{x:.2%} of paths<extra></extra>",
            }
        ],
        "layout": {
            "height": 90 + 36 * len(names),
            "hovermode": "closest",
            "xaxis": {"tickformat": "~%", "showgrid": True, "showline": False, "ticks": ""}
            | {"title": build_axis_title("paths on which it pays, % of all")},
            "yaxis": build_name_axis(names),
        },
    }
    told = "; ".join(
        f"{name} {amounts.format_percent(chance['value_bps'], BASIS_POINTS)}"
        for name, chance in zip(names, chances, strict=True)
    )
    return Chart(
        "reached", "How often each stage pays", f"Share of paths on which a stage pays: {told}.", figure
    )


def draw_convergence(columns: Columns) -> Chart:
    """Return the chart of value at risk and expected shortfall by number of paths.

    It shows whether the estimates have converged.
    """
    losses = columns["bad_debt"]
    counts = sorted({round(float(n)) for n in np.geomspace(min(100, len(losses)), len(losses), STEPS)})
    data: list[dict[str, Any]] = []
    for name, color, of in (
        ("value at risk", "@first", estimate_quantile),
        ("expected shortfall", "@loss", estimate_shortfall),
    ):
        found: list[Estimate] = [of(losses[:n], 0.95) for n in counts]
        middle = [each.value / COIN for each in found]
        data += [
            _build_interval_end_trace(
                counts, [(each.low if each.low is not None else each.value) / COIN for each in found]
            ),
            _build_interval_end_trace(
                counts, [(each.high if each.high is not None else each.value) / COIN for each in found]
            )
            | {"fill": "tonexty", "fillcolor": f"{color}:30"},
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "x": counts,
                "y": middle,
                "line": {"color": color, "width": 2},
                "hovertemplate": f"{name} %{{y:,.0f}}<extra></extra>",
            },
        ]
    figure = {
        "data": data,
        "layout": {
            "height": 300,
            "xaxis": {"type": "log", "title": build_axis_title("paths")},
            "yaxis": {
                "tickformat": "~s",
                "range": compute_range_from_zero([y for trace in data for y in trace["y"]]),
            }
            | {"title": build_axis_title("bad debt, stablecoins")},
        },
    }
    label = "Value at risk and expected shortfall at 95% and their intervals, by the number of paths."
    legend = (LegendKey("value at risk, 95%", "@first"), LegendKey("expected shortfall, 95%", "@loss"))
    return Chart("settling", "Have the figures settled?", label, figure, legend)


def build_loss_by_ratio_scatter(columns: Columns) -> Chart:
    """Return the chart of paths with bad debt: lowest total collateral ratio against bad debt."""
    lost = np.flatnonzero(columns["bad_debt"])
    shown = lost[np.argsort(-columns["bad_debt"][lost], kind="stable")[:MOST_DOTS]]
    figure = {
        "data": [
            {
                "type": "scatter",
                "mode": "markers",
                "x": [ratio / BASIS_POINTS for ratio in columns["lowest_ratio"][shown].tolist()],
                "y": [loss / COIN for loss in columns["bad_debt"][shown].tolist()],
                "customdata": columns["path"][shown].tolist(),
                "marker": {"color": "@loss:80", "size": 5},
                "hovertemplate": "path %{customdata}: %{y:,.0f} lost at %{x:.1%}<extra></extra>",
            }
        ],
        "layout": {
            "height": 320,
            "hovermode": "closest",
            "xaxis": {
                "tickformat": "~%",
                "title": build_axis_title("lowest collateral of the book, % of its debt"),
            },
            "yaxis": {"type": "log", "tickformat": "~s", "title": build_axis_title("bad debt, stablecoins")},
        },
    }
    label = "Each path with bad debt by the lowest ratio of all collateral to all debt, and the bad debt."
    return Chart("dots", "How deep the fall, how large the loss", label, figure)


def build_loss_cover_time_charts(columns: Columns) -> list[Chart]:
    """Return the histogram of how long losses stayed open; empty if no loss was covered."""
    covered = columns["covered_at"] != NEVER
    hours = (columns["covered_at"] - columns["first_loss_at"])[covered] / 3_600
    if len(hours) == 0:
        return []
    heights, edges = np.histogram(hours, bins=min(24, max(4, len(hours) // 10)))
    figure = {
        "data": [
            {
                "type": "bar",
                "x": [float(f"{left:.6g}") for left in edges[:-1]],
                "y": heights.tolist(),
                "offset": 0,
                "width": float(f"{edges[1] - edges[0]:.6g}"),
                "marker": {"color": "@first:b3"},
                "hovertemplate": "%{y} paths<extra></extra>",
            }
        ],
        "layout": {
            "height": 260,
            "hovermode": "closest",
            "xaxis": {"title": build_axis_title("hours until nothing was outstanding")},
            "yaxis": {"title": build_axis_title("paths")},
        },
    }
    label = f"How long losses were open on {len(hours):,} paths, in hours."
    return [Chart("open", "How long losses are open", label, figure)]


def _build_interval_end_trace(x: Sequence[int], y: Sequence[float]) -> dict[str, Any]:
    """Return an invisible plotly trace for one end of an interval; only the area between is drawn."""
    return {
        "type": "scatter",
        "mode": "lines",
        "x": list(x),
        "y": list(y),
        "line": {"width": 0},
        "hoverinfo": "skip",
    }
