"""Speed of a fuzz campaign, against Ape's own contract calls; of the vault index; of a live keeper."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from offchain.bench import YARDSTICK, measure, record, results, shares, write_results
from offchain.cli import RUNS, handle_errors
from offchain.index.bench import VAULTS, Row
from offchain.index.bench import measure as measure_index
from offchain.live.bench import VAULTS as LIVE_VAULTS
from offchain.live.bench import measure as measure_keeper

PARTS = ("campaign", "index", "keeper")


@click.command(short_help="Measure speed against Ape's contract calls, of the vault index, and of a keeper")
@click.option(
    "--part", "parts", type=click.Choice(PARTS), multiple=True, help="What to measure.  [default: all]"
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), default=RUNS / "bench.json", show_default=True
)
@click.option(
    "--vaults",
    type=click.IntRange(1_000),
    help=f"How many to index, or to keep.  [default: {VAULTS:,}, {LIVE_VAULTS:,}]",
)
@handle_errors
def cli(parts: tuple[str, ...], out: Path, vaults: int | None) -> None:
    """Run the same random steps each way; print steps a second, where the time goes, and the mix. Then index
    many vaults, and look for unsafe ones. Then have a keeper answer new blocks of a chain with many vaults.

    \b
      ape run bench
      ape run bench --part index --vaults 100000
      ape run bench --part keeper
    """
    console, chosen = Console(), parts or PARTS
    measured = dict[str, Any]()
    if "campaign" in chosen:
        measured |= _campaign(console)
    if "index" in chosen:
        number = vaults or VAULTS
        measured["index"] = _figures(console, number, measure_index(number, _say))
    if "keeper" in chosen:
        number = vaults or LIVE_VAULTS
        measured["keeper"] = _figures(console, number, measure_keeper(number, _say))
    write_results(measured, out)
    console.print(f"written {out}", highlight=False)


def _campaign(console: Console) -> dict[str, Any]:
    campaign = record()
    table = Table("way", "steps", "steps/s", f"times {YARDSTICK.split(' on ')[0]}")
    speeds = []
    for speed in measure(campaign):
        speeds.append(speed)
        ratio = f"{speed.rate / speeds[0].rate:,.1f}"
        table.add_row(speed.way, f"{speed.steps:,}", f"{speed.rate:,.0f}", ratio)
    console.print(table)
    parts = shares(campaign)
    table = Table("part of the campaign in process", "share", "µs a step")
    for part, seconds in parts.items():
        micros = seconds / campaign.speed.steps * 1e6
        table.add_row(part, f"{seconds / campaign.speed.seconds:.0%}", f"{micros:.1f}")
    console.print(table)
    mix = ", ".join(f"{move} {n / campaign.speed.steps:.1%}" for move, n in campaign.mix.most_common())
    console.print(f"mix: {mix}", highlight=False)
    return results(campaign, speeds, parts)


def _figures(console: Console, vaults: int, rows: Iterable[Row]) -> list[dict[str, str]]:
    table, found = Table(f"{vaults:,} vaults", "way", "", "times the first"), []
    for row in rows:
        found.append(row._asdict())
        table.add_row(*row)
    console.print(table)
    return found


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
