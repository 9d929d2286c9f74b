"""Page of the difference of two runs: both strips, then every figure of both summaries side by side."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from markupsafe import Markup

from backstop.errors import BackstopError
from backstop.files.atomic_files import write_files
from backstop.model.arithmetic import RAD, RAY
from backstop.report.first_screen import Strip, of_run
from backstop.report.kinds import kind_of, summary_of
from backstop.report.links import REPORT
from backstop.report.numbers import amount, counted, unit_of
from backstop.report.rendering import render
from backstop.simulation.headline import completed

FILE = "difference.html"
_NAMES = ("name", "symbol", "group", "stage", "account", "series")  # by which an entry of a list is known
_TO_RAD = {"rad": 1, "wad": RAY, "micro": RAD // 10**6}  # units of money
_LEFT_OUT = ("started_at", "ended_at", "schema_version", "seed", "block_seconds")  # no results


class Row(NamedTuple):
    """One figure of both runs, a dash where a run has none; `change` is the first less the other."""

    name: str
    one: Markup | str
    other: Markup | str
    change: Markup | str
    differs: bool
    order: tuple[bool, int]  # money first, then by the size of the change


def write_page(directory: Path, other: Path) -> Path:
    """Write difference.html into the folder of a run, against another run; return its path."""
    one, two = _read(directory), _read(other)
    rows = compare(one, two)
    differing = sorted((row for row in rows if row.differs), key=lambda row: row.order)
    strips = [of_run(one), of_run(two)]
    text = render(
        "difference.html",
        one,
        [],
        other=two,
        strips=strips,
        ways=[_way(directory, each) for each in (directory, other)],
        rows=[*differing, *(row for row in rows if not row.differs)],
        answers={"figures": Markup("{} of {} differ").format(len(differing), counted(len(rows), "figure"))},
        finding=_finding(strips, len(differing), len(rows)),
    )
    write_files(directory, {FILE: text})
    return directory / FILE


def compare(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[Row]:
    """List all figures of two summaries by their names, in the first one's order."""
    mine, theirs = dict(_figures(one)), dict(_figures(other))
    return [_row(name, mine.get(name), theirs.get(name)) for name in dict.fromkeys((*mine, *theirs))]


def _row(name: str, one: int | None, other: int | None) -> Row:
    unit = unit_of(name)
    shown = ["–" if value is None else amount(value, unit) for value in (one, other)]
    change = "–" if one is None or other is None else amount(one - other, unit)
    size = abs((one or 0) - (other or 0)) * _TO_RAD.get(unit, 1)
    return Row(name, shown[0], shown[1], change, one != other, (unit not in _TO_RAD, -size))


def _figures(value: Any, path: str = "") -> Iterator[tuple[str, int]]:
    """Yield every integer below a value, with the names that lead there."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            if name not in _LEFT_OUT:
                yield from _figures(each, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for i, each in enumerate(value):
            names = [str(each[name]) for name in _NAMES if name in each] if isinstance(each, Mapping) else []
            yield from _figures(each, f"{path}.{names[0].replace('.', '_') if names else i}")
    elif isinstance(value, int) and not isinstance(value, bool):
        yield path, value
    elif isinstance(value, str) and value.removeprefix("-").isdecimal():
        yield path, int(value)


def _finding(strips: list[Strip | None], differing: int, figures: int) -> Markup:
    if differing == 0:
        return Markup("Nothing differs: {} are the same in both runs.").format(counted(figures, "figure"))
    here, there = (0 if each is None else each.value for each in strips)
    return Markup("{} of {} {}. In all {} was lost here and {} there{}.").format(
        amount(differing, "count"),
        counted(figures, "figure"),
        "differs" if differing == 1 else "differ",
        amount(here, "rad"),
        amount(there, "rad"),
        Markup(": {} {}").format(amount(abs(here - there), "rad"), "more" if here > there else "less")
        if here != there
        else "",
    )


def _read(directory: Path) -> dict[str, Any]:
    kind = kind_of(directory)
    if kind is None or kind.name != "run":
        raise BackstopError(f"{directory} is not the folder of a run: only runs are set against each other")
    return completed(summary_of(directory, kind))


def _way(directory: Path, to: Path) -> tuple[str, str | None]:
    there = (to / REPORT).is_file()
    return to.name or str(to), quote(os.path.relpath(to / REPORT, directory)) if there else None
