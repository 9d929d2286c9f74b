"""Result of a search on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from backstop.files.installation import format_command_as_started
from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.report.amounts import format_duration_text, format_fixed, format_percent
from backstop.simulation.loss_totals import build_model_chain_agreement_texts

WANTED = {
    "loss": "not yet covered",
    "bad-debt": "bad debt",
    "gain": "gained by hostile members",
}
"""Names of the figure that each goal maximises."""


def print_attack(summary: Mapping[str, Any], directory: Path, report: Path, as_json: bool) -> None:
    """Print the worst case of an attack search to stdout, as tables or as JSON."""
    if as_json:
        print(json.dumps({**summary, "out": str(directory)}, indent=2, sort_keys=True))
        return
    console = Console(file=sys.stdout, highlight=False)
    budget, found = summary["budget"], summary["found"]
    console.print(f"{summary['title']}: the worst found within “{budget['title']}”\n", soft_wrap=True)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_row(
        WANTED[summary["goal"]], format_whole_coins(get_maximised_figure_wad(summary)), "stablecoins"
    )
    if summary["goal"] != "bad-debt":
        table.add_row("bad debt", format_whole_coins(found["bad_debt_wad"]), "")
    for each in found["covered"]:
        table.add_row(f"  paid by {each['stage'].replace('_', ' ')}", format_whole_coins(each["wad"]), "")
    table.add_row("  outstanding", format_whole_coins(found["outstanding_wad"]), "")
    table.add_row("under water, not recognised", format_whole_coins(found["underwater_wad"]), "")
    for each in found["profits"]:
        table.add_row(f"profit of {each['name']}", format_whole_coins(each["wad"]), "after gas")
    console.print(table)
    console.print("\nbudget")
    for limit in budget["limits"]:
        console.print(f"  {limit['what']}: {limit['limit']}", soft_wrap=True)
    console.print("chosen")
    if summary["chosen"]["pushes"]:
        deviations = format_fixed(summary["deviations_micro"], 10**6)
        falls = "; ".join(
            f"{each['symbol']} "
            + ", ".join(
                f"-{format_percent(within['fall_bps'], BASIS_POINTS)} within "
                f"{format_duration_text(within['seconds'])}"
                for within in each["within"]
            )
            for each in summary["falls"]
        )
        console.print(f"  prices {deviations} deviations from their mean: {falls}", soft_wrap=True)
    for event in summary["events"]:
        when = format_hours_and_minutes(event["at"]) + (
            "" if event["until"] is None else f" to {format_hours_and_minutes(event['until'])}"
        )
        console.print(f"  {when}  {event['what']}", soft_wrap=True)
    if int(summary["filling_wad"]):
        console.print(
            f"  (filling the blocks would cost {format_whole_coins(summary['filling_wad'])} stablecoins)"
        )
    replay = summary["replay"]
    said, over = build_model_chain_agreement_texts(replay["differences"], replay["fields_compared"])
    console.print(
        f"\n{summary['trials']:,} paths in {summary['generations']} generations by {summary['method']}\n"
        f"on {replay['host']}: {said}, {replay['steps']:,} steps, {over}"
    )
    console.print(f"replay     {format_command_as_started(replay['command'])}", soft_wrap=True)
    console.print(f"attack     {directory}", soft_wrap=True)
    console.print(f"report     {report}", soft_wrap=True)


def get_maximised_figure_wad(summary: Mapping[str, Any]) -> str:
    """Return the figure that the search maximised, as decimal text [wad]."""
    name = {"loss": "loss_wad", "bad-debt": "bad_debt_wad", "gain": "gain_wad"}[summary["goal"]]
    found: str = summary["found"][name]
    return found


def format_hours_and_minutes(seconds: int) -> str:
    """Format seconds since the start as hours and minutes, such as 23:20."""
    return f"{seconds // 3_600:02}:{seconds // 60 % 60:02}"


def format_whole_coins(amount_wad: str) -> str:
    """Format an amount [wad], given as text, in whole stablecoins, rounded half away from zero."""
    return format_fixed(int(amount_wad), WAD, 0)
