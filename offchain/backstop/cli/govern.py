"""Propose what a timelock waits for, carry it out, cancel it; or list what is proposed."""

from __future__ import annotations

from pathlib import Path

import click

from backstop.cli.command_helpers import Command, handle_errors
from backstop.live.operate.network_options import (
    account_option,
    deployment_option,
    fee_cap_option,
    network_option,
)


@click.command(
    cls=Command,
    short_help="Propose changes to a timelock; list, execute or cancel them",
    epilog="""\b
Examples:
  ape run govern --network http://127.0.0.1:8545
  ape run govern propose VaultEngine.set_debt_floor collateral_type=ETH new=500 --dry-run --network ...
  ape run govern propose Treasury.set_target new=1000000 VaultEngine.set_risk_policy new=0x... --network ...
  ape run govern execute 0x3fa1 --network http://127.0.0.1:8545 --account executor=me
""",
)
@click.argument("doing", type=click.Choice(("list", "propose", "execute", "cancel")), default="list")
@click.argument("what", nargs=-1, metavar="[CONTRACT.FUNCTION NAME=VALUE ... | ID]")
@network_option
@deployment_option
@click.option(
    "--salt",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Number that distinguishes equal proposals.",
)
@click.option("--dry-run", is_flag=True, help="Print the call and its effect, and send nothing.")
@account_option
@fee_cap_option
@handle_errors
def cli(
    doing: str,
    what: tuple[str, ...],
    network: str | None,
    deployment: Path,
    salt: int,
    dry_run: bool,
    account: tuple[str, ...],
    fee_cap: int,
) -> None:
    """List roles and proposals of a timelock; propose calls, or execute or cancel a proposal by its id.

    A call names a contract of the deployment, a function, and each argument once. Numbers are raw, as the
    contract stores them; contracts, roles and collateral types have names, lists and structs are JSON. An id
    may be shortened to an unambiguous prefix. A call that would revert is not sent.

    Reads the deployment file.

    Exit codes: 0 on success, 1 on an error, 2 on invalid options.
    """
    from backstop.deployment.deployment_file import read_deployment
    from backstop.errors import BackstopError
    from backstop.live.operate.network_options import build_signers_and_named_accounts, connect_node
    from backstop.live.operate.timelock_proposals import TimelockGovernance

    if doing == "list" and what:
        raise BackstopError(f"list: {what[0]!r} is unexpected; expected no further argument")
    if doing in ("execute", "cancel") and len(what) != 1:
        raise BackstopError(f"{doing}: {len(what)} ids given; expected one, `govern` lists them")
    read = read_deployment(deployment)
    node = connect_node(network)
    signers, named = build_signers_and_named_accounts(node, account)
    governing = TimelockGovernance(node, read, signers, fee_cap)
    if doing == "list":
        for line in governing.iter_report_lines():
            click.echo(line)
        return
    if doing == "propose":
        action, lines = governing.build_proposal_and_preview_lines(governing.calls.parse_calls(what), salt)
    else:
        found = governing.find_proposal(what[0])
        lines = [
            f"proposal 0x{found.id.hex()}",
            *(f"  {line}" for line in governing.describe_calls(found.calls)),
        ]
        executor = named.get("executor")
        action = (
            governing.build_execution(found, executor)
            if doing == "execute"
            else governing.build_cancellation(found)
        )
    for line in [
        *lines,
        *(
            governing.describe_action_and_dry_run(action)
            if dry_run
            else [governing.send_action_and_wait_until_mined(action)]
        ),
    ]:
        click.echo(line)
