"""Horizontal bars below each other, each with a name, as comparisons show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from backstop.model.arithmetic import RAD
from backstop.report import amounts
from backstop.report.plotting import plotted, titled


class Part(NamedTuple):
    """Part of every bar: its name, its colour, and its length in each."""

    name: str
    color: str
    values: Sequence[int]


def stacked(names: Sequence[str], parts: Sequence[Part], unit: int = RAD) -> dict[str, Any]:
    """Build the figure of bars made of parts, in their order; `unit` is one stablecoin in the values."""
    return {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "name": part.name,
                "x": plotted(part.values, unit),
                "y": list(range(len(names))),
                "width": 0.66,
                "marker": {"color": part.color},
                "customdata": [amounts.fixed(value, unit) for value in part.values],
                "hovertemplate": f"{part.name}: %{{customdata}}<extra></extra>",
            }
            for part in parts
        ],
        "layout": {
            "height": 90 + 44 * len(names),
            "barmode": "stack",
            "hovermode": "closest",
            "xaxis": {"tickformat": "~s", "showgrid": True, "showline": False, "ticks": ""}
            | {"title": titled("stablecoins")},
            "yaxis": axis(names),
        },
    }


def axis(names: Sequence[str]) -> dict[str, Any]:
    """Build the axis that names the bars, the first on top."""
    return {
        "tickvals": list(range(len(names))),
        "ticktext": list(names),
        "tickfont": {"size": 13, "color": "@ink"},
        "showgrid": False,
        "range": [len(names) - 0.5, -0.5],
    }
