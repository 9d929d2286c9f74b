"""Page over all runs and studies of a folder: one line for each, with its finding."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from backstop.errors import BackstopError
from backstop.files.atomic_files import write_files
from backstop.report.page_links import PageLink, build_link, format_report_command
from backstop.report.rendering import render_template
from backstop.report.result_kinds import ResultKind, find_result_kind, read_result_summary
from backstop.simulation.loss_totals import add_loss_totals

FILE = "index.html"
_DEPTH = 4  # folders below the first: a run of a guard lies three deep


class IndexEntry(NamedTuple):
    """Entry of the index page: a result folder with its kind, link, main result and losses."""

    place: str
    kind: str
    title: str
    way: PageLink
    finding: Markup
    lost_rad: int | None  # in all, of a run
    unpaid_rad: int | None
    seed: int | None
    created: str


def write_index_page(directory: Path) -> Path:
    """Write the page `index.html` over all results below a folder, and return its path.

    Raises BackstopError if there are none.
    """
    found = list_result_entries_or_problems(directory)
    if not found:
        raise BackstopError(f"{directory} has no run, study or comparison in it")
    left_out = [each for each in found if isinstance(each, str)]
    rows = [each for each in found if isinstance(each, IndexEntry)]
    text = render_template(
        "index.html", {"runs": len(rows)}, [], rows=rows, unread=left_out, kinds=_count_kinds(rows)
    )
    write_files(directory, {FILE: text})
    return directory / FILE


def list_result_entries_or_problems(directory: Path) -> list[IndexEntry | str]:
    """Return the results below a folder, the newest first, then a problem for each unreadable folder."""
    found: list[IndexEntry | str] = []
    for folder, kind in _iter_folders(directory, _DEPTH):
        try:
            found.append(_build_entry(directory, folder, kind))
        except (BackstopError, KeyError, TypeError, ValueError, IndexError) as error:
            found.append(f"{folder.relative_to(directory)}: {kind.name} that is not whole ({error})")
    whole = sorted((each for each in found if isinstance(each, IndexEntry)), key=lambda each: each.place)
    whole.sort(key=lambda each: each.created, reverse=True)
    return [*whole, *(each for each in found if isinstance(each, str))]


def _iter_folders(directory: Path, depth: int) -> Iterator[tuple[Path, ResultKind]]:
    for folder in sorted(path for path in directory.iterdir() if path.is_dir() and not path.is_symlink()):
        kind = find_result_kind(folder)
        if kind is not None:
            yield folder, kind
        if depth > 1:
            yield from _iter_folders(folder, depth - 1)


def _build_entry(directory: Path, folder: Path, kind: ResultKind) -> IndexEntry:
    summary = read_result_summary(folder, kind)
    place = folder.relative_to(directory).as_posix()
    totals: Mapping[str, Any] = add_loss_totals(summary)["totals"] if kind.name == "run" else {}
    seed = summary.get("seed")
    return IndexEntry(
        place=place,
        kind=kind.name,
        title=_get_title(summary, kind),
        way=build_link(directory, f"{place}/{kind.page}", place, format_report_command(folder)),
        finding=kind.finding(summary),
        lost_rad=int(totals["lost_rad"]) if totals else None,
        unpaid_rad=int(totals["unpaid_rad"]) if totals else None,
        seed=None if seed is None else int(seed),
        created=_get_creation_time(folder, kind),
    )


def _get_title(summary: Mapping[str, Any], kind: ResultKind) -> str:
    if kind.name == "guards":
        return ", ".join(each["title"] for each in summary["scenarios"])
    if kind.name == "answer":
        return f"{summary['question']}: {summary['scenario']}"
    if kind.name == "hunt":
        return "Exploits that the rules allow"
    return str(summary["title"])


def _get_creation_time(folder: Path, kind: ResultKind) -> str:
    """Return when a result was created: by its metadata, or else by its summary's file time."""
    try:
        return str(json.loads((folder / "meta.json").read_text(encoding="utf-8"))["created"])
    except (OSError, ValueError, KeyError, TypeError):
        written = (folder / kind.summary).stat().st_mtime
        return datetime.fromtimestamp(written, UTC).isoformat(timespec="seconds")


def _count_kinds(rows: list[IndexEntry]) -> dict[str, int]:
    return {kind: sum(row.kind == kind for row in rows) for kind in dict.fromkeys(row.kind for row in rows)}
