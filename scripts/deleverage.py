"""A crash of a perpetual market: what deleveraging takes, against greedy engines."""

import json
import sys

import click
from rich.console import Console
from rich.table import Table

from offchain.chain.hosts import HOSTS, open_host
from offchain.cli import handle_errors
from offchain.deleveraging.crash import Crash
from offchain.model.arithmetic import WAD


@click.command(short_help="Crash a perpetual market: what deleveraging takes, against greedy engines")
@click.option("--accounts", type=click.IntRange(2, 10_000), default=200, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--host", type=click.Choice(HOSTS), default="revm", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@handle_errors
def cli(accounts, seed, host, as_json):
    """A coin loses two thirds in minutes, and no liquidator acts. Model and contracts run side by side.

    \b
      ape run deleverage
      ape run deleverage --accounts 1000 --seed 7
    """
    with open_host(host) as opened:
        crash = Crash(opened, accounts, seed, lambda text: print(text, file=sys.stderr))
        result = crash.play()
    freezes = result.freezes
    figures = {
        "accounts": result.accounts,
        "positions deleveraged": len(freezes),
        "loss beyond margin and insurance": sum(each.loss for each in freezes) // WAD,
        "paid by insurance": result.insured // WAD,
        "taken from gains": sum(each.taken for each in freezes) // WAD,
        "left to the protocol": result.posted // WAD,
        "a greedy engine would have taken": sum(each.greedy for each in freezes) // WAD,
        "accounts that closed or paid, at most for one position": max((f.closed for f in freezes), default=0),
        "steps": result.steps,
        "figures compared between model and contracts": result.fields,
        "differences": 0,
    }
    if as_json:
        print(json.dumps(figures, indent=1))
        return
    table = Table("whole stablecoins, accounts, steps", "")
    for name, value in figures.items():
        table.add_row(name, f"{value:,}")
    Console().print(table)
