"""Page of a crash of a perpetual market: the payers, its cost and its duration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from backstop.files.atomic_files import write_files
from backstop.report import amounts
from backstop.report.chart_parts import Chart, LegendKey, build_axis_title, get_series_color
from backstop.report.deleverage_console_output import PAID, list_per_account_phases
from backstop.report.exact_amount_markup import SummaryFigures, render_amount, render_count, render_duration
from backstop.report.named_bars import BarPart, build_stacked_bars
from backstop.report.rendering import render_template
from backstop.report.study_file_reader import read_study_files
from backstop.report.summary_panel import LossStrip, build_strip
from backstop.studies.auto_deleveraging.margin_crash_summary import FILE, WORK

_COLORS = {
    "insurance": "insurance",
    "winners": "winners",
    "unvested": "clawback",
    "later": "later_gains",
    "protocol": "protocol",
    "nobody": "unpaid",
}


def write_page(directory: Path) -> Path:
    """Write the page `report.html` of a simulated crash of a perpetual market, and return its path."""
    summary, meta = read_study_files(directory, "crash", (FILE, "meta.json"))
    text = render_template(
        "deleverage.html",
        summary,
        [build_blocks_per_phase_chart(summary)],
        meta=meta,
        finding=compose_finding(summary),
        strip=build_payer_strip(summary),
        answers=compose_headings(summary),
        duration=render_duration,
    )
    write_files(directory, {"report.html": text})
    return directory / "report.html"


def build_payer_strip(summary: Mapping[str, Any]) -> LossStrip | None:
    """Return the strip of the debts beyond margin by payer; None without such debts."""
    parts = [(name[0].upper() + name[1:], _COLORS[key], [f"{key}_wad"]) for key, name in PAID.items()]
    return build_strip(summary, "owed beyond margins", parts)


def compose_finding(summary: Mapping[str, Any]) -> Markup:
    """Return the crash's main result: the debts beyond margin, and their payers."""
    numbers = SummaryFigures(summary)
    return Markup("{} owed {} beyond what they had: insurance paid {}, those who had gained {}, {}.").format(
        render_count(summary["insolvent"], "account"),
        numbers.render_figure("owed_wad"),
        numbers.render_figure("insurance_wad"),
        numbers.render_figure("winners_wad"),
        Markup("and {} is not yet covered").format(numbers.render_figure("nobody_wad"))
        if int(summary["nobody_wad"])
        else Markup("each {} of its gain").format(render_amount(summary["most_taken_bps"], "bps")),
    )


def compose_headings(summary: Mapping[str, Any]) -> dict[str, Markup]:
    """Return the short result of each section of the page, by section name."""
    most = max(row["most"] for row in list_per_account_phases(summary))
    found = {
        "cost": Markup("At most {} gas, whoever owes").format(render_amount(most, "count")),
        "time": Markup("{} of 30M gas").format(render_count(summary["work_blocks"], "block")),
        "mirror": Markup("Model and chain agree on every field"),
    }
    if summary["closings"]:
        beyond = sum(row["excess"] for row in summary["closings"])
        found["closings"] = Markup("{} beyond the unassigned lots").format(render_count(beyond, "lot"))
    if summary["dodging"]:
        found["dodging"] = Markup("They bear {} less than their gains have to").format(
            render_amount(summary["dodging"]["escaped_wad"], "wad")
        )
    return found


def build_blocks_per_phase_chart(summary: Mapping[str, Any]) -> Chart:
    """Return the chart of how many blocks each phase of handling the insolvency took."""
    rows = [row for row in summary["phases"] if row["phase"] in WORK]
    parts = [BarPart(row["phase"], get_series_color(i), [row["blocks"]]) for i, row in enumerate(rows)]
    figure = build_stacked_bars([summary["policy"]], parts, 1)
    figure["layout"]["xaxis"]["title"] = build_axis_title("blocks")
    told = "; ".join(f"{row['phase']} {amounts.format_exact(row['blocks'], 1)}" for row in rows)
    legend = tuple(LegendKey(part.name, part.color, "area") for part in parts)
    return Chart("blocks", "Blocks of 30M gas", f"Blocks: {told}.", figure, legend)
