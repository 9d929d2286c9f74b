"""Results of the study of self-made pairs on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from backstop.model.arithmetic import WAD

KINDS = ("blind", "chosen")
"""Moments at which pairs open: every so many minutes, and those of an owner who knows the next look."""


def print_straddle(summary: Mapping[str, Any], directory: Path, report: Path, as_json: bool) -> None:
    """Print the tables of the study, or the whole summary as JSON."""
    if as_json:
        print(json.dumps({**summary, "out": str(directory)}, indent=1))
        return
    console = Console(file=sys.stdout, highlight=False, width=130)
    moves = summary["largest_moves_bps"]
    windows = list(next(iter(moves.values())))
    table = Table("within", *(f"{window} s" for window in windows), title="Largest moves, %")
    for series, by_window in moves.items():
        table.add_row(series, *(f"{by_window[window] / 100:.2f}" for window in windows))
    console.print(table)
    console.print("What a pair gains, stablecoins (basis points of its notional); under 0 it loses.")
    rows = summary["rows"]
    days = [(row["series"], row) for row in rows if row["group"] == "library" and row["series"]]
    settings = [(f"{row['group']}: {row['told']}", row) for row in rows if not row["series"]]
    for title, first, chosen in (
        ("The library's terms: every so many minutes, and at chosen moments", "day", days),
        ("Other terms: every so many minutes, and at chosen moments", "setting", settings),
    ):
        table = Table(first, *("pairs", "fail", "average", "most") * 2, title=title)
        for name, row in chosen:
            table.add_row(name, *(text for kind in KINDS for text in _shown(row[kind])))
        console.print(table)
    console.print(f"study      {directory}", soft_wrap=True)
    console.print(f"report     {report}", soft_wrap=True)


def _shown(gains: Mapping[str, Any]) -> tuple[str, ...]:
    mean, most = (
        f"{int(gains[f'{name}_wad']) // WAD:,} ({gains[f'{name}_share'] / 100:.1f})"
        for name in ("mean", "most")
    )
    return f"{gains['pairs']:,}", f"{gains['failed']:,}", mean, most
