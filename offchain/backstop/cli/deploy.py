"""Put a deployment on a chain that stays."""

from __future__ import annotations

from pathlib import Path

import click

from backstop.cli.common import Command, fresh_option, handle_errors, progress_bar, stoppable
from backstop.live.operate.options import account_option, fee_cap_option, network_option


@click.command(
    cls=Command,
    short_help="Deploy and configure the protocol",
    epilog="""\b
Examples:
  ape run deploy --params black-thursday --network http://127.0.0.1:8545
  ape run deploy --params margin --network http://127.0.0.1:8545 --out mine.json
  ape run deploy --params my.yaml --network https://node --account admin=me --account guardian=0x...
""",
)
@click.option(
    "--params",
    default="black-thursday",
    show_default=True,
    metavar="FILE|SCENARIO",
    help="A scenario (name or YAML file), a JSON file of parameters, 'standard', 'guarded', "
    "or 'margin': standard with a margin market.",
)
@network_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("deployment.json"),
    show_default=True,
    help="The deployment file; written when all is done.",
)
@fresh_option
@account_option
@fee_cap_option
@handle_errors
def cli(
    params: str, network: str | None, out: Path, fresh: bool, account: tuple[str, ...], fee_cap: int
) -> None:
    """Create and configure all contracts, then write the deployment file: addresses, parameters, chain id.

    The same command goes on with a deployment that was stopped, and shows one that is on the chain. A file
    of other parameters or another chain is refused. Prints the addresses.
    """
    from backstop.live.operate.deploying import deploy_live, load_parameters
    from backstop.live.operate.options import connect, signers_of

    parameters = load_parameters(params)
    node = connect(network)
    signers, accounts = signers_of(node, account)
    with stoppable("stopping, the same command goes on ...") as stop, progress_bar() as progress:
        deployment = deploy_live(
            node,
            parameters,
            out,
            signers,
            accounts,
            fee_cap=fee_cap,
            fresh=fresh,
            progress=progress,
            stop=stop,
            say=lambda text: click.echo(text, err=True),
        )
    for creation in deployment.creations:
        click.echo(f"{creation.name:<20} {creation.address}")
    click.echo(out)
