"""Keepers on a chain that stays."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

import click

from offchain.cli import handle_errors, stoppable
from offchain.live.options import account_option, deployment_option, fee_cap_option, network_option
from offchain.model.arithmetic import WAD


@click.command(
    short_help="Run keepers",
    epilog="""\b
Examples:
  ape run keeper --network http://127.0.0.1:8545 --roles liquidator,taker,crank
  ape run keeper --network http://127.0.0.1:8545 --roles all --once
  ape run keeper --network https://node --roles liquidator --account liquidator=me
""",
)
@network_option
@deployment_option
@click.option(
    "--roles",
    required=True,
    help="Some of reporter, poker, accruer, liquidator, taker, bidder, crank, recogniser, recap_bidder, "
    "surplus_bidder, treasurer, ceilings, breaker, caller, settler; or all.",
)
@click.option("--once", is_flag=True, help="One look at the chain, then end.")
@click.option(
    "--interval", type=click.FloatRange(0.01), default=0.1, show_default=True, help="Seconds between looks."
)
@click.option(
    "--patience",
    type=click.FloatRange(0),
    default=120.0,
    show_default=True,
    help="Seconds to wait for a node that is gone.",
)
@click.option(
    "--minimum-profit",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Whole stablecoins that a transaction must earn after gas.",
)
@click.option(
    "--gas-token", metavar="SYMBOL", help="Collateral in whose coin gas is paid.  [default: the ETH one]"
)
@account_option
@fee_cap_option
@handle_errors
def cli(
    network: str | None,
    deployment: Path,
    roles: str,
    once: bool,
    interval: float,
    patience: float,
    minimum_profit: int,
    gas_token: str | None,
    account: tuple[str, ...],
    fee_cap: int,
) -> None:
    """Watch a deployment and act: each new block is looked at, and what pays is tried, then sent.

    Prices outside are those of the deployment's own markets. What is done goes to stderr, line by line;
    the numbers of transactions to stdout at the end.
    """
    import dataclasses

    from offchain.live.keeping import Runner, keepers_of
    from offchain.live.options import connect, open_system

    node = connect(network)
    system, accounts = open_system(node, deployment, account, fee_cap)
    wanted = [role.strip() for role in roles.split(",") if role.strip()]
    keepers = [
        dataclasses.replace(keeper, address=accounts.get(keeper.name, keeper.address))
        for keeper in keepers_of(system.deployment, wanted, minimum_profit * WAD)
    ]

    def say(text: str) -> None:
        print(f"{datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)

    runner = Runner(system, keepers, say, gas_token)
    say(f"watching {node.url} as {', '.join(keeper.name for keeper in keepers)}")
    with stoppable("stopping ...") as stop:
        try:
            runner.run(interval=interval, patience=patience, once=once, stop=stop)
        finally:
            click.echo(f"{runner.sent} transactions, {runner.failed} failed")
