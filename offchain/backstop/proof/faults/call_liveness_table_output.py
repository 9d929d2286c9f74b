"""The table as a terminal and a file have it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from backstop.errors import BackstopError
from backstop.files.atomic_files import read_versioned_json, write_json
from backstop.proof.faults.call_liveness_table import WORKS, FaultTableCell

SCHEMA_VERSION = 1
_KIND = "faults"


def build_fault_table_json(cells: Sequence[FaultTableCell]) -> dict[str, Any]:
    """Return the table of fault results as a JSON object."""
    return {"schema_version": SCHEMA_VERSION, "kind": _KIND, "cells": [cell._asdict() for cell in cells]}


def refuse_overwriting_other_file(path: Path) -> None:
    """Raise BackstopError if the path is a file other than a table of fault results."""
    if not path.exists():
        return
    mend = "name another file with --out"
    if read_versioned_json(path, "table of faults", SCHEMA_VERSION, "", mend).get("kind") != _KIND:
        raise BackstopError(f"{path} is not a table of faults: {mend}")


def write_table(cells: Sequence[FaultTableCell], path: Path) -> None:
    """Write the table of fault results to a JSON file."""
    write_json(build_fault_table_json(cells), path)


def build_success_terminal_table(cells: Sequence[FaultTableCell]) -> Table:
    """Return a table of the share of working calls, by component and failure mode."""
    ways = list(dict.fromkeys(cell.way for cell in cells))
    asked = Counter((cell.part, cell.way) for cell in cells)
    works = Counter((cell.part, cell.way) for cell in cells if cell.verdict == WORKS)
    found = Table(box=None, pad_edge=False)
    found.add_column("part")
    for way in ways:
        found.add_column(way, justify="right")
    for part in dict.fromkeys(cell.part for cell in cells):
        shown = (f"{works[part, way]}/{asked[part, way]}" if asked[part, way] else "" for way in ways)
        found.add_row(part, *shown)
    return found


def build_failure_terminal_table(cells: Sequence[FaultTableCell]) -> Table:
    """Return a table of failing or wrong calls, by component and call.

    Each row has the failure modes and the note of the first of them.
    """
    groups: dict[tuple[str, str, str], list[FaultTableCell]] = {}
    for cell in cells:
        if cell.verdict != WORKS:
            groups.setdefault((cell.part, cell.call, cell.verdict), []).append(cell)
    found = Table(box=None, pad_edge=False)
    for name in ("part", "call", "it", "when the part", "for example"):
        found.add_column(name, overflow="fold")
    for (part, call, verdict), group in groups.items():
        found.add_row(part, call, verdict, ", ".join(cell.way for cell in group), group[0].note)
    return found


def format_verdict_counts(cells: Sequence[FaultTableCell]) -> str:
    """Return one line with the number of cells in total and by result."""
    counts = Counter(cell.verdict for cell in cells)
    return f"cells={len(cells)} " + " ".join(f"{name}={counts[name]}" for name in ("works", "fails", "wrong"))


def format_json(cells: Sequence[FaultTableCell]) -> str:
    """Return the table of fault results as indented JSON text."""
    return json.dumps(build_fault_table_json(cells), indent=2)
