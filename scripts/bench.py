"""Speed of a fuzz campaign on both hosts, against Ape's own contract calls; speed of the vault index."""

import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from offchain.bench import YARDSTICK, measure, record, shares, write_results
from offchain.cli import RUNS, handle_errors
from offchain.index.bench import VAULTS
from offchain.index.bench import measure as measure_index


@click.command(short_help="Measure speed against Ape's contract calls, and of the vault index")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), default=RUNS / "bench.json", show_default=True
)
@click.option(
    "--vaults", type=click.IntRange(1_000), default=VAULTS, show_default=True, help="How many to index."
)
@handle_errors
def cli(out, vaults):
    """Run the same random steps each way; print steps a second, where the time goes, and the mix. Then index
    many vaults, and look for unsafe ones.

    \b
      ape run bench
      ape run bench --vaults 100000
    """
    console = Console()
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
    write_results(campaign, speeds, parts, rows, out)
    console.print(f"written {out}", highlight=False)
