"""Page of a search: the worst case found, its composition, and the payers of its loss."""

from __future__ import annotations

from pathlib import Path

from backstop.files.atomic_files import write_files
from backstop.report.attack_console_output import format_hours_and_minutes
from backstop.report.attack_search_charts import build_attack_charts
from backstop.report.multi_run_section_headings import compose_search_section_headings
from backstop.report.page_links import link_run
from backstop.report.rendering import render_template
from backstop.report.study_file_reader import read_study_files
from backstop.report.summary_panel import build_group_strip, compose_search_finding
from backstop.simulation.loss_bearers import ALL_GROUPS
from backstop.studies.attack.worst_scenario_file import RUN


def write_page(directory: Path) -> Path:
    """Write the page `report.html` of a finished attack search, and return its path."""
    summary, meta = read_study_files(directory, "search", ("summary.json", "meta.json"))
    text = render_template(
        "attack.html",
        summary,
        build_attack_charts(summary),
        meta=meta,
        answers=compose_search_section_headings(summary),
        labels={name: group.label for name, group in ALL_GROUPS.items()},
        strip=build_group_strip(summary, "lost in all on the worst path", "wad"),
        finding=compose_search_finding(summary),
        run=link_run(directory, RUN, "As a run of its own"),
        at=format_hours_and_minutes,
    )
    write_files(directory, {"report.html": text})
    return directory / "report.html"
