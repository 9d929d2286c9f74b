"""Page of a calibration: the laws with their intervals, and their comparison with the history."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from backstop.files.atomic_files import write_files
from backstop.model.arithmetic import BASIS_POINTS
from backstop.report.amounts import format_duration_text, format_measured_share, format_percent
from backstop.report.chart_parts import Chart, LegendKey, build_axis_title, shorten_name
from backstop.report.exact_amount_markup import SummaryFigures, render_amount, render_count
from backstop.report.named_bars import build_name_axis
from backstop.report.page_links import REPORT
from backstop.report.rendering import render_template
from backstop.report.run_table_rows import FIRST_ROWS
from backstop.report.study_file_reader import read_study_files
from backstop.studies.calibration.calibration_summary import FILE
from backstop.studies.calibration.fall_verdicts import HOLDS, TOO_MILD

BILLIONTHS = 10**9
LAW_TITLES = {
    "jumps": "normal moves with jumps (Merton's)",
    "tails": "Student's t, the same degrees in each block",
}
_DRAWN_LEVEL = 100  # bps: rarer falls are often not known


def write_page(directory: Path) -> Path:
    """Write the page `report.html` of a calibration, and return its path."""
    summary, meta = read_study_files(directory, "calibration", (FILE, "meta.json"))
    text = render_template(
        "calibration.html",
        summary,
        [build_fall_quantile_chart(summary)],
        meta=meta,
        finding=compose_finding(summary),
        answers=compose_headings(summary),
        place=index_figures(summary),
        law=LAW_TITLES[summary["law"]],
        first_rows=FIRST_ROWS,
    )
    write_files(directory, {REPORT: text})
    return directory / REPORT


def index_figures(summary: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Return the position of each figure in the summary's list, by its name and its subject."""
    found: dict[str, dict[str, int]] = {}
    for i, row in enumerate(summary["figures"]):
        found.setdefault(row["figure"], {})[row["of"]] = i
    return found


def compose_finding(summary: Mapping[str, Any]) -> Markup:
    """Return the calibration's main result: the model, and how many historical falls it fits."""
    told = _list_measured_falls(summary)
    return Markup("{} for {}, from {} of {}: the law fits {} of {} measured falls.").format(
        "Jumps" if summary["law"] == "jumps" else "Student's t",
        render_count(len(summary["assets"]), "asset"),
        render_count(summary["moves"], "move"),
        format_duration_text(summary["step_seconds"]),
        render_amount(sum(row["verdict"] == HOLDS for row in told), "count"),
        render_amount(len(told), "count"),
    )


def compose_headings(summary: Mapping[str, Any]) -> dict[str, Markup]:
    """Return the short result of each section of the page, by section name."""
    numbers, places = SummaryFigures(summary), index_figures(summary)
    most = max(places["volatility"].values(), key=lambda i: summary["figures"][i]["value_billionths"])
    found = {
        "law": Markup("Most volatile: {}, {} a year").format(
            summary["figures"][most]["of"], numbers.render_figure(f"figures.{most}.value_billionths")
        ),
    }
    told = _list_measured_falls(summary)
    mild = [row for row in told if row["verdict"] == TOO_MILD]
    found["falls"] = (
        Markup("The law is too mild for {} of {} falls").format(
            render_amount(len(mild), "count"), render_amount(len(told), "count")
        )
        if told
        else Markup("The history is too short for any")
    )
    if pairs := places.get("correlation"):
        least = min(pairs.values(), key=lambda i: summary["figures"][i]["value_billionths"])
        found["correlation"] = Markup("{} or more").format(
            numbers.render_figure(f"figures.{least}.value_billionths")
        )
    if summary["quotes"]:
        whole = sum(row["quotes"] for row in summary["quotes"])
        found["depth"] = Markup("From {}").format(render_count(whole, "quote"))
    if summary["backtest"]:
        held = sum(row["verdict"] == HOLDS for row in summary["backtest"])
        found["backtest"] = Markup("{} of {} forecasts hold").format(
            render_amount(held, "count"), render_amount(len(summary["backtest"]), "count")
        )
    return found


def build_fall_quantile_chart(summary: Mapping[str, Any]) -> Chart:
    """Return the chart of the fall that 1% of moves exceed: historical with interval, and by the model."""
    rows = [row for row in summary["falls"] if row["level_bps"] == _DRAWN_LEVEL]
    names = [f"{shorten_name(row['asset'])} · {format_duration_text(row['window_seconds'])}" for row in rows]
    known = [(i, row) for i, row in enumerate(rows) if row["seen_billionths"] is not None]
    ends = [
        [
            None if row[name] is None else abs(row[name] - row["seen_billionths"]) / BILLIONTHS
            for _, row in known
        ]
        for name in ("seen_high_billionths", "seen_low_billionths")
    ]
    figure = {
        "data": [
            _build_fall_points("of the history", "@first", known, "seen_billionths")
            | {
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": ends[0],
                    "arrayminus": ends[1],
                    "color": "@first",
                    "thickness": 1.5,
                }
            },
            _build_fall_points("of the law", "@second", list(enumerate(rows)), "law_billionths")
            | {"marker": {"color": "@second", "size": 11, "symbol": "diamond-open"}},
        ],
        "layout": {
            "height": 100 + 34 * len(names),
            "hovermode": "closest",
            "xaxis": {
                "tickformat": ".0~%",
                "showgrid": True,
                "rangemode": "tozero",
                "title": build_axis_title("fall that one in 100 exceeds, %"),
            },
            "yaxis": build_name_axis(names),
        },
    }
    told = "; ".join(
        f"{name}: {_format_share_or_unknown(row['seen_billionths'])} seen, "
        f"{format_measured_share(row['law_billionths'])} by the law"
        for name, row in zip(names, rows, strict=True)
    )
    level = format_percent(_DRAWN_LEVEL, BASIS_POINTS, 0)
    legend = (
        LegendKey("of the history, with its interval", "@first", "dots"),
        LegendKey("of the law", "@second", "dots"),
    )
    label = f"Falls that {level} of moves exceed. {told}."
    return Chart("falls-chart", "Falls that one in 100 exceeds", label, figure, legend)


def _list_measured_falls(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [row for row in summary["falls"] if row["seen_billionths"] is not None]


def _build_fall_points(
    title: str, color: str, placed_rows: list[tuple[int, dict[str, Any]]], column: str
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "orientation": "h",
        "name": title,
        "x": [row[column] / BILLIONTHS for _, row in placed_rows],
        "y": [i for i, _ in placed_rows],
        "marker": {"color": color, "size": 9},
        "cliponaxis": False,
        "text": [format_measured_share(row[column]) for _, row in placed_rows],
        "hovertemplate": f"{title}: %{{text}}<extra></extra>",
    }


def _format_share_or_unknown(billionths: int | None) -> str:
    return "not" if billionths is None else format_measured_share(billionths)
