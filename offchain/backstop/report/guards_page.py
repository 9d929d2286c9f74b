"""Page of a comparison of guards: each crash without them and with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backstop.files.atomic_files import write_files
from backstop.model.arithmetic import RAD
from backstop.report import amounts, answers, first_screen
from backstop.report.links import run_of
from backstop.report.named_bars import Part, stacked
from backstop.report.plotting import Chart, Key
from backstop.report.rendering import render
from backstop.studies.comparison.figure_lines import read_figure
from backstop.studies.comparison.guard_comparison import list_guard_lines

_PARTS = (
    ("recognised", "recognised_rad", "@holders"),
    ("not sold yet", "underwater_rad", "@unpaid"),
)


FILE = "guards.html"


def write_page(comparison: Mapping[str, Any], directory: Path) -> Path:
    """Write guards.html beside the runs of a comparison and return its path."""
    write_files(directory, {FILE: page(comparison, directory)})
    return directory / FILE


def page(comparison: Mapping[str, Any], directory: Path) -> str:
    """Render the page of a comparison of guards as text, with the ways to the runs beside it."""
    scenarios = comparison["scenarios"]
    runs = [row for each in scenarios for row in each["runs"]]
    return render(
        "guards.html",
        comparison,
        [chart for i, each in enumerate(scenarios) if (chart := bad_debt(i, each)) is not None],
        lines=list_guard_lines,
        answers=answers.of_guards(comparison),
        run_of=lambda each, row: run_of(
            directory, f"{each['scenario']}/{row['guard']}", f"{row['title']}: its run"
        ),
        guarded=lambda each, k: first_screen.guarded(each, k, comparison),
        of_guards=lambda each, k: list(first_screen.of_guards(each, k, comparison)),
        has=lambda row, line: read_figure(row, line.figure) is not None,
        differences=sum(row["differences"] for row in runs),
        compared=sum(row["fields_compared"] for row in runs),
    )


def bad_debt(place: int, compared: Mapping[str, Any]) -> Chart | None:
    """Draw a bar for each run: the bad debt that was recognised, and the part that is not sold yet."""
    rows = compared["runs"]
    if not any(int(row["bad_debt_rad"]) for row in rows):
        return None
    titles = [row["title"] for row in rows]
    parts = [Part(name, color, [int(row[path]) for row in rows]) for name, path, color in _PARTS]
    told = "; ".join(
        f"{title} {amounts.compact(int(row['bad_debt_rad']), RAD)}"
        for title, row in zip(titles, rows, strict=True)
    )
    legend = tuple(Key(part.name, part.color, "area") for part in parts)
    return Chart(f"bad-{place}", "Bad debt", f"Bad debt by run: {told}.", stacked(titles, parts), legend)
