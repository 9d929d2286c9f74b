"""Keepers on a chain that stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from backstop.cli.command_helpers import Command, handle_errors, handle_stop_signals
from backstop.live.operate.network_options import account_option, add_network_url_option


@click.command(
    cls=Command,
    old_options={"--stale": "--max-block-age"},
    short_help="Run keepers on a deployment",
    epilog="""\b
Examples:
  ape run keeper --network http://127.0.0.1:8545 --roles liquidator,taker,crank
  ape run keeper --network http://127.0.0.1:8545 --roles all --once --dry-run
  ape run keeper --config keeper.yaml --log json --metrics 9464
  ape run keeper --network https://one --network https://two --roles liquidator --account liquidator=me
  ape run keeper --config keeper.yaml --pause bidder
""",
)
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="YAML file of settings; options override it.  [default: none]",
)
@add_network_url_option
@click.option(
    "--deployment",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Deployment file that `deploy` wrote.  [default: deployment.json]",
)
@click.option(
    "--roles",
    help="Roles to run, with commas between them, as liquidator,taker, or 'all' of them but debtor "
    "and bridge; `ape run schema keeper` lists them.  [default: those of --config]",
)
@click.option("--once", is_flag=True, help="Process one block, then exit.")
@click.option("--dry-run", is_flag=True, help="Print the transactions that would be sent, and send none.")
@click.option(
    "--log", type=click.Choice(("human", "json")), help="Format of the lines on stderr.  [default: human]"
)
@click.option(
    "--interval",
    type=click.FloatRange(0.01),
    help="Time between looks for a new block, in seconds.  [default: 0.1]",
)
@click.option(
    "--patience",
    type=click.FloatRange(0),
    help="Time to wait for a node that does not answer, in seconds.  [default: 120]",
)
@click.option(
    "--grace",
    type=click.FloatRange(0),
    help="Time for pending transactions at the end, in seconds.  [default: 10]",
)
@click.option(
    "--minimum-profit",
    type=click.IntRange(0),
    help="Least profit of a transaction after gas, in whole stablecoins.  [default: 1]",
)
@click.option(
    "--gas-token", metavar="SYMBOL", help="Collateral in whose coin gas is paid.  [default: the ETH type]"
)
@click.option(
    "--fee-cap",
    type=click.IntRange(1),
    metavar="GWEI",
    help="Highest price of a unit of gas, in gwei.  [default: 500]",
)
@click.option(
    "--replace-after",
    type=click.FloatRange(0),
    help="Time until a pending transaction is replaced at a higher price, in seconds.  [default: 20]",
)
@click.option(
    "--confirmations",
    type=click.IntRange(0),
    help="Blocks until a transaction counts as final.  [default: 2]",
)
@click.option(
    "--metrics",
    metavar="[ADDRESS:]PORT",
    help="Port that serves /metrics, /livez, /readyz and /health, on this machine unless an address "
    "is given.  [default: none]",
)
@click.option(
    "--max-block-age",
    "stale",
    type=click.FloatRange(0),
    help="Time without a new block that /health reports, in seconds; 0 never reports.  [default: 120]",
)
@click.option(
    "--journal",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for signed transactions.  [default: runs/keeper]",
)
@click.option(
    "--snapshot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File that keeps the vault index and other followed state for the next start.  [default: none]",
)
@click.option(
    "--pause",
    metavar="ROLES",
    help="Roles to pause in the keeper that uses this --journal; the command then exits.  [default: none]",
)
@click.option(
    "--resume",
    metavar="ROLES",
    help="Roles to resume in the keeper that uses this --journal; the command then exits.  [default: none]",
)
@click.option("--cold", is_flag=True, default=None, help="Ignore the snapshot, and replace it.")
@click.option(
    "--signer",
    metavar="URL",
    help="Address of a Web3Signer for accounts given as --account ROLE=0xADDRESS.  [default: none]",
)
@account_option
@handle_errors
def cli(
    config: Path | None,
    once: bool,
    dry_run: bool,
    account: tuple[str, ...],
    pause: str | None,
    resume: str | None,
    **given: Any,
) -> None:
    """Run keepers on a deployment: simulate calls on each new block, and send those that pay.

    Market prices are those of the deployment's own markets.

    Reads the deployment file and --config. Logs to stderr, prints the number of transactions to stdout at the
    end, and writes signed transactions to --journal.

    Exit codes: 0 on success, 1 on an error, 2 on invalid options.
    """
    from backstop.live.monitor.status_port_and_webhook_opening import open_status_publisher
    from backstop.live.node.gas_fees import GWEI
    from backstop.live.node.log_lines import Line, build_stderr_line_printer
    from backstop.live.operate.keeper_settings import KeeperSettings, read_yaml_keeper_settings_by_name
    from backstop.live.operate.keeper_setup import build_caught_up_keeper_loop
    from backstop.live.operate.spending_limits import PausedRoles
    from backstop.model.arithmetic import WAD

    wanted = {} if config is None else read_yaml_keeper_settings_by_name(config)
    chosen = {name: value for name, value in given.items() if value not in (None, ())}
    networks, roles = chosen.pop("network", ()), chosen.pop("roles", None)
    if networks:
        wanted["networks"] = networks
    if roles is not None:
        wanted["roles"] = _split_role_names(roles)
    for name, unit in (("minimum_profit", WAD), ("fee_cap", GWEI)):
        if name in chosen:
            chosen[name] *= unit
    wanted["accounts"] = (*wanted.get("accounts", ()), *account)
    settings = KeeperSettings(**wanted | chosen)
    if pause is not None or resume is not None:
        paused = PausedRoles(settings.paused_roles_folder).change_paused(
            _split_role_names(pause or ""), _split_role_names(resume or "")
        )
        click.echo(f"paused: {', '.join(sorted(paused)) or 'none'}")
        if not any(settings.journal.glob("*.jsonl")):
            click.echo(f"no keeper has a journal in {settings.journal.resolve()} yet", err=True)
        return

    say = build_stderr_line_printer(settings.log == "json")
    watching = open_status_publisher(
        *("keeper", say, settings.stale),
        metrics_at=settings.metrics,
        alerts=settings.alerts,
        answers_within=settings.longest_node_signer_relay_seconds,
    )
    with handle_stop_signals("stopping ...") as stop, watching as observer:
        runner = build_caught_up_keeper_loop(
            settings, say, click.echo if dry_run else None, observer, stop, once
        )
        names = [keeper.name for keeper in runner.keepers]
        say(Line(f"watching {runner.system.node.url} as {', '.join(names)}", "watching", keepers=names))
        try:
            runner.run(
                interval=settings.interval,
                patience=settings.patience,
                grace=settings.grace,
                once=once,
                stop=stop,
            )
        finally:
            runner.close()
            click.echo(runner.format_summary())


def _split_role_names(comma_separated_roles: str) -> tuple[str, ...]:
    return tuple(role.strip() for role in comma_separated_roles.split(",") if role.strip())
