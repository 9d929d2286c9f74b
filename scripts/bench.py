"""Speed of lockstep on both hosts, against web3.py."""

import click
from rich.console import Console
from rich.table import Table

from offchain.bench import ALTERNATIVE, measure
from offchain.cli import handle_errors


@click.command(short_help="Measure speed against web3.py")
@handle_errors
def cli():
    """Run the steps of Black Thursday each way, and print steps a second and the ratio to web3.py.

    \b
      ape run bench
    """
    table = Table("way", "steps", "steps/s", f"times {ALTERNATIVE.split(',')[0]}")
    base = 0.0
    for speed in measure():
        base = base or speed.rate
        table.add_row(speed.way, str(speed.steps), f"{speed.rate:,.0f}", f"{speed.rate / base:.1f}")
    Console().print(table)
