"""An Anvil or a Hardhat that stays, for `deploy`, `keeper` and `crash`."""

from __future__ import annotations

from pathlib import Path

import click

from backstop.cli.command_helpers import Command, handle_errors, handle_stop_signals
from backstop.errors import BackstopError
from backstop.live.node.rpc_node import Node


@click.command(
    cls=Command,
    short_help="Run a local Anvil or Hardhat node for the other commands",
    epilog="""\b
Examples:
  ape run devnet
  ape run devnet --port 8546 --state runs/devnet.json
  ape run devnet --port 8546 --fork-url http://127.0.0.1:8545 --fork-block 1200
  ape run devnet --hardhat ../my-hardhat-project
""",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    default=8545,
    show_default=True,
    help="TCP port of the node on this machine.",
)
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File that keeps the chain; an existing file is resumed.  [default: none, the chain ends "
    "with the command]",
)
@click.option(
    "--timestamp", metavar="TIME", help="Time of the first block, as 2020-03-11T00:00Z.  [default: now]"
)
@click.option(
    "--fork-url",
    metavar="URL",
    help="Address of a node whose chain is forked; that node does not see the fork's transactions.  "
    "[default: none]",
)
@click.option(
    "--fork-block",
    type=click.IntRange(0),
    help="Last block of the forked chain, with --fork-url.  [default: the newest]",
)
@click.option(
    "--hardhat",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Folder of a project with Hardhat 2 or 3, which runs instead of Anvil.  [default: none]",
)
@handle_errors
def cli(
    port: int,
    state: Path | None,
    timestamp: str | None,
    fork_url: str | None,
    fork_block: int | None,
    hardhat: Path | None,
) -> None:
    """Run a local node that keeps its whole history (chain id 31337, cancun) until Ctrl-C; print its address.

    A fork has the other chain's id, history and deployments. With --hardhat the node is a Hardhat, with the
    same chain and accounts; its configuration is generated, and the project's folder stays unchanged.

    Writes the chain to --state.

    Exit codes: 0 after Ctrl-C, 1 on an error, 2 on invalid options.
    """
    from backstop.live.node.rpc_node import require_lasting_node_address
    from backstop.live.operate.devnet_process import (
        Fork,
        run_anvil_until_stopped,
        run_hardhat_until_stopped,
    )
    from backstop.simulation.scenario import quantity_units

    def started(node: Node) -> None:
        click.echo(node.url)
        kept = "not kept" if state is None else f"kept in {state}"
        click.echo(
            f"{node.version}, chain {node.chain_id}, block {node.get_head().number}, {kept}; Ctrl-C ends it",
            err=True,
        )

    try:
        begins = None if timestamp is None else quantity_units.read_moment(timestamp)
    except ValueError as error:
        raise BackstopError(f"--timestamp: {error}") from None
    if fork_url is None and fork_block is not None:
        raise BackstopError("--fork-block: given without --fork-url; expected both")
    if hardhat is not None and not (state is None and fork_url is None):
        raise BackstopError("--hardhat keeps no chain and forks none: leave out --state and --fork-url")
    fork = (
        None if fork_url is None else Fork(require_lasting_node_address(fork_url, "--fork-url"), fork_block)
    )
    with handle_stop_signals("stopping ...") as stop:
        if hardhat is not None:
            run_hardhat_until_stopped(hardhat, port, begins, started=started, stop=stop)
        else:
            run_anvil_until_stopped(port, state, begins, fork=fork, started=started, stop=stop)
