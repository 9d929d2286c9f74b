"""Page of a sweep: heat maps, the front of efficiency against risk, the setting to take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from backstop.files.atomic_files import write_files
from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.report import amounts, multi_run_section_headings, tornado_chart
from backstop.report.chart_parts import Chart, build_axis_title
from backstop.report.front_chart import FRONT_TITLES, FrontAxis, FrontPoint, draw_front_chart
from backstop.report.grid_edge import describe_grid_edge
from backstop.report.page_links import build_sweep_setting_link
from backstop.report.rendering import render_template
from backstop.report.stress_console_output import MICRO
from backstop.report.study_file_reader import read_study_files
from backstop.report.summary_panel import compose_sweep_finding
from backstop.report.sweep_console_output import (
    describe_efficient,
    format_sweep_setting_gain,
    get_recommended_or_first_setting,
    list_setting_values_in_axis_order,
)

_FULL = 0.8
"""Share of the colour of loss beyond which a cell of a map is too strong for the text of the page."""


def write_sweep_page(directory: Path) -> Path:
    """Write the page `report.html` of a finished parameter sweep, and return its path."""
    summary, meta = read_study_files(directory, "sweep", ("summary.json", "meta.json"))
    points, maps = summary["points"], build_axis_pair_heat_maps(summary)
    best = None if summary["recommended"] is None else summary["recommended"]["point"]
    text = render_template(
        "sweep.html",
        summary,
        [
            each
            for each in (
                draw_front(summary),
                draw_efficient_settings(summary),
                tornado_chart.build_sweep_tornado_chart(summary),
                *maps,
            )
            if each is not None
        ],
        maps=[each.id for each in maps],
        meta=meta,
        answers=multi_run_section_headings.compose_sweep_headings(summary),
        finding=compose_sweep_finding(summary),
        gain_text=format_sweep_setting_gain,
        edge=describe_grid_edge(summary),
        efficient=describe_efficient(summary) if "measure" in summary else "",
        refused=[
            (list_setting_values_in_axis_order(summary, each), each["finding"])
            for each in summary.get("refused", ())
        ],
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
    """Return the chart of settings by gain and expected shortfall, with a line through the Pareto front."""
    scale = BASIS_POINTS if summary["gain"] == "efficiency" else 1
    points = [
        FrontPoint(
            _format_values(summary, point),
            point["gain"] / scale,
            format_sweep_setting_gain(point["gain"], summary["gain"]),
            point["shortfall"],
            point["front"],
        )
        for point in summary["points"]
    ]
    axis = FrontAxis("efficiency, % of the collateral", "~%")
    if scale == 1:
        axis = FrontAxis(FRONT_TITLES[summary["gain"]], "~s")
    best = None if summary["recommended"] is None else summary["recommended"]["point"]
    return draw_front_chart(
        "front",
        "Gain against risk",
        points,
        axis,
        summary["level_bps"],
        "not beaten by another",
        best=best,
        limit_micro=summary["limit_micro"],
    )


def draw_efficient_settings(summary: Mapping[str, Any]) -> Chart | None:
    """Return the chart of settings by revenue or debt and expected shortfall.

    None in older results, or if the chart of gains shows the same.
    """
    measure = summary.get("measure")
    if measure is None or measure == summary["gain"]:
        return None
    points = [
        FrontPoint(
            _format_values(summary, point),
            int(point[f"{measure}_wad"]) / WAD,
            amounts.format_compact(int(point[f"{measure}_wad"]), WAD),
            point["shortfall"],
            point["efficient"],
        )
        for point in summary["points"]
    ]
    title = f"{measure.capitalize()} against risk"
    axis = FrontAxis(FRONT_TITLES[measure], "~s")
    return draw_front_chart("trade-off", title, points, axis, summary["level_bps"], "efficient")


def build_axis_pair_heat_maps(summary: Mapping[str, Any]) -> list[Chart]:
    """Return a heat map of expected shortfall for each pair of axes; refused settings have no cell.

    The other axes keep the values of the recommended setting, or of the first if none is recommended.
    """
    axes, points = summary["axes"], summary["points"]
    anchor = get_recommended_or_first_setting(summary)["values"]
    by_values = {list_setting_values_in_axis_order(summary, point): point for point in points}
    found = []
    for across, up in combinations(axes, 2):

        def get_cell(x: str, y: str, across: Any = across, up: Any = up) -> int | None:
            chosen = anchor | {across["name"]: x, up["name"]: y}
            point = by_values.get(tuple(chosen[axis["name"]] for axis in axes))
            return None if point is None else int(point["shortfall"]["value_micro"])

        cells = [[get_cell(x, y) for x in across["values"]] for y in up["values"]]
        others = ", ".join(
            f"{axis['title']} {anchor[axis['name']]}" for axis in axes if axis not in (across, up)
        )
        figure = {
            "data": [
                {
                    "type": "heatmap",
                    "x": list(range(len(across["values"]))),
                    "y": list(range(len(up["values"]))),
                    "z": [[None if cell is None else cell / MICRO for cell in row] for row in cells],
                    "text": [[_format_cell(cell) for cell in row] for row in cells],
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


def _format_cell(cell: int | None) -> str:
    return "refused" if cell is None else amounts.format_compact(cell, MICRO)


def _iter_heat_map_annotations(cells: Sequence[Sequence[int | None]]) -> Iterator[dict[str, Any]]:
    """Yield the text labels of a heat map's cells, in a colour that contrasts with the cell."""
    known = [cell for row in cells for cell in row if cell is not None]
    low, high = min(known), max(known)
    for i, row in enumerate(cells):
        for j, cell in enumerate(row):
            full = cell is not None and (cell - low) > _FULL * (high - low)
            font = {"size": 12, "color": "@paper" if full else "@ink"}
            yield {
                "x": j,
                "y": i,
                "text": _format_cell(cell),
                "showarrow": False,
                "font": font,
            }


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
