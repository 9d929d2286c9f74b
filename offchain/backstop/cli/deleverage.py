"""A crash of a perpetual market: what deleveraging takes, by each policy, and the calls it needs."""

import json
import sys

import click
from rich.console import Console
from rich.table import Table

from backstop.cli.common import Command, handle_errors
from backstop.deployment.contracts import DELEVERAGERS
from backstop.hosts.by_name import HOSTS, open_host
from backstop.hosts.host import CALL_GAS
from backstop.model.arithmetic import WAD
from backstop.studies.deleveraging.crash import Crash


@click.command(
    cls=Command, short_help="Crash a perpetual market: what deleveraging takes, of whom, in which calls"
)
@click.option("--accounts", type=click.IntRange(2, 10_000), default=200, show_default=True)
@click.option("--policy", type=click.Choice(list(DELEVERAGERS)), default="ranked", show_default=True)
@click.option("--most", type=click.IntRange(1), help="Positions that are deleveraged at one price; else all.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--host", type=click.Choice(HOSTS), default="revm", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@handle_errors
def cli(accounts, policy, most, seed, host, as_json):
    """Let a coin lose two thirds in minutes while no liquidator acts. Model and contracts run side by side.

    \b
      ape run deleverage
      ape run deleverage --accounts 1000 --policy shared --seed 7
      ape run deleverage --accounts 10000 --most 5
    """
    with open_host(host) as opened:
        crash = Crash(opened, accounts, seed, lambda text: print(text, file=sys.stderr), policy, most)
        result = crash.play()
    figures, policies = _figures(result), _policies(result)
    if as_json:
        print(json.dumps({**figures, "policies": policies}, indent=1))
        return
    table = Table("whole stablecoins, accounts, calls, gas", "")
    for name, value in figures.items():
        table.add_row(name, f"{value:,}")
    Console().print(table)
    if result.freezes:
        table = Table("policy", *next(iter(policies.values())))
        for name, row in policies.items():
            table.add_row(name, *("" if value is None else f"{value:,}" for value in row.values()))
        Console().print(table)


def _figures(result):
    """Print what was done by the policy that is deployed."""
    freezes = result.freezes
    found = {
        "accounts": result.accounts,
        "positions deleveraged": len(freezes),
        "insolvent accounts left alone": result.left_alone,
        "loss beyond margin and insurance": sum(each.loss for each in freezes) // WAD,
        "paid by insurance": result.insured // WAD,
        "taken from gains": sum(each.taken for each in freezes) // WAD,
        "left to the protocol": result.posted // WAD,
        "steps": result.steps,
        "figures compared between model and contracts": result.fields,
        "differences": 0,
    }
    if result.calls is not None:
        found |= {
            "the largest: accounts on the other side": result.largest.others,
            "the largest: calls of submit": result.calls.submit,
            "the largest: calls of execute": result.calls.execute,
            "the largest: gas of its largest call": result.calls.most_gas,
            "the largest: gas in all": result.calls.all_gas,
            "gas of a block": CALL_GAS,
        }
    return found


def _policies(result):
    """Print what each policy would take in the same freezes, and of whom."""
    freezes, largest = result.freezes, result.largest
    rows = {}
    for name in ("greedy", "ranked", "shared") if freezes else ():
        tolls, most = [getattr(each, name) for each in freezes], getattr(largest, name)
        rows[name] = {
            "taken in all": sum(each.taken for each in tolls) // WAD,
            "accounts charged a position": sum(each.charged for each in tolls) // len(tolls),
            "the largest: taken": most.taken // WAD,
            "accounts charged": most.charged,
            "% of a gain, at most": most.most / 100,
        }
    if freezes:
        taken = sum(each.taken for each in freezes) // WAD
        rows["minimal"] = dict.fromkeys(rows["greedy"]) | {
            "taken in all": taken,
            "the largest: taken": largest.taken // WAD,
        }
    return rows
