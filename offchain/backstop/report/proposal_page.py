"""Page of a proposal: the question, the answer in one sentence, its interval, and its conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backstop.errors import BackstopError
from backstop.files.atomic_files import write_files
from backstop.model.arithmetic import WAD
from backstop.report import amounts, multi_run_section_headings, tornado_chart
from backstop.report.chart_parts import Chart, build_axis_title, to_plot_values
from backstop.report.front_chart import FRONT_TITLES, FrontAxis, FrontPoint, draw_front_chart
from backstop.report.named_bars import build_name_axis
from backstop.report.stress_console_output import MICRO
from backstop.report.study_file_reader import read_study_files

NAMES = {"shortfall": "shortfall", "average": "average"}
"""Figures of bad debt, which are drawn."""


def write_page(directory: Path) -> Path:
    """Write the page `report.html` of an answered proposal, and return its path.

    Raises BackstopError if the folder answers another question.
    """
    from backstop.report.rendering import render_template

    summary, meta = read_study_files(directory, "proposal", ("summary.json", "meta.json"))
    if summary.get("question") != "proposal":
        raise BackstopError(f"{directory} answers the question {summary.get('question')}, which has no page")
    tables = summary["tables"]
    charts = [
        build_change_interval_chart(
            "figures", "Change by collateral, with its interval", tables["figures"], _format_figure_name
        ),
        build_change_interval_chart(
            "worlds", "Change in other worlds, with its interval", tables["sensitivity"], _format_world_name
        ),
        tornado_chart.build_proposal_assumption_tornado_chart(summary),
        draw_efficient_settings(summary),
    ]
    text = render_template(
        "proposal.html",
        summary,
        [each for each in charts if each],
        meta=meta,
        named=NAMES,
        answers=multi_run_section_headings.compose_proposal_section_headings(summary),
    )
    write_files(directory, {"report.html": text})
    return directory / "report.html"


def draw_efficient_settings(summary: Mapping[str, Any]) -> Chart | None:
    """Return the chart of settings by revenue or debt and expected shortfall; None in older results."""
    rows, measure = summary["tables"].get("usage"), summary.get("measure")
    if not rows:
        return None
    points = []
    for row in rows:
        amount = int(row[f"{measure}_wad"])
        ends = {
            f"{end}_micro": row[f"shortfall_{name}micro"]
            for end, name in (("value", ""), ("low", "low_"), ("high", "high_"))
        }
        told = amounts.format_compact(amount, WAD)
        points.append(FrontPoint(row["setting"], amount / WAD, told, ends, row["efficient"] == "yes"))
    title = f"{str(measure).capitalize()} against risk"
    axis = FrontAxis(FRONT_TITLES[str(measure)], "~s")
    return draw_front_chart("trade-off", title, points, axis, summary["level_bps"], "efficient")


def _format_figure_name(row: Mapping[str, Any]) -> str:
    of = "" if row["of"] == "all" else f", {row['of']}"
    return f"{NAMES.get(row['figure'], row['figure'])}{of}"


def _format_world_name(row: Mapping[str, Any]) -> str:
    return str(row["world"])


def build_change_interval_chart(
    element_id: str, title: str, rows: Sequence[Mapping[str, Any]], get_row_name: Any
) -> Chart:
    """Return the chart of each row's change with its confidence interval.

    A row without an interval is drawn as a hollow point. `get_row_name` maps a row to its name.
    """
    # What is liquidated is of another size than what is lost, and would press everything else to zero.
    rows = [row for row in rows if row["figure"] in NAMES]
    names = [get_row_name(row) for row in rows]
    data = []
    for bounded in (True, False):
        chosen = [i for i, row in enumerate(rows) if (row["change_low_micro"] is not None) == bounded]
        values = [rows[i]["change_micro"] for i in chosen]
        ends = [
            (rows[i]["change_low_micro"], rows[i]["change_high_micro"]) if bounded else (value, value)
            for i, value in zip(chosen, values, strict=True)
        ]
        above = [high - value for value, (_, high) in zip(values, ends, strict=True)]
        below = [value - low for value, (low, _) in zip(values, ends, strict=True)]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": to_plot_values(values, MICRO),
                "y": chosen,
                "marker": {
                    "color": "@first" if bounded else "@faint",
                    "size": 9,
                    "symbol": "circle" if bounded else "circle-open",
                },
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": to_plot_values(above, MICRO),
                    "arrayminus": to_plot_values(below, MICRO),
                    "color": "@first",
                    "thickness": 1.5,
                },
                "text": [f"{names[i]}: {_format_change_with_interval(rows[i])}" for i in chosen],
                "hovertemplate": "%{text}<extra></extra>",
            }
        )
    figure = {
        "data": data,
        "layout": {
            "height": 90 + 34 * len(names),
            "hovermode": "closest",
            "showlegend": False,
            "xaxis": {
                "tickformat": "~s",
                "title": build_axis_title("change, stablecoins"),
                "zeroline": True,
                "zerolinecolor": "@muted",
                "rangemode": "tozero",
            },
            "yaxis": build_name_axis(names),
        },
    }
    told = "; ".join(f"{names[i]}: {_format_change_with_interval(row)}" for i, row in enumerate(rows))
    return Chart(element_id, title, f"{title}. {told}.", figure)


def _format_change_with_interval(row: Mapping[str, Any]) -> str:
    value = amounts.format_compact(row["change_micro"], MICRO)
    if row["change_low_micro"] is None:
        return f"{value}, no interval"
    low, high = (amounts.format_compact(row[f"change_{end}_micro"], MICRO) for end in ("low", "high"))
    return f"{value} ({low} to {high})"
