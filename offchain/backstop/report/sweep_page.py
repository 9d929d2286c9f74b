"""Page of a sweep: heat maps, the front of efficiency against risk, the setting to take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from backstop.files.atomic_files import write_files
from backstop.model.arithmetic import BASIS_POINTS
from backstop.report import amounts, multi_run_section_headings, tornado_chart
from backstop.report.chart_parts import Chart, LegendKey, build_axis_title, to_plot_values
from backstop.report.grid_edge import describe_grid_edge
from backstop.report.page_links import build_sweep_setting_link
from backstop.report.rendering import render_template
from backstop.report.stress_console_output import MICRO
from backstop.report.study_file_reader import read_study_files
from backstop.report.summary_panel import compose_sweep_finding
from backstop.report.sweep_console_output import (
    format_sweep_setting_gain,
    get_recommended_or_first_setting,
    list_setting_values_in_axis_order,
)

_FULL = 0.8
"""Share of the colour of loss beyond which a cell of a map is too strong for the text of the page."""


def write_sweep_page(directory: Path) -> Path:
    """Write report.html into the folder of a finished sweep."""
    summary, meta = read_study_files(directory, "sweep", ("summary.json", "meta.json"))
    points, maps = summary["points"], build_axis_pair_heat_maps(summary)
    best = None if summary["recommended"] is None else summary["recommended"]["point"]
    text = render_template(
        "sweep.html",
        summary,
        [
            each
            for each in (draw_front(summary), tornado_chart.build_sweep_tornado_chart(summary), *maps)
            if each is not None
        ],
        maps=[each.id for each in maps],
        meta=meta,
        answers=multi_run_section_headings.compose_sweep_headings(summary),
        finding=compose_sweep_finding(summary),
        gain_text=format_sweep_setting_gain,
        edge=describe_grid_edge(summary),
        order=sorted(
            range(len(points)),
            key=lambda i: (i != best, points[i]["gain"], -points[i]["shortfall"]["value_micro"]),
        ),
        studies=[build_sweep_setting_link(directory, summary, i) for i in range(len(points))],
        best=best,
    )
    write_files(directory, {"report.html": text})
    return directory / "report.html"


def draw_front(summary: Mapping[str, Any]) -> Chart:
    """Draw each setting by its gain and expected shortfall; a line joins those that no other beats."""
    points = summary["points"]
    scale = BASIS_POINTS if summary["gain"] == "efficiency" else 1
    kept = sorted((i for i, point in enumerate(points) if point["front"]), key=lambda i: points[i]["gain"])
    best = summary["recommended"]
    groups = [
        ("the others", "@faint", 7, [i for i, point in enumerate(points) if not point["front"]]),
        ("not beaten by another", "@first", 9, kept),
    ]
    if best is not None:
        groups.append(("recommended", "@loss", 13, [best["point"]]))
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [points[i]["gain"] / scale for i in kept],
            "y": [points[i]["shortfall"]["value_micro"] / MICRO for i in kept],
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
                "x": [points[i]["gain"] / scale for i in chosen],
                "y": [points[i]["shortfall"]["value_micro"] / MICRO for i in chosen],
                "text": [
                    f"{_format_values(summary, points[i])}: {_format_interval(points[i])}" for i in chosen
                ],
                "marker": {"color": color, "size": size},
                "error_y": _build_error_bars([points[i]["shortfall"] for i in chosen], color, chosen == kept),
                "hovertemplate": "%{text}<extra></extra>",
            }
        )
    level = amounts.format_percent(summary["level_bps"], BASIS_POINTS, 0)
    limit = summary["limit_micro"] / MICRO
    figure = {
        "data": data,
        "layout": {
            "height": 380,
            "hovermode": "closest",
            "xaxis": {
                "tickformat": "~%" if scale != 1 else "~s",
                "title": build_axis_title(
                    "efficiency, % of the collateral" if scale != 1 else "debt, stablecoins"
                ),
            },
            "yaxis": {
                "tickformat": "~s",
                "title": build_axis_title(f"expected shortfall at {level}, stablecoins"),
                "rangemode": "tozero",
            },
            "shapes": [
                {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": limit, "y1": limit}
                | {"line": {"color": "@muted", "width": 1, "dash": "dot"}}
            ],
        },
    }
    told = "; ".join(
        f"{_format_values(summary, points[i])}: "
        f"{format_sweep_setting_gain(points[i]['gain'], summary['gain'])}, "
        f"{_format_interval(points[i])}"
        for i in kept
    )
    legend = tuple(LegendKey(name, color, "dots") for name, color, _, chosen in groups if chosen)
    return Chart("front", "Gain against risk", f"Settings that no other beats: {told}.", figure, legend)


def build_axis_pair_heat_maps(summary: Mapping[str, Any]) -> list[Chart]:
    """Draw expected shortfall over each pair of axes.

    The other axes stand at the recommended setting, or at the first where there is none.
    """
    axes, points = summary["axes"], summary["points"]
    anchor = get_recommended_or_first_setting(summary)["values"]
    by_values = {list_setting_values_in_axis_order(summary, point): point for point in points}
    found = []
    for across, up in combinations(axes, 2):

        def get_cell(x: str, y: str, across: Any = across, up: Any = up) -> Mapping[str, Any]:
            chosen = anchor | {across["name"]: x, up["name"]: y}
            return by_values[tuple(chosen[axis["name"]] for axis in axes)]

        cells = [[get_cell(x, y)["shortfall"]["value_micro"] for x in across["values"]] for y in up["values"]]
        others = ", ".join(
            f"{axis['title']} {anchor[axis['name']]}" for axis in axes if axis not in (across, up)
        )
        figure = {
            "data": [
                {
                    "type": "heatmap",
                    "x": list(range(len(across["values"]))),
                    "y": list(range(len(up["values"]))),
                    "z": [[cell / MICRO for cell in row] for row in cells],
                    "text": [[amounts.format_compact(cell, MICRO) for cell in row] for row in cells],
                    "colorscale": [[0, "@wash"], [1, "@loss"]],
                    "showscale": False,
                    "xgap": 2,
                    "ygap": 2,
                    "hovertemplate": "%{text}<extra></extra>",
                }
            ],
            "layout": {
                "height": 120 + 46 * len(up["values"]),
                "hovermode": "closest",
                "xaxis": _build_heat_map_axis(across),
                "yaxis": _build_heat_map_axis(up),
                "annotations": list(_iter_heat_map_annotations(cells)),
            },
        }
        title = f"Expected shortfall{f', with {others}' if others else ''}"
        label = f"Expected shortfall by {across['title']} and {up['title']}."
        found.append(Chart(f"heat-{across['name']}-{up['name']}", title, label, figure))
    return found


def _iter_heat_map_annotations(cells: Sequence[Sequence[int]]) -> Iterator[dict[str, Any]]:
    """Build the figures within a map's cells: light on dark and dark on light, in either theme."""
    low, high = min(map(min, cells)), max(map(max, cells))
    for i, row in enumerate(cells):
        for j, cell in enumerate(row):
            full = (cell - low) > _FULL * (high - low)
            font = {"size": 12, "color": "@paper" if full else "@ink"}
            yield {
                "x": j,
                "y": i,
                "text": amounts.format_compact(cell, MICRO),
                "showarrow": False,
                "font": font,
            }


def _build_error_bars(estimates: Sequence[Mapping[str, Any]], color: str, drawn: bool) -> dict[str, Any]:
    """Build the intervals of points, drawn or for the data alone; an end that has no bound is not drawn."""

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


def _format_interval(point: Mapping[str, Any]) -> str:
    value, low, high = (point["shortfall"][f"{end}_micro"] for end in ("value", "low", "high"))
    told = amounts.format_compact(value, MICRO)
    if low is None and high is None:
        return f"{told}, no interval"
    ends = ("?" if end is None else amounts.format_compact(end, MICRO) for end in (low, high))
    return f"{told} ({' to '.join(ends)})"


def _build_heat_map_axis(sweep_axis: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "tickvals": list(range(len(sweep_axis["values"]))),
        "ticktext": list(sweep_axis["values"]),
        "title": build_axis_title(sweep_axis["title"]),
        "showgrid": False,
    }


def _format_values(summary: Mapping[str, Any], point: Mapping[str, Any]) -> str:
    names = (axis["name"] for axis in summary["axes"])
    return ", ".join(
        f"{name} {value}"
        for name, value in zip(names, list_setting_values_in_axis_order(summary, point), strict=True)
    )
