"""Horizontal bars below each other, each with a name, as comparisons show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from backstop.model.arithmetic import RAD
from backstop.report import amounts
from backstop.report.chart_parts import build_axis_title, to_plot_values


class BarPart(NamedTuple):
    """Part of every bar in a stacked bar chart: its name, its colour, and its length in each bar."""

    name: str
    color: str
    values: Sequence[int]


def build_stacked_bars(names: Sequence[str], parts: Sequence[BarPart], unit: int = RAD) -> dict[str, Any]:
    """Return a plotly figure of stacked horizontal bars.

    `unit` is the value that stands for one stablecoin.
    """
    return {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "name": part.name,
                "x": to_plot_values(part.values, unit),
                "y": list(range(len(names))),
                "width": 0.66,
                "marker": {"color": part.color},
                "customdata": [amounts.format_fixed(value, unit) for value in part.values],
                "hovertemplate": f"{part.name}: %{{customdata}}<extra></extra>",
            }
            for part in parts
        ],
        "layout": {
            "height": 90 + 44 * len(names),
            "barmode": "stack",
            "hovermode": "closest",
            "xaxis": {"tickformat": "~s", "showgrid": True, "showline": False, "ticks": ""}
            | {"title": build_axis_title("stablecoins")},
            "yaxis": build_name_axis(names),
        },
    }


def build_name_axis(names: Sequence[str]) -> dict[str, Any]:
    """Return the plotly axis with the names of horizontal bars, the first on top."""
    return {
        "tickvals": list(range(len(names))),
        "ticktext": list(names),
        "tickfont": {"size": 13, "color": "@ink"},
        "showgrid": False,
        "range": [len(names) - 0.5, -0.5],
    }
