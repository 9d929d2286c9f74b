"""Histogram of a study's losses, and the marks of its levels that the survival curve beside it has too."""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from backstop.model.arithmetic import BASIS_POINTS, RAD
from backstop.report import amounts
from backstop.report.chart_parts import Chart, build_axis_title, build_vertical_line
from backstop.studies.stress.columns import MICRO

COIN = RAD // MICRO  # millionths in a stablecoin
MOST_BINS = 40
LEAST_BINS = 8


def build_loss_histogram_chart(
    summary: Mapping[str, Any], columns: Mapping[str, npt.NDArray[np.int64]]
) -> Chart:
    """Return the chart of the number of paths by loss, in logarithmic bins.

    Paths without a loss are only mentioned in the label.
    """
    losses = columns["bad_debt"][columns["bad_debt"] > 0]
    edges, counts = compute_log_loss_bins(losses)
    told = [
        f"{count:,} paths lose {amounts.format_compact(low, COIN)} to {amounts.format_compact(high, COIN)}"
        for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True)
    ]
    shapes, notes = build_level_marks(summary)
    figure = {
        "data": [
            {
                "type": "scatter",
                "mode": "lines",
                "name": "paths with bad debt",
                "x": [edge / COIN for edge in edges],
                "y": [*counts, counts[-1]],  # the last step is as wide as the others
                "text": [*told, told[-1]],
                "line": {"color": "@loss", "width": 1, "shape": "hv"},
                "fill": "tozeroy",
                "fillcolor": "@loss:66",
                "hovertemplate": "%{text}<extra></extra>",
            }
        ],
        "layout": {
            "height": 340,
            "hovermode": "closest",
            "xaxis": build_log_axis(edges[0], edges[-1])
            | {"title": build_axis_title("bad debt, stablecoins")},
            "yaxis": {"rangemode": "tozero", "title": build_axis_title("paths")},
            "shapes": shapes,
            "annotations": notes,
        },
    }
    none = len(columns["bad_debt"]) - len(losses)
    most = max(range(len(counts)), key=lambda i: counts[i])
    label = f"{none:,} of {len(columns['bad_debt']):,} paths lose nothing; most of the others: {told[most]}."
    return Chart("histogram", "How many paths lose how much", label, figure)


def compute_log_loss_bins(losses: npt.NDArray[np.int64]) -> tuple[list[int], list[int]]:
    """Return the edges of logarithmic bins and the number of losses in each."""
    low, high = int(losses.min()), int(losses.max()) + 1
    wanted = min(MOST_BINS, max(LEAST_BINS, isqrt(len(losses))))
    inner = np.geomspace(low, high, wanted + 1)[1:-1].round().astype(np.int64).tolist()
    edges = sorted({low, *inner, high})
    # Losses are integers, and so are edges: each loss is in the bin that begins at or before it.
    counts = np.histogram(losses, bins=np.array(edges))[0].tolist()
    return edges, counts


def build_log_axis(low: int, high: int) -> dict[str, Any]:
    """Return a logarithmic plotly axis; within a factor of 100 it also labels multiples of 2 and 5."""
    axis = {"type": "log", "tickformat": "~s"}
    if high > 100 * low:
        return axis | {"dtick": 1}
    return axis | ({"dtick": "D2"} if high > 5 * low else {"nticks": 5})


def build_level_marks(summary: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return vertical lines and labels for value at risk and expected shortfall, for a logarithmic axis."""
    shapes: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    for level in summary["bad_debt"]["levels"]:
        name = amounts.format_percent(level["level_bps"], BASIS_POINTS, 0)
        for figure, text, dash in (("at_risk", "VaR", "dot"), ("shortfall", "ES", "solid")):
            value = level[figure]["value_micro"] / COIN
            if value > 0:
                shapes.append(build_vertical_line(value, dash))
                # A row for each label, as any two values may be near each other.
                notes.append(_build_note(value, f"{text} {name}", 1 - 0.18 * len(notes)))
    return shapes, notes


def _build_note(x: float, text: str, y: float) -> dict[str, Any]:
    return {
        "text": text,
        "x": float(np.log10(x)),
        "xref": "x",
        "y": y,
        "yref": "paper",
        "yanchor": "top",
        "xanchor": "right",
        "textangle": -90,
        "showarrow": False,
        "font": {"size": 11, "color": "@muted"},
    }
