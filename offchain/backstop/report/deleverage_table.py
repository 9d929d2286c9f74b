"""Results of a crash that nobody liquidates on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from backstop.model.arithmetic import WAD


def print_deleverage(summary: Mapping[str, Any], directory: Path, report: Path, as_json: bool) -> None:
    """Print what was done and what other policies would have taken, or the whole summary as JSON."""
    if as_json:
        print(json.dumps({**summary, "out": str(directory)}, indent=1))
        return
    console = Console(file=sys.stdout, highlight=False)
    table = Table("whole stablecoins, accounts, calls, gas", "")
    for name, value in _figures(summary):
        table.add_row(name, f"{value:,}")
    console.print(table)
    if summary["policies"]:
        heads = ("taken in all", "accounts charged a position", "the largest: taken", "accounts charged")
        table = Table("policy", *heads, "% of a gain, at most")
        for row in summary["policies"]:
            taken, largest = (f"{int(row[name]) // WAD:,}" for name in ("taken_wad", "largest_wad"))
            rest = (f"{row['largest_charged']:,}", f"{row['largest_bps'] / 100:,}")
            table.add_row(row["policy"], taken, f"{row['charged']:,}", largest, *rest)
        done = (int(summary["taken_wad"]), int((summary["largest"] or {}).get("taken_wad", 0)))
        table.add_row("minimal", f"{done[0] // WAD:,}", "", f"{done[1] // WAD:,}", "", "")
        console.print(table)
    console.print(f"study      {directory}", soft_wrap=True)
    console.print(f"report     {report}", soft_wrap=True)


def _figures(summary: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield what was done by the policy that is deployed."""
    yield "accounts", summary["accounts"]
    yield "positions deleveraged", len(summary["freezes"])
    yield "insolvent accounts left alone", summary["left_alone"]
    yield "loss beyond margin and insurance", int(summary["loss_wad"]) // WAD
    yield "paid by insurance", int(summary["insured_wad"]) // WAD
    yield "taken from gains", int(summary["taken_wad"]) // WAD
    yield "left to the protocol", int(summary["posted_wad"]) // WAD
    yield "steps", summary["steps"]
    yield "figures compared between model and contracts", summary["fields_compared"]
    yield "differences", summary["differences"]
    largest = summary["largest"]
    if largest is not None:
        yield "the largest: accounts on the other side", largest["others"]
        yield "the largest: calls of submit", largest["submit"]
        yield "the largest: calls of execute", largest["execute"]
        yield "the largest: gas of its largest call", largest["most_gas"]
        yield "the largest: gas in all", largest["all_gas"]
        yield "gas of a block", summary["block_gas"]
