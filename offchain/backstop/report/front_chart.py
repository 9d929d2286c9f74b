"""Charts of settings by gain and loss: a line joins the settings that no other beats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from backstop.model.arithmetic import BASIS_POINTS
from backstop.report import amounts
from backstop.report.chart_parts import Chart, LegendKey, build_axis_title, to_plot_values
from backstop.report.stress_console_output import MICRO

FRONT_TITLES = {"debt": "debt, stablecoins", "revenue": "stability fees of a year, stablecoins"}
"""Titles of the axis of gains, by the measure set against shortfall."""


class FrontPoint(NamedTuple):
    """Setting with its gain and expected shortfall, and whether no other setting beats it in both."""

    name: str
    gain: float
    gain_text: str
    shortfall: Mapping[str, Any]  # an estimate, micro stablecoins
    is_unbeaten: bool


class FrontAxis(NamedTuple):
    """Axis of gains: its title, and the plotly format of its ticks."""

    title: str
    tickformat: str


def draw_front_chart(
    element_id: str,
    title: str,
    points: Sequence[FrontPoint],
    axis: FrontAxis,
    level_bps: int,
    unbeaten: str,
    *,
    best: int | None = None,
    limit_micro: int | None = None,
) -> Chart:
    """Return the chart of settings by gain and expected shortfall, with a line through the Pareto front.

    `unbeaten` is the legend of settings on the front, `best` the index of a recommended setting.
    `limit_micro` draws a limit of shortfall [millionths of a stablecoin].
    """
    kept = sorted((i for i, point in enumerate(points) if point.is_unbeaten), key=lambda i: points[i].gain)
    groups = [
        ("the others", "@faint", 7, [i for i, point in enumerate(points) if not point.is_unbeaten]),
        (unbeaten, "@first", 9, kept),
    ]
    if best is not None:
        groups.append(("recommended", "@loss", 13, [best]))
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [points[i].gain for i in kept],
            "y": [points[i].shortfall["value_micro"] / MICRO for i in kept],
            "line": {"color": "@first", "width": 1.5, "shape": "hv"},
            "hoverinfo": "skip",
        }
    ]
    for name, color, size, chosen in groups:
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": [points[i].gain for i in chosen],
                "y": [points[i].shortfall["value_micro"] / MICRO for i in chosen],
                "text": [f"{points[i].name}: {format_interval(points[i].shortfall)}" for i in chosen],
                "marker": {"color": color, "size": size},
                "error_y": _build_error_bars([points[i].shortfall for i in chosen], color, chosen == kept),
                "hovertemplate": "%{text}<extra></extra>",
            }
        )
    layout: dict[str, Any] = {
        "height": 380,
        "hovermode": "closest",
        "xaxis": {"tickformat": axis.tickformat, "title": build_axis_title(axis.title)},
        "yaxis": {
            "tickformat": "~s",
            "title": build_axis_title(
                f"expected shortfall at {amounts.format_percent(level_bps, BASIS_POINTS, 0)}, stablecoins"
            ),
            "rangemode": "tozero",
        },
    }
    if limit_micro is not None:
        limit = limit_micro / MICRO
        line = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": limit, "y1": limit}
        layout["shapes"] = [line | {"line": {"color": "@muted", "width": 1, "dash": "dot"}}]
    told = "; ".join(
        f"{points[i].name}: {points[i].gain_text}, {format_interval(points[i].shortfall)}" for i in kept
    )
    legend = tuple(LegendKey(name, color, "dots") for name, color, _, chosen in groups if chosen)
    label = f"Settings that no other beats: {told}."
    return Chart(element_id, title, label, {"data": data, "layout": layout}, legend)


def format_interval(shortfall: Mapping[str, Any]) -> str:
    """Format an estimate with its confidence interval in brackets; `?` for an unknown end."""
    value, low, high = (shortfall[f"{end}_micro"] for end in ("value", "low", "high"))
    told = amounts.format_compact(value, MICRO)
    if low is None and high is None:
        return f"{told}, no interval"
    ends = ("?" if end is None else amounts.format_compact(end, MICRO) for end in (low, high))
    return f"{told} ({' to '.join(ends)})"


def _build_error_bars(estimates: Sequence[Mapping[str, Any]], color: str, drawn: bool) -> dict[str, Any]:
    """Return plotly error bars for confidence intervals; ends without a bound are not drawn.

    With `drawn` False the bars are data only, and invisible.
    """

    def gap(each: Mapping[str, Any], end: str) -> int | None:
        return None if each[end] is None else abs(each[end] - each["value_micro"])

    above = to_plot_values((gap(each, "high_micro") for each in estimates), MICRO)
    below = to_plot_values((gap(each, "low_micro") for each in estimates), MICRO)
    ends = {
        "array": above,
        "arrayminus": below,
        "color": color,
        "thickness": 1.25,
        "width": 4,
        "visible": drawn,
    }
    return {"type": "data", "symmetric": False, **ends}
