"""Page of reproductions: published outcomes beside ours, with ranges, assumptions and causes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from backstop.files.atomic_files import write_files
from backstop.report.rendering import render_template
from backstop.studies.reproductions.figure_comparison import HEADER

FILE = "reproductions.html"
RESULT = "reproductions.json"


def write_page(results: Sequence[Mapping[str, Any]], seed: int, directory: Path) -> Path:
    """Write `reproductions.json` and the page that shows it, and return the page's path."""
    summary = {"schema_version": 1, "seed": seed, "results": list(results)}
    text = json.dumps(summary, indent=2, sort_keys=True)
    write_files(directory, {RESULT: text + "\n"})
    return write_page_of_summary(json.loads(text), directory)


def write_page_of_summary(summary: Mapping[str, Any], directory: Path) -> Path:
    """Write the page `reproductions.html` from an existing summary, and return its path."""
    page = render_template(
        "reproductions.html",
        summary,
        [],
        header=HEADER,
        published=[
            [row for row in result["rows"] if row["published"] is not None] for result in summary["results"]
        ],
        finding=compose_finding(summary),
    )
    write_files(directory, {FILE: page})
    return directory / FILE


def compose_finding(summary: Mapping[str, Any]) -> Markup:
    """Return a sentence on how many of our figures agree with the published ones."""
    agreed, compared = (sum(result[name] for result in summary["results"]) for name in ("agreed", "compared"))
    return Markup("{} of {} comparisons with published figures hold.").format(agreed, compared)
