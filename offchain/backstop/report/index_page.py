"""Page over all runs and studies of a folder: one line for each, with what it found."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from backstop.errors import BackstopError
from backstop.files.atomic_files import write_files
from backstop.report.kinds import Kind, kind_of, summary_of
from backstop.report.links import Link, link, report_command
from backstop.report.rendering import render
from backstop.simulation.headline import completed

FILE = "index.html"
_DEPTH = 4  # folders below the first: a run of a guard lies three deep


class Entry(NamedTuple):
    """One folder: where it is, what it is, the way to its page, and what it found."""

    place: str
    kind: str
    title: str
    way: Link
    finding: Markup
    lost_rad: int | None  # in all, of a run
    unpaid_rad: int | None
    seed: int | None
    created: str


def write_page(directory: Path) -> Path:
    """Write index.html over all that is below a folder; raise BackstopError if nothing is."""
    found = entries(directory)
    if not found:
        raise BackstopError(f"{directory} has no run, study or comparison in it")
    left_out = [each for each in found if isinstance(each, str)]
    rows = [each for each in found if isinstance(each, Entry)]
    text = render("index.html", {"runs": len(rows)}, [], rows=rows, unread=left_out, kinds=_counts(rows))
    write_files(directory, {FILE: text})
    return directory / FILE


def entries(directory: Path) -> list[Entry | str]:
    """List what is below a folder, the newest first; in place of what cannot be read, why."""
    found: list[Entry | str] = []
    for folder, kind in _folders(directory, _DEPTH):
        try:
            found.append(_entry(directory, folder, kind))
        except (BackstopError, KeyError, TypeError, ValueError, IndexError) as error:
            found.append(f"{folder.relative_to(directory)}: {kind.name} that is not whole ({error})")
    whole = sorted((each for each in found if isinstance(each, Entry)), key=lambda each: each.place)
    whole.sort(key=lambda each: each.created, reverse=True)
    return [*whole, *(each for each in found if isinstance(each, str))]


def _folders(directory: Path, depth: int) -> Iterator[tuple[Path, Kind]]:
    for folder in sorted(path for path in directory.iterdir() if path.is_dir() and not path.is_symlink()):
        kind = kind_of(folder)
        if kind is not None:
            yield folder, kind
        if depth > 1:
            yield from _folders(folder, depth - 1)


def _entry(directory: Path, folder: Path, kind: Kind) -> Entry:
    summary = summary_of(folder, kind)
    place = folder.relative_to(directory).as_posix()
    totals: Mapping[str, Any] = completed(summary)["totals"] if kind.name == "run" else {}
    seed = summary.get("seed")
    return Entry(
        place=place,
        kind=kind.name,
        title=_title(summary, kind),
        way=link(directory, f"{place}/{kind.page}", place, report_command(folder)),
        finding=kind.finding(summary),
        lost_rad=int(totals["lost_rad"]) if totals else None,
        unpaid_rad=int(totals["unpaid_rad"]) if totals else None,
        seed=None if seed is None else int(seed),
        created=_created(folder, kind),
    )


def _title(summary: Mapping[str, Any], kind: Kind) -> str:
    if kind.name == "guards":
        return ", ".join(each["title"] for each in summary["scenarios"])
    if kind.name == "answer":
        return f"{summary['question']}: {summary['scenario']}"
    if kind.name == "hunt":
        return "What the rules allow and should not"
    return str(summary["title"])


def _created(folder: Path, kind: Kind) -> str:
    """Return when a folder was made: as it says, or when its summary was written."""
    try:
        return str(json.loads((folder / "meta.json").read_text(encoding="utf-8"))["created"])
    except (OSError, ValueError, KeyError, TypeError):
        written = (folder / kind.summary).stat().st_mtime
        return datetime.fromtimestamp(written, UTC).isoformat(timespec="seconds")


def _counts(rows: list[Entry]) -> dict[str, int]:
    """Count the folders of each kind."""
    return {kind: sum(row.kind == kind for row in rows) for kind in dict.fromkeys(row.kind for row in rows)}
