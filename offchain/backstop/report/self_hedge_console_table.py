"""Results of the study of self-made pairs on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from backstop.model.arithmetic import WAD

KINDS = ("blind", "chosen")
"""Moments at which pairs open: every so many minutes, and those of an owner that knows the next price."""


def print_self_hedge(summary: Mapping[str, Any], directory: Path, report: Path, as_json: bool) -> None:
    """Print the study of self-hedged pairs to stdout, as tables or as JSON.

    A pair is a long and a short position of one owner.
    """
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
    console.print("Gain of a pair, stablecoins (basis points of its notional); under 0 a loss.")
    rows = summary["rows"]
    days = [(row["series"], row) for row in rows if row["group"] == "library" and row["series"]]
    settings = [(f"{row['group']}: {row['told']}", row) for row in rows if not row["series"]]
    for title, first, chosen in (
        ("The library's terms: every so many minutes, and at chosen moments", "day", days),
        ("Other terms: every so many minutes, and at chosen moments", "setting", settings),
    ):
        table = Table(first, *("pairs", "fail", "average", "most") * 2, title=title)
        for name, row in chosen:
            table.add_row(
                name, *(text for kind in KINDS for text in _format_gain_statistics_cells(row[kind]))
            )
        console.print(table)
    console.print(f"study      {directory}", soft_wrap=True)
    console.print(f"report     {report}", soft_wrap=True)


def _format_gain_statistics_cells(gains: Mapping[str, Any]) -> tuple[str, ...]:
    mean, most = (
        f"{int(gains[f'{name}_wad']) // WAD:,} ({gains[f'{name}_share'] / 100:.1f})"
        for name in ("mean", "most")
    )
    return f"{gains['pairs']:,}", f"{gains['failed']:,}", mean, most


_COLUMNS = (
    "fall",
    "terms",
    "initial",
    "maintenance",
    "leverage",
    "gain, no insurance",
    "gain, insured",
    "insurance",
    "gain, watched",
    "longs liquidated",
    "shorts liquidated",
)


def print_pair_gains_by_jump(rows: Sequence[Mapping[str, Any]], as_json: bool) -> None:
    """Print the gain of a self-hedged pair for each price jump, as a Markdown table or as JSON."""
    print(json.dumps(list(rows), indent=1) if as_json else "\n".join(format_pair_gains_markdown(rows)))


def format_pair_gains_markdown(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines of a Markdown table of a pair's gains by price jump."""
    lines = [f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
    return lines + [f"| {' | '.join(_format_price_jump_cells(row))} |" for row in rows]


def _format_price_jump_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    coin, kind = (row["coin"].upper(), "measured") if row["measured"] else ("smaller coins", "cited")
    return (
        f"{coin}, {row['day']}, {row['seconds'] // 60} min: "
        f"-{_format_basis_points_as_percent(row['fall'])}, {kind}",
        row["terms"],
        _format_basis_points_as_percent(row["initial"]),
        _format_basis_points_as_percent(row["maintenance"]),
        f"{row['leverage_tenths'] // 10}.{row['leverage_tenths'] % 10}",
        _format_coins_and_share(row["uninsured"]),
        _format_coins_and_share(row["insured"]),
        f"{row['insurance']:,}",
        _format_coins_and_share(row["watched"]),
        *(f"{row[side]:,} ({row[side] * 1_000 // row['days'] / 10}%)" for side in ("longs", "shorts")),
    )


def _format_basis_points_as_percent(basis_points: int) -> str:
    return f"{basis_points / 100:.2f}%"


def _format_coins_and_share(gain: Mapping[str, Any]) -> str:
    return f"{int(gain['wad']) // WAD:,} ({_format_basis_points_as_percent(gain['share'])})"
