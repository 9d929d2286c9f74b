"""The deleveraging queue of a deployment's perpetual markets, before a cycle ends."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from backstop.cli.command_helpers import (
    Command,
    handle_errors,
    handle_stop_signals,
    json_option,
    show_progress_bar,
)
from backstop.errors import BackstopError
from backstop.live.operate.network_options import deployment_option, network_option


@click.command(
    cls=Command,
    short_help="Show the order of auto-deleveraging of accounts",
    epilog="""\b
Examples:
  ape run adl --network http://127.0.0.1:8545
  ape run adl --network http://127.0.0.1:8545 --market WETH --side short --rows 50
  ape run adl --network http://127.0.0.1:8545 --account 0x7db65c308a2da2383abd35815f1e22280ea9c0bb
  ape run adl --network http://127.0.0.1:8545 --pending --json
""",
)
@network_option
@deployment_option
@click.option("--block", type=click.IntRange(0), help="Block number to rank at.  [default: the newest]")
@click.option("--market", metavar="SYMBOL", help="Collateral symbol of the market to show.  [default: all]")
@click.option("--side", type=click.Choice(("long", "short")), help="Side to show.  [default: both]")
@click.option("--account", metavar="ADDRESS", help="Address of the account to show.  [default: all]")
@click.option(
    "--rows",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Largest number of accounts to print for each side; --json prints all.",
)
@click.option(
    "--pending",
    is_flag=True,
    help="Show the order of the pending cycle, the one to submit now, instead of the open cycle as "
    "if it ended at this block.",
)
@json_option
@handle_errors
def cli(
    network: str | None,
    deployment: Path,
    block: int | None,
    market: str | None,
    side: str | None,
    account: str | None,
    rows: int,
    pending: bool,
    as_json: bool,
) -> None:
    """Show the deleveraging queue of a deployment: score, lots ahead and lights of each account.

    The history of the deployment is replayed into the model up to a block, the open cycle is ended there, and
    accounts are ranked as RankedDeleveraging does; nothing is sent. Five lights mark the first fifth of a
    side's lots, one light the last. Policies other than `ranked` have no queue; one line describes them.

    Reads the deployment file.

    Exit codes: 0 on success, 1 on an error or an interruption, 2 on invalid options.
    """
    from backstop.deployment.deployment_file import read_deployment
    from backstop.live.mirror.chain_mirror import open_mirror
    from backstop.live.operate.network_options import connect_node
    from backstop.live.solvency.adl_queue_figures import build_deleveraging_queue_figures

    if account is not None and not re.fullmatch("0x[0-9a-fA-F]{40}", account):
        raise BackstopError(f"--account {account}: invalid; expected an address of 0x and 40 digits")
    read = read_deployment(deployment)
    margin = read.parameters.margin
    if margin is None:
        raise BackstopError(f"{deployment}: no margin market; expected a deployment with one")
    mirror = open_mirror(connect_node(network), read)
    with handle_stop_signals("stopping ...") as stop, show_progress_bar() as progress:
        mirror.replay_to_block(block, lambda done, total: progress(done, total, "replaying"), stop)
    mirror.raise_differences()
    figures = build_deleveraging_queue_figures(mirror.model, read, use_pending_cycle=pending)
    assert figures is not None
    if market is not None and market not in figures["markets"]:
        raise BackstopError(f"--market {market}: unknown; expected one of {', '.join(figures['markets'])}")
    figures["sides"] = [
        each for each in figures["sides"] if market in (None, each["market"]) and side in (None, each["side"])
    ]
    if account is not None:
        for each in figures["sides"]:
            each["accounts"] = [row for row in each["accounts"] if row["owner"] == account.lower()]
    at = {"number": mirror.block, "hash": mirror.hash, "timestamp": mirror.model.timestamp}
    if as_json:
        print(json.dumps({**figures, "block": at}, indent=2))
        return
    _print_deleveraging_queue(figures, at, account, rows)


def _print_deleveraging_queue(
    queue_figures: Mapping[str, Any], block_header: Mapping[str, Any], account: str | None, row_limit: int
) -> None:
    """Print the auto-deleveraging queue of each side with accounts, as a table in stablecoins."""
    from rich.console import Console
    from rich.table import Table

    from backstop.live.solvency.adl_queue_table import (
        HEADS,
        format_market_side_summary_line,
        iter_deleveraging_queue_rows,
    )
    from backstop.report.amounts import format_moment

    console = Console(file=sys.stdout, highlight=False, width=140)
    state = "pending" if queue_figures["is_pending"] else "open"
    console.print(
        f"block {block_header['number']}, {format_moment(block_header['timestamp'])}; policy "
        f"{queue_figures['policy']}, {state} cycle "
        f"{queue_figures['cycle']}",
        style="bold",
    )
    console.print(queue_figures["order"], soft_wrap=True)
    shown = [each for each in queue_figures["sides"] if each["accounts"]]
    for side in shown:
        console.print()
        console.print(format_market_side_summary_line(side), style="bold")
        table = Table(box=None, pad_edge=False, header_style="bold")
        for head in HEADS:
            table.add_column(head, justify="left" if head in ("account", "lights") else "right", no_wrap=True)
        for row in iter_deleveraging_queue_rows(side["accounts"][:row_limit]):
            table.add_row(*row)
        console.print(table)
        if len(side["accounts"]) > row_limit:
            console.print(
                f"{len(side['accounts']) - row_limit:,} more accounts: --rows shows more, --json all"
            )
    if queue_figures["sides"] and not shown:
        console.print(f"{account or 'no account'} has no lots there")
