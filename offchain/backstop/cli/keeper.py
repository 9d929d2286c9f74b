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
    short_help="Run keepers",
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
    "--config", type=click.Path(dir_okay=False, path_type=Path), help="Settings; options go before them."
)
@add_network_url_option
@click.option(
    "--deployment",
    type=click.Path(dir_okay=False, path_type=Path),
    help="What `deploy` wrote.  [default: deployment.json]",
)
@click.option(
    "--roles",
    help="Some of reporter, poker, accruer, liquidator, taker, bidder, crank, recogniser, recap_bidder, "
    "surplus_bidder, treasurer, ceilings, breaker, caller, settler, margin_crank, margin_liquidator, "
    "backstop_keeper, pool_buyer, deleverager, matcher, or all of them; and debtor, bridge.",
)
@click.option("--once", is_flag=True, help="One look at the chain, then end.")
@click.option("--dry-run", is_flag=True, help="Decide and try, print what would be sent, send nothing.")
@click.option("--log", type=click.Choice(("human", "json")), help="Lines on stderr.  [default: human]")
@click.option("--interval", type=click.FloatRange(0.01), help="Seconds between looks.  [default: 0.1]")
@click.option(
    "--patience", type=click.FloatRange(0), help="Seconds to wait for a node that is gone.  [default: 120]"
)
@click.option(
    "--grace", type=click.FloatRange(0), help="Seconds that transactions have at the end.  [default: 10]"
)
@click.option(
    "--minimum-profit",
    type=click.IntRange(0),
    help="Whole stablecoins that a transaction must earn after gas.  [default: 1]",
)
@click.option("--gas-token", metavar="SYMBOL", help="Collateral in whose coin gas is paid.  [the ETH one]")
@click.option("--fee-cap", type=click.IntRange(1), metavar="GWEI", help="Most for gas.  [default: 500]")
@click.option(
    "--replace-after",
    type=click.FloatRange(0),
    help="Seconds until a waiting transaction is sent again for more.  [default: 20]",
)
@click.option(
    "--confirmations", type=click.IntRange(0), help="Blocks until one counts as final.  [default: 2]"
)
@click.option(
    "--metrics",
    metavar="[ADDRESS:]PORT",
    help="Serve /metrics, /livez, /readyz and /health there; for this machine unless an address is named.",
)
@click.option(
    "--max-block-age",
    "stale",
    type=click.FloatRange(0),
    help="Seconds without a new block that are too many for /health; 0 is any.  [default: 120]",
)
@click.option(
    "--journal",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for what is signed.  [default: runs/keeper]",
)
@click.option(
    "--snapshot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the vault index, and all that was followed, is kept from one start to the next.  [default: "
    "nowhere]",
)
@click.option("--pause", metavar="ROLES", help="Pause roles of the keeper that uses this --journal, and end.")
@click.option("--resume", metavar="ROLES", help="Let paused roles go on, and end.")
@click.option("--cold", is_flag=True, default=None, help="Start from nothing, and replace the snapshot.")
@click.option(
    "--signer", metavar="URL", help="A Web3Signer, whose accounts may be named: --account ROLE=0xADDRESS."
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
    """Watch a deployment and act: each new block is looked at, and what pays is tried, then sent.

    Prices outside are those of the deployment's own markets. What is done goes to stderr, line by line;
    the numbers of transactions to stdout at the end.
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
