"""Page of a comparison: one crash, several ways to bear it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backstop.files.atomic_files import write_files
from backstop.report import answers
from backstop.report.compare_charts import charts
from backstop.report.first_screen import compared, of_presets
from backstop.report.links import run_of
from backstop.report.rendering import render
from backstop.simulation.bearers import GROUPS
from backstop.simulation.run_directory import load_run
from backstop.studies.comparison.figure_lines import read_figure
from backstop.studies.comparison.preset_comparison import list_checked_runs, margin_lines, vault_lines

FILE = "compare.html"


def write_page(comparison: Mapping[str, Any], directory: Path) -> Path:
    """Write compare.html beside the runs of a comparison and return its path."""
    write_files(directory, {FILE: page(comparison, directory)})
    return directory / FILE


def page(comparison: Mapping[str, Any], directory: Path) -> str:
    """Render the page as text, from a comparison and the run directories beside it."""
    runs = [load_run(directory / row["preset"]) for row in comparison["presets"]]
    return render(
        "compare.html",
        comparison,
        charts(comparison, runs),
        runs=[
            run_of(directory, row["preset"], "Its run, auction by auction") for row in comparison["presets"]
        ],
        finding=compared(comparison),
        answers=answers.of_comparison(comparison),
        strips=of_presets(comparison),
        rows=vault_lines(comparison),
        margin_rows=margin_lines(comparison),
        value=lambda i, line: read_figure(comparison["presets"][i], line.figure),
        asked=[
            group
            for i, group in enumerate(GROUPS.values())
            if any(row["loss_paid_by"][i]["present"] for row in comparison["presets"])
        ],
        dodges=any((row["margin"] or {}).get("dodging") for row in comparison["presets"]),
        differences=sum(row["differences"] for row in list_checked_runs(comparison)),
        compared=sum(row["fields_compared"] for row in list_checked_runs(comparison)),
    )
