"""Put a deployment on a chain that stays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from backstop.cli.command_helpers import (
    Command,
    fresh_option,
    handle_errors,
    handle_stop_signals,
    show_progress_bar,
)
from backstop.deployment.parameter_rules import DOUBTFUL, REFUSED, RuleFinding, check_parameters
from backstop.live.operate.network_options import account_option, fee_cap_option, network_option

REFUSED_CODE = 2


@click.command(
    cls=Command,
    short_help="Deploy and configure the protocol",
    epilog="""\b
Examples:
  ape run deploy --params black-thursday --network http://127.0.0.1:8545
  ape run deploy --params margin --network http://127.0.0.1:8545 --out mine.json
  ape run deploy --network http://127.0.0.1:8545 --admin 0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266
  ape run deploy --params my.yaml --network https://node --account admin=me --account guardian=0x...
""",
)
@click.option(
    "--params",
    default="black-thursday",
    show_default=True,
    metavar="FILE|SCENARIO",
    help="Parameters: a scenario (name or YAML file), a JSON file, 'standard', 'guarded', or "
    "'margin' (standard with a margin market).",
)
@network_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("deployment.json"),
    show_default=True,
    help="Deployment file to write at the end.",
)
@click.option(
    "--unsafe", is_flag=True, help="Deploy parameters that break a rule; the deployment file names the rule."
)
@click.option(
    "--admin",
    metavar="ALIAS|ADDRESS",
    help="Account that deploys and stays the admin of all contracts, with changes at once.  "
    "[default: a timelock]",
)
@fresh_option
@account_option
@fee_cap_option
@handle_errors
def cli(
    params: str,
    network: str | None,
    out: Path,
    unsafe: bool,
    admin: str | None,
    fresh: bool,
    account: tuple[str, ...],
    fee_cap: int,
) -> None:
    """Deploy and configure all contracts of the protocol, and print their addresses.

    The same command resumes an interrupted deployment, and shows a finished one. A deployment file of other
    parameters or another chain is refused. Misfits of parameters are printed to stderr, one a line (`ape run
    settings`).

    A timelock becomes the admin of all contracts. Its governor, which proposes changes, is the deployer, or
    the account of --account governor=...; --admin deploys without a timelock.

    Writes the deployment file: addresses, parameters, chain id.

    Exit codes: 0 on success, 1 on an error or an interruption, 2 if parameters break a promise of the
    protocol, or on invalid options.
    """
    from backstop.live.operate.network_options import build_signers_and_named_accounts, connect_node
    from backstop.live.operate.resumable_deployment import (
        deploy_live,
        load_parameters_with_prices,
        with_timelock,
    )

    parameters, prices = load_parameters_with_prices(params)
    if admin is None:
        parameters = with_timelock(parameters)
    else:
        account = (*account, f"admin={admin}")
    findings = check_parameters(parameters, prices)
    node = connect_node(network)
    signers, accounts = build_signers_and_named_accounts(node, account)
    refused = _list_refused_rules_or_exit(findings, unsafe)
    with (
        handle_stop_signals("stopping, the same command goes on ...") as stop,
        show_progress_bar() as progress,
    ):
        deployment = deploy_live(
            node,
            parameters,
            out,
            signers,
            accounts,
            fee_cap=fee_cap,
            fresh=fresh,
            unsafe=refused,
            progress=progress,
            stop=stop,
            say=lambda text: click.echo(text, err=True),
        )
    for found in findings:
        if found.rule.verdict == DOUBTFUL:
            click.echo(f"doubtful: {found}", err=True)
    for creation in deployment.creations:
        click.echo(f"{creation.name:<20} {creation.address}")
    click.echo(out)


def _list_refused_rules_or_exit(rule_findings: Sequence[RuleFinding], allows_unsafe: bool) -> tuple[str, ...]:
    """Return the names of the rules that the parameters break.

    Each broken rule is printed. The command exits if there is one and unsafe parameters are not allowed.
    """
    broken = [found for found in rule_findings if found.rule.verdict == REFUSED]
    for found in broken:
        click.echo(f"refused: {found}", err=True)
    names = tuple(dict.fromkeys(found.rule.name for found in broken))
    if names and not allows_unsafe:
        click.echo("Error: this breaks what the protocol promises: mend it, or give --unsafe", err=True)
        raise SystemExit(REFUSED_CODE)
    if names:
        click.echo(f"deployed all the same, as the file will say: {', '.join(names)}", err=True)
    return names
