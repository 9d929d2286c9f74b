"""Page of a comparison of guards: each crash without them and with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backstop.files.atomic_files import write_files
from backstop.model.arithmetic import RAD
from backstop.report import amounts, multi_run_section_headings, summary_panel
from backstop.report.chart_parts import Chart, LegendKey
from backstop.report.named_bars import BarPart, build_stacked_bars
from backstop.report.page_links import link_run
from backstop.report.rendering import render_template
from backstop.studies.comparison.guard_comparison import list_nonzero_table_lines
from backstop.studies.comparison.run_comparison_lines import read_figure

_PARTS = (
    ("recognised", "recognised_rad", "@holders"),
    ("not sold yet", "underwater_rad", "@unpaid"),
)


FILE = "guards.html"


def write_page(comparison: Mapping[str, Any], directory: Path) -> Path:
    """Write the page `guards.html` of a comparison of guards, and return its path."""
    write_files(directory, {FILE: render_page_text(comparison, directory)})
    return directory / FILE


def render_page_text(comparison: Mapping[str, Any], runs_folder: Path) -> str:
    """Return the page of a comparison of guards as HTML, with links to its runs."""
    scenarios = comparison["scenarios"]
    runs = [row for each in scenarios for row in each["runs"]]
    return render_template(
        "guards.html",
        comparison,
        [chart for i, each in enumerate(scenarios) if (chart := draw_bad_debt(i, each)) is not None],
        lines=list_nonzero_table_lines,
        answers=multi_run_section_headings.compose_guards_headings(comparison),
        run_of=lambda each, row: link_run(
            runs_folder, f"{each['scenario']}/{row['guard']}", f"{row['title']}: its run"
        ),
        guarded=lambda each, k: summary_panel.compose_guards_finding(each, k, comparison),
        of_guards=lambda each, k: list(summary_panel.build_guard_bad_debt_strips(each, k, comparison)),
        has=lambda row, line: read_figure(row, line.figure) is not None,
        differences=sum(row["differences"] for row in runs),
        compared=sum(row["fields_compared"] for row in runs),
    )


def draw_bad_debt(place: int, compared: Mapping[str, Any]) -> Chart | None:
    """Return the chart of bad debt by run: recognised, and not sold yet; None without bad debt."""
    rows = compared["runs"]
    if not any(int(row["bad_debt_rad"]) for row in rows):
        return None
    titles = [row["title"] for row in rows]
    parts = [BarPart(name, color, [int(row[path]) for row in rows]) for name, path, color in _PARTS]
    told = "; ".join(
        f"{title} {amounts.format_compact(int(row['bad_debt_rad']), RAD)}"
        for title, row in zip(titles, rows, strict=True)
    )
    legend = tuple(LegendKey(part.name, part.color, "area") for part in parts)
    return Chart(
        f"bad-{place}", "Bad debt", f"Bad debt by run: {told}.", build_stacked_bars(titles, parts), legend
    )
