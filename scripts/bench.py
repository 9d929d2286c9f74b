"""Speed of a fuzz campaign, of the vault index and of stress studies, against what people write without."""

import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from offchain.cli import RUNS, handle_errors
from offchain.index.bench import VAULTS
from offchain.index.bench import measure as measure_index


@click.command(short_help="Measure speed against Ape's and web3.py's contract calls")
@click.option(
    "--part",
    type=click.Choice(("all", "fuzz", "stress")),
    default="all",
    show_default=True,
    help="What is measured: the fuzz campaign and the vault index, stress studies, or both.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=RUNS,
    show_default=True,
    help="Folder for bench.json and bench-stress.json.",
)
@click.option(
    "--vaults", type=click.IntRange(1_000), default=VAULTS, show_default=True, help="How many to index."
)
@handle_errors
def cli(part: str, out: Path, vaults: int) -> None:
    """Run the same random steps each way, index many vaults and look for unsafe ones, and run the same severe
    days each way; print how fast each was.

    Best on a machine that does nothing else.

    \b
      ape run bench
      ape run bench --part fuzz --vaults 100000
      ape run bench --part stress
    """
    console = Console()
    if part in ("all", "fuzz"):
        _protocol(console, out / "bench.json", vaults)
    if part in ("all", "stress"):
        _stress(console, out / "bench-stress.json")


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


def _stress(console: Console, path: Path) -> None:
    from offchain.bench_stress import YARDSTICK, Day, agreement, growth, lengths, ways, write_results

    day = Day.load()
    table = Table(
        "way",
        "paths",
        "s",
        "CPU s",
        "vault-steps/s",
        "liquidated",
        f"times {YARDSTICK.split(' contract')[0]}",
    )
    speeds = []
    for speed in ways(day):
        speeds.append(speed)
        ratio = f"{speed.rate / speeds[0].rate:,.0f}"
        sold = f"{speed.liquidated:.0%}" if speed.liquidated else "-"
        seconds, cpu = f"{speed.seconds:,.1f}", f"{speed.cpu:,.1f}" if speed.cpu else "-"
        table.add_row(speed.way, f"{speed.paths:,.4g}", seconds, cpu, f"{speed.rate:,.0f}", sold, ratio)
    console.print(table)
    larger, longer = list(growth(day)), list(lengths(day))
    table = Table("fast engine", "paths", "s", "CPU ms a path", "vault-steps/s", "liquidated")
    for speed in (*larger, *longer):
        each = f"{speed.cpu / speed.paths * 1e3:,.2f}"
        rate, sold = f"{speed.rate:,.0f}", f"{speed.liquidated:.0%}"
        table.add_row(speed.way, f"{speed.paths:,}", f"{speed.seconds:,.1f}", each, rate, sold)
    console.print(table)
    off = agreement()
    table = Table(
        "fast engine against exact", "exact mean", "fast mean", "mean error", "largest", "equal paths"
    )
    for row in off:
        unit = 10**6 if row.column not in ("liquidations", "lowest_ratio") else 1
        means = f"{row.exact / unit:,.1f}", f"{row.fast / unit:,.1f}"
        table.add_row(row.column, *means, f"{row.error:.2%}", f"{row.most:.1%}", f"{row.equal:.0%}")
    console.print(table)
    write_results(speeds, larger, longer, off, path)
    console.print(f"written {path}", highlight=False)
