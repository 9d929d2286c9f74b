"""The vault index of a deployment: brought up to date, saved, checked against the chain."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from backstop.cli.command_helpers import RUNS, Command, handle_errors
from backstop.live.operate.network_options import deployment_option, network_option


@click.command(
    cls=Command,
    short_help="Index all vaults by their distance from liquidation",
    epilog="""\b
Examples:
  ape run index --network http://127.0.0.1:8545
  ape run index --network http://127.0.0.1:8545 --snapshot vaults.db --verify 1000
  ape run index --network http://127.0.0.1:8545 --cold
""",
)
@network_option
@deployment_option
@click.option(
    "--snapshot",
    type=click.Path(dir_okay=False, path_type=Path),
    default=RUNS / "vaults.db",
    show_default=True,
    help="File that keeps the index for the next start.",
)
@click.option("--cold", is_flag=True, help="Ignore the snapshot, and replace it.")
@click.option(
    "--verify",
    type=click.IntRange(0),
    default=100,
    show_default=True,
    help="Number of random vaults to read from the chain and compare.",
)
@handle_errors
def cli(network: str | None, deployment: Path, snapshot: Path, cold: bool, verify: int) -> None:
    """Index all vaults of a deployment by their distance from liquidation, up to the newest block.

    Prints the number of vaults of each collateral type, of those that can be liquidated, and of those that
    can be called for more margin.

    Reads the deployment file and --snapshot. Writes --snapshot.

    Exit codes: 0 on success, 1 if a vault or the normalized debt of a type differs from the chain or on an
    error, 2 on invalid options.
    """
    from rich.console import Console
    from rich.table import Table

    from backstop.deployment.deployment_file import read_deployment
    from backstop.live.index import IndexFollower
    from backstop.live.operate.network_options import connect_node

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    follower = IndexFollower(
        connect_node(network), read_deployment(deployment), snapshot=snapshot, cold=cold, say=say
    )
    follower.sync_to_head()
    index = follower.index
    table = Table("type", "vaults", "unsafe", "to be called", "called", title=f"block {index.number:,}")
    symbols = follower.deployment.parameters.collateral_and_facilitator_names
    for c, vaults in sorted(index.types.items()):
        at = follower.get_pricing_conditions(c)
        found = index.find_unsafe(c, at), index.find_callable(c, at), index.list_calls(c, at)
        symbol = symbols[c] if c < len(symbols) else str(c)
        table.add_row(symbol, f"{len(vaults):,}", *(f"{len(each):,}" for each in found))
    Console().print(table)
    for difference in (differences := follower.list_sample_differences(verify)):
        say(difference)
    if differences:
        raise click.ClickException(f"index and chain differ {len(differences)} times: --cold builds it anew")
    follower.save_snapshot()
    click.echo(f"{min(verify, len(index)):,} vaults compared with the chain, 0 differences")
