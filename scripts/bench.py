"""Speed of a fuzz campaign on both hosts, against Ape's own contract calls."""

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from offchain.bench import YARDSTICK, measure, record, shares, write_results
from offchain.cli import RUNS, handle_errors


@click.command(short_help="Measure speed against Ape's contract calls")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), default=RUNS / "bench.json", show_default=True
)
@handle_errors
def cli(out):
    """Run the same random steps each way; print steps a second, where the time goes, and the mix.

    \b
      ape run bench
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
    write_results(campaign, speeds, parts, out)
    console.print(f"written {out}", highlight=False)
