"""Page of the study of self-made pairs: the profit of one owner, long against short, by a market's terms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from backstop.files.atomic_files import write_files
from backstop.report.amounts import format_percent
from backstop.report.chart_parts import Chart, LegendKey, build_axis_title
from backstop.report.exact_amount_markup import SummaryFigures, render_amount, render_count
from backstop.report.named_bars import build_name_axis
from backstop.report.rendering import render_template
from backstop.report.self_hedge_console_table import KINDS
from backstop.report.study_file_reader import read_study_files
from backstop.studies.self_hedge.self_hedge_summary import FILE

MILLIONTHS = 10**6  # shares of notional are in these

_NAMED = {"blind": "every so many minutes", "chosen": "at chosen moments"}


def write_page(directory: Path) -> Path:
    """Write the page `report.html` of a study of self-hedged pairs, and return its path."""
    summary, meta = read_study_files(directory, "study of pairs", (FILE, "meta.json"))
    rows = list(enumerate(summary["rows"]))
    text = render_template(
        "straddle.html",
        summary,
        [build_hedged_pair_gains_chart(summary)],
        meta=meta,
        finding=compose_finding(summary),
        first=sum_pair_gains_at_library_terms(summary),
        answers=compose_headings(summary),
        days=[(i, row["series"]) for i, row in rows if row["group"] == "library" and row["series"]],
        settings=[(i, get_setting_name(row)) for i, row in rows if not row["series"]],
        kinds=[(kind, _NAMED[kind]) for kind in KINDS],
        share=lambda millionths: format_percent(millionths, MILLIONTHS, 2),
    )
    write_files(directory, {"report.html": text})
    return directory / "report.html"


def get_setting_name(row: Mapping[str, Any]) -> str:
    """Return the display name of a row's market terms."""
    return "the library's terms" if row["group"] == "library" else f"{row['group']}: {row['told']}"


def sum_pair_gains_at_library_terms(summary: Mapping[str, Any]) -> dict[str, int]:
    """Return the totals of pairs at the library's terms: count, failed, earning, best gain [wad].

    The totals include regular and chosen opening moments.
    """
    own = [row for row in summary["rows"] if row["group"] == "library" and not row["series"]]
    gains = [row[kind] for row in own for kind in KINDS]
    found = {name: sum(each[name] for each in gains) for name in ("pairs", "failed", "earned")}
    return found | {"most_wad": max(int(each["most_wad"]) for each in gains)}


def compose_finding(summary: Mapping[str, Any]) -> Markup:
    """Return the study's main result: whether a self-hedged pair earns at the library's terms."""
    first = sum_pair_gains_at_library_terms(summary)
    pairs, best = render_count(first["pairs"], "pair"), render_amount(abs(first["most_wad"]), "wad")
    if first["earned"]:
        return Markup("{} of {} at the library's terms earned, {} stablecoins at most.").format(
            render_amount(first["earned"], "count"), pairs, best
        )
    return Markup("None of {} at the library's terms earned: the best lost {} stablecoins.").format(
        pairs, best
    )


def compose_headings(summary: Mapping[str, Any]) -> dict[str, Markup]:
    """Return the short result of each section of the page, by section name."""
    rows = [row for row in summary["rows"] if not row["series"]]
    days = [row for row in summary["rows"] if row["group"] == "library" and row["series"]]
    best = max(rows, key=lambda row: max(row[kind]["most_share"] for kind in KINDS))
    best_share = max(best[kind]["most_share"] for kind in KINDS)
    kindest = max(days, key=lambda row: int(row["chosen"]["mean_wad"]))
    moves = [
        (move, int(window), series)
        for series, by_window in summary["largest_moves_bps"].items()
        for window, move in by_window.items()
    ]
    shortest = min(window for _, window, _ in moves)
    move, _, series = max(each for each in moves if each[1] == shortest)
    numbers = SummaryFigures(summary)
    earning = sum(any(row[kind]["earned"] for kind in KINDS) for row in rows)
    return {
        "days": Markup("On average {} at chosen moments of {}").format(
            numbers.render_figure(f"rows.{summary['rows'].index(kindest)}.chosen.mean_wad"), kindest["series"]
        ),
        "settings": Markup("Some pair earns at {} of {}; most, {}, at {}").format(
            render_amount(earning, "count"),
            render_count(len(rows), "setting"),
            format_percent(best_share, MILLIONTHS, 2),
            get_setting_name(best),
        )
        if earning
        else Markup("No pair earns at any of {}").format(render_count(len(rows), "setting")),
        "moves": Markup("{} in {} seconds, of {}").format(format_percent(move, 10_000, 2), shortest, series),
        "mirror": Markup("The pair is played on the model of the contracts"),
    }


def build_hedged_pair_gains_chart(summary: Mapping[str, Any]) -> Chart:
    """Return the chart of pairs' gains by market terms: average and best at chosen moments."""
    rows = [row for row in summary["rows"] if not row["series"]]
    names = [get_setting_name(row) for row in rows]
    groups = [("average", "@first", "mean_share"), ("the best", "@loss", "most_share")]
    figure = {
        "data": [
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": [row["chosen"][figure] / MILLIONTHS for row in rows],
                "y": list(range(len(rows))),
                "customdata": [format_percent(row["chosen"][figure], MILLIONTHS, 2) for row in rows],
                "marker": {"color": color, "size": 9},
                "hovertemplate": f"{name}: %{{customdata}}<extra></extra>",
            }
            for name, color, figure in groups
        ],
        "layout": {
            "height": 90 + 30 * len(rows),
            "hovermode": "closest",
            "xaxis": {
                "tickformat": ".1~%",
                "showgrid": True,
                "zeroline": True,
                "zerolinecolor": "@muted",
                "title": build_axis_title("gain at chosen moments, %"),
            },
            "yaxis": build_name_axis(names),
        },
    }
    told = "; ".join(
        f"{name} {format_percent(row['chosen']['most_share'], MILLIONTHS, 2)}"
        for name, row in zip(names, rows, strict=True)
    )
    legend = tuple(LegendKey(name, color, "dots") for name, color, _ in groups)
    return Chart(
        "gains", "Gain of pairs", f"The best pair at chosen moments by setting: {told}.", figure, legend
    )
