"""Links between pages, up to the whole and down to the parts; before a page is there, its command."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from backstop.files.installation import format_command_as_started
from backstop.studies.stress.parameter_sweep import SETTINGS, STUDIES

REPORT = "report.html"
PATHS = "paths"  # folder of a study for the runs of single paths


class PageLink(NamedTuple):
    """Link to a result page, or the command that creates the page if it does not exist yet."""

    title: str
    href: str | None
    command: str


def build_link(directory: Path, target: str, title: str, command: str) -> PageLink:
    """Return the link from a page in `directory` to `target`, a path relative to it."""
    return PageLink(title, quote(target) if (directory / target).is_file() else None, command)


def link_run(directory: Path, place: str, title: str) -> PageLink:
    """Return the link to the page of a run in a subfolder, or the command that writes the page."""
    return build_link(directory, f"{place}/{REPORT}", title, format_report_command(directory / place))


def build_study_path_link(directory: Path, study_summary: Mapping[str, Any], path_number: int) -> PageLink:
    """Return the link to a study's path as its own run, or the command that runs it."""
    again = study_summary["worst"]["replay"].rpartition(" ")[0]  # ends with the number of the path
    place = f"{PATHS}/{path_number}"
    command = f"{again} {path_number} --host model --out {shlex.quote(str(directory / place))}"
    return build_link(
        directory, f"{place}/{REPORT}", f"path {path_number}", format_command_as_started(command)
    )


def build_sweep_setting_link(
    directory: Path, sweep_summary: Mapping[str, Any], setting_number: int
) -> PageLink:
    """Return the link to a study of one sweep setting, or the command that runs it."""
    place, file = f"{STUDIES}/{setting_number:04}", directory / SETTINGS / f"{setting_number:04}.yaml"
    words = [
        "stress",
        str(file),
        "--paths",
        str(sweep_summary["paths"]),
        "--engine",
        str(sweep_summary["engine"]),
    ]
    words += ["--seed", str(sweep_summary["seed"]), "--out", str(directory / place)]
    return build_link(
        directory,
        f"{place}/{REPORT}",
        f"setting {setting_number + 1}",
        format_command_as_started(shlex.join(words)),
    )


def build_parent_page_link(directory: Path) -> PageLink | None:
    """Return the link to the page of the study or comparison that contains this folder; None if none."""
    one, two = directory.parent, directory.parent.parent
    pages = [(one / "compare.html", "the comparison"), (two / "guards.html", "the comparison of guards")]
    if one.name == PATHS:
        pages.append((two / REPORT, "the study"))
    if one.name == STUDIES:
        pages.append((two / REPORT, "the sweep"))
    if (one / "attack.json").is_file():
        pages.append((one / REPORT, "the search"))
    return next((_build_upward_link(directory, page, title) for page, title in pages if page.is_file()), None)


def _build_upward_link(directory: Path, page: Path, title: str) -> PageLink:
    return PageLink(title, quote(os.path.relpath(page, directory)), "")


def format_report_command(directory: Path) -> str:
    """Return the command that writes the page of a result folder."""
    return format_command_as_started(f"report {shlex.quote(str(directory))}")
