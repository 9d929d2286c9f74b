"""Page of a search: the worst that was found, what it was made of, where the loss went."""

from __future__ import annotations

from pathlib import Path

from backstop.files.atomic_files import write_files
from backstop.report.answers import of_search
from backstop.report.attack_charts import charts
from backstop.report.attack_table import clock
from backstop.report.finished import read_finished
from backstop.report.first_screen import of_groups, searched
from backstop.report.links import run_of
from backstop.report.rendering import render
from backstop.simulation.bearers import ALL_GROUPS
from backstop.studies.attack.worst_scenario import RUN


def write_page(directory: Path) -> Path:
    """Write report.html into the folder of a finished search."""
    summary, meta = read_finished(directory, "search", ("summary.json", "meta.json"))
    text = render(
        "attack.html",
        summary,
        charts(summary),
        meta=meta,
        answers=of_search(summary),
        labels={name: group.label for name, group in ALL_GROUPS.items()},
        strip=of_groups(summary, "lost in all on the worst path", "wad"),
        finding=searched(summary),
        run=run_of(directory, RUN, "As a run of its own"),
        at=clock,
    )
    write_files(directory, {"report.html": text})
    return directory / "report.html"
