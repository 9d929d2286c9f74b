"""Lines of figures for runs side by side, and their CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from backstop.model.arithmetic import RAD, WAD


class Line(NamedTuple):
    """Line of a comparison table: its title, and the dotted path of a figure in each run."""

    title: str
    figure: str  # path in the run's part of the comparison
    unit: str  # rad, wad, bps, seconds, count


def read_figure(row: Mapping[str, Any], path: str) -> int | None:
    """Return a run's figure at a dotted path; None if the run has none."""
    here: Any = row
    for part in path.split("."):
        if here is not None:
            here = here[int(part)] if isinstance(here, list) else here[part]
    return None if here is None else int(here)


def as_csv(key: Sequence[str], shown: Sequence[Line], rows: Iterable[tuple[Sequence[str], Any]]) -> str:
    """Return a CSV table with a row for each run: the columns `key`, then all figures.

    Figures have all digits. Stablecoins are decimal numbers; times are in seconds.
    """
    found = io.StringIO()
    writer = csv.writer(found, lineterminator="\n")
    writer.writerow([*key, *(line.title.strip() for line in shown)])
    for names, row in rows:
        values = ((read_figure(row, line.figure), line.unit) for line in shown)
        writer.writerow([*names, *(_format_decimal(value, unit) for value, unit in values)])
    return found.getvalue()


def _format_decimal(value: int | None, unit: str) -> str:
    if value is None:
        return ""
    whole, rest = divmod(abs(value), scale := {"rad": RAD, "wad": WAD}.get(unit, 1))
    digits = f"{rest:0{len(str(scale)) - 1}}".rstrip("0") if scale > 1 else ""
    return ("-" if value < 0 else "") + str(whole) + (f".{digits}" if digits else "")
