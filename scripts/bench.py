"""Speed of a fuzz campaign, of the vault index and of a live keeper, against what people write without."""

import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from offchain.cli import RUNS, handle_errors
from offchain.index.bench import VAULTS
from offchain.index.bench import measure as measure_index
from offchain.live.bench import VAULTS as LIVE_VAULTS


@click.command(short_help="Measure speed against Ape's and web3.py's contract calls")
@click.option(
    "--part",
    type=click.Choice(("all", "fuzz", "keeper")),
    default="all",
    show_default=True,
    help="What is measured: the fuzz campaign and the vault index; how a live keeper starts and answers.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=RUNS,
    show_default=True,
    help="Folder for bench.json and bench-keeper.json.",
)
@click.option(
    "--vaults",
    type=click.IntRange(1_000),
    help=f"How many to index, or to keep.  [default: {VAULTS:,}, {LIVE_VAULTS:,}]",
)
@handle_errors
def cli(part: str, out: Path, vaults: int | None) -> None:
    """Run the same random steps each way, index many vaults and look for unsafe ones, and have a keeper
    answer new blocks of a chain with many vaults; print how fast each was.

    Best on a machine that does nothing else.

    \b
      ape run bench
      ape run bench --part fuzz --vaults 100000
      ape run bench --part keeper
    """
    console = Console()
    if part in ("all", "fuzz"):
        _protocol(console, out / "bench.json", vaults or VAULTS)
    if part in ("all", "keeper"):
        _keeper(console, out / "bench-keeper.json", vaults or LIVE_VAULTS)


def _protocol(console: Console, path: Path, vaults: int) -> None:
    from offchain.bench import YARDSTICK, measure, record, shares, write_results

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
    for name, seconds in parts.items():
        micros = seconds / campaign.speed.steps * 1e6
        table.add_row(name, f"{seconds / campaign.speed.seconds:.0%}", f"{micros:.1f}")
    console.print(table)
    console.print(
        "mix: "
        + ", ".join(f"{move} {n / campaign.speed.steps:.1%}" for move, n in campaign.mix.most_common()),
        highlight=False,
    )
    table, rows = Table(f"{vaults:,} vaults", "way", "", "times the first"), []
    for row in measure_index(vaults, lambda text: print(text, file=sys.stderr)):
        rows.append(row)
        table.add_row(*row)
    console.print(table)
    write_results(campaign, speeds, parts, rows, path)
    console.print(f"written {path}", highlight=False)


def _keeper(console: Console, path: Path, vaults: int) -> None:
    from offchain.deployment import write_json
    from offchain.live.bench import measure

    table, rows = Table(f"{vaults:,} vaults", "way", "", "times the first"), []
    for row in measure(vaults, lambda text: print(text, file=sys.stderr)):
        rows.append(row)
        table.add_row(*row)
    console.print(table)
    write_json({"schema_version": 1, "keeper": [row._asdict() for row in rows]}, path)
    console.print(f"written {path}", highlight=False)
