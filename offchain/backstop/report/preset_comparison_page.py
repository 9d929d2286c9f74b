"""Page of a comparison: one crash, several ways to bear it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backstop.files.atomic_files import write_files
from backstop.report import multi_run_section_headings
from backstop.report.compare_charts import build_charts
from backstop.report.page_links import link_run
from backstop.report.rendering import render_template
from backstop.report.summary_panel import build_preset_loss_strips, compose_comparison_finding
from backstop.simulation.loss_bearers import GROUPS
from backstop.simulation.run_directory import load_run
from backstop.studies.comparison.preset_comparison import (
    list_all_runs,
    list_margin_figure_line_specs,
    list_vault_line_specs,
)
from backstop.studies.comparison.run_comparison_lines import read_figure

FILE = "compare.html"


def write_page(comparison: Mapping[str, Any], directory: Path) -> Path:
    """Write the page `compare.html` of a preset comparison, and return its path."""
    write_files(directory, {FILE: render_page_text(comparison, directory)})
    return directory / FILE


def render_page_text(comparison: Mapping[str, Any], runs_folder: Path) -> str:
    """Return the page of a preset comparison as HTML, from its runs in `runs_folder`."""
    runs = [load_run(runs_folder / row["preset"]) for row in comparison["presets"]]
    return render_template(
        "compare.html",
        comparison,
        build_charts(comparison, runs),
        runs=[
            link_run(runs_folder, row["preset"], "Its run, auction by auction")
            for row in comparison["presets"]
        ],
        finding=compose_comparison_finding(comparison),
        answers=multi_run_section_headings.compose_comparison_headings(comparison),
        strips=build_preset_loss_strips(comparison),
        rows=list_vault_line_specs(comparison),
        margin_rows=list_margin_figure_line_specs(comparison),
        value=lambda i, line: read_figure(comparison["presets"][i], line.figure),
        asked=[
            group
            for i, group in enumerate(GROUPS.values())
            if any(row["loss_paid_by"][i]["present"] for row in comparison["presets"])
        ],
        dodges=any((row["margin"] or {}).get("dodging") for row in comparison["presets"]),
        differences=sum(row["differences"] for row in list_all_runs(comparison)),
        compared=sum(row["fields_compared"] for row in list_all_runs(comparison)),
    )
