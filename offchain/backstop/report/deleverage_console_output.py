"""Results of a crash of a perpetual market on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from backstop.model.arithmetic import WAD
from backstop.report.amounts import format_duration_text, format_percent
from backstop.studies.auto_deleveraging.margin_crash_summary import PER_ACCOUNT

PAID = {
    "insurance": "insurance",
    "winners": "accounts that gained in that cycle",
    "unvested": "unvested profits, and remaining insurance",
    "later": "gains of the next cycle",
    "protocol": "the protocol",
    "nobody": "not yet covered",
}
"""Payers, in their order; the keys are those of the summary's `..._wad`."""


def print_deleverage(summary: Mapping[str, Any], directory: Path, report: Path, as_json: bool) -> None:
    """Print a perpetual market's simulated crash to stdout, as tables or as JSON.

    The tables show gas, time, payers and counts.
    """
    if as_json:
        print(json.dumps({**summary, "out": str(directory)}, indent=1))
        return
    console = Console(file=sys.stdout, highlight=False, width=150)
    _print_phase_gas_costs(console, summary, json.loads((directory / "meta.json").read_text())["pace"])
    for title, rows in (
        ("blocks of 30M gas, time after the fall", _iter_time_and_gas_rows(summary)),
        ("payers, stablecoins", _iter_payer_table_rows(summary)),
        ("counts", _iter_counts(summary)),
    ):
        table = Table(title, "")
        for name, value in rows:
            table.add_row(name, value)
        console.print(table)
    console.print(f"study      {directory}", soft_wrap=True)
    console.print(f"report     {report}", soft_wrap=True)


def _print_phase_gas_costs(
    console: Console, summary: Mapping[str, Any], phase_times: list[dict[str, Any]]
) -> None:
    """Print the gas per account in each phase of the crash, and the measured processor time."""
    beside = summary["beside"]
    paces = {row["phase"]: row for row in phase_times}
    heads = ["gas an account, by " + summary["gas_from"], "accounts", "least", "mean", "most", "blocks"]
    if beside:
        heads.append(f"mean of {beside['accounts']} accounts")
    table = Table(*heads, "ms of a processor, first half", "second half")
    small = {row["phase"]: row["mean"] for row in beside["phases"]} if beside else {}
    for row in summary["phases"]:
        cells = [f"{row[name]:,}" for name in ("accounts", "least", "mean", "most", "blocks")]
        if beside:
            cells.append(f"{small[row['phase']]:,}" if row["phase"] in small else "")
        found = paces.get(row["phase"])
        cells += [f"{found[at] / 1_000:.2f}" for at in ("first_half", "second_half")] if found else ["", ""]
        table.add_row(row["phase"], *cells)
    console.print(table)


def _iter_time_and_gas_rows(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, what in (
        ("seized", "no insolvent account holds positions"),
        ("booked", "all losses are booked"),
        ("closed", "lots are closed against"),
        ("final", "losses are final"),
    ):
        seconds = summary[f"{name}_after_seconds"]
        if seconds is not None:
            yield f"{what}, after", format_duration_text(seconds)
    yield "blocks of all that work", f"{summary['work_blocks']:,}"
    if summary["closings"]:
        yield "  of that, to rank and close, or to share", f"{summary['closing_blocks']:,}"
    yield "gas of the fullest block", f"{summary['fullest_block_gas']:,}"
    old = summary["old"]
    yield f"before, {old['insolvent']:,} of {old['accounts']:,}: blocks, ranked", f"{old['ranked_blocks']:,}"
    yield "  hours", f"{old['ranked_hours']:,}"
    yield "  Ggas, shared", f"{old['shared_gas'] // 10**9:,}"


def _iter_payer_table_rows(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "owed beyond margins", f"{int(summary['owed_wad']) // WAD:,}"
    for key, name in PAID.items():
        yield f"  {name}", f"{int(summary[f'{key}_wad']) // WAD:,}"
    yield "margins of accounts that owed, all lost", f"{int(summary['margins_wad']) // WAD:,}"
    yield "largest share of a gain that is taken", format_percent(summary["most_taken_bps"], 10_000)


def _iter_counts(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "accounts", f"{summary['accounts']:,}"
    yield "of these, owed", f"{summary['insolvent']:,}"
    yield "of these, gained", f"{summary['winners']:,}"
    yield "liquidations meanwhile: calls tried", f"{summary['tried']:,}"
    yield "  calls that succeeded", f"{summary['liquidated']:,}"
    yield "unassigned lots at the end", f"{summary['nobodys_lots']:,}"
    for row in summary["closings"]:
        of = f", market {row['market']}" if summary["markets"] > 1 else ""
        yield f"lots closed{of}, of {row['nobodys']:,} unassigned", f"{row['closed']:,}"
        yield "  beyond the unassigned lots", f"{row['excess']:,}"
        yield "  accounts touched", f"{row['accounts']:,}"
        yield "  greedy, whole positions by rank: beyond it", f"{row['greedy_excess']:,}"
        yield "  greedy: accounts touched", f"{row['greedy_accounts']:,}"
    dodging = summary["dodging"]
    if dodging:
        yield "winners that evade", f"{dodging['dodgers']:,}"
        for row in dodging["ways"]:
            yield f"  {row['way']}: calls tried", f"{row['tried']:,}"
            yield "    calls that succeeded", f"{row['went']:,}"
        yield "  fees that they paid, stablecoins", f"{int(dodging['fees_wad']) // WAD:,}"
        yield "  loss that they evade, wei", f"{int(dodging['escaped_wad']):,}"
        yield "  lots of theirs that would have been closed", f"{dodging['lots']:,}"
        yield "  of these, that were not", f"{dodging['missed']:,}"
    yield "steps", f"{summary['steps']:,}"
    yield "figures compared between model and contracts", f"{summary['fields_compared']:,}"
    yield "differences", f"{summary['differences']:,}"


def list_per_account_phases(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the phases of the crash that every insolvent account goes through."""
    return [row for row in summary["phases"] if row["phase"] in PER_ACCOUNT]
