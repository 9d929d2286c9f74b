"""The model beside a live deployment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from backstop.cli.command_helpers import Command, LongChoice, handle_errors, handle_stop_signals
from backstop.errors import BackstopError
from backstop.live.monitor.health_conditions import ALERTS, STALE
from backstop.live.operate.network_options import add_network_url_option, deployment_option


@click.command(
    cls=Command,
    old_options={"--stale": "--max-block-age"},
    short_help="Follow a deployment with the model, and compare all storage",
    epilog="""\b
Examples:
  ape run mirror --network http://127.0.0.1:8545
  ape run mirror --network http://127.0.0.1:8545 --once
  ape run mirror --network https://node --checkpoint mirror.json --out mirror.jsonl --metrics 9465
  ape run mirror --network https://one --network https://two --each-block
  ape run mirror --network http://127.0.0.1:8545 --page 8080
  ape run mirror --network https://node --alerts https://example.org/hook/3f9a --alert-on difference
""",
)
@add_network_url_option
@deployment_option
@click.option("--once", is_flag=True, help="Follow to the newest block, then exit.")
@click.option(
    "--until-block",
    "until",
    type=click.IntRange(0),
    help="Last block to follow.  [default: none, until Ctrl-C]",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to append a line of JSON to for each block.  [default: none]",
)
@click.option(
    "--checkpoint",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File that keeps the state; an existing file is resumed.  [default: none]",
)
@click.option("--each-block", is_flag=True, help="Print a line for every block, not only for changes.")
@click.option(
    "--depth",
    type=click.IntRange(1, 10_000),
    default=64,
    show_default=True,
    help="Blocks that a reorganisation can undo without a new replay.",
)
@click.option(
    "--interval",
    type=click.FloatRange(0.01),
    default=0.1,
    show_default=True,
    help="Time between looks for a new block, in seconds.",
)
@click.option(
    "--patience",
    type=click.FloatRange(0),
    default=120.0,
    show_default=True,
    help="Time to wait for a node that does not answer, in seconds.",
)
@click.option(
    "--page",
    metavar="[ADDRESS:]PORT",
    help="Port that serves a live page, on this machine unless an address is given.  [default: none]",
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
    default=STALE,
    show_default=True,
    help="Time without a new block that /health and alerts report, in seconds; 0 never reports.",
)
@click.option(
    "--alerts",
    metavar="URL",
    envvar="BACKSTOP_ALERTS",
    show_envvar=True,
    help="Webhook address to post alerts to.  [default: none]",
)
@click.option(
    "--alert-on",
    metavar="ALERT",
    multiple=True,
    type=LongChoice(tuple(ALERTS), "schema keeper"),
    help="Alert to post; `ape run schema keeper` lists them under `alerts`; repeatable.  [default: all]",
)
@handle_errors
def cli(
    network: tuple[str, ...],
    deployment: Path,
    once: bool,
    until: int | None,
    out: Path | None,
    checkpoint: Path | None,
    each_block: bool,
    depth: int,
    interval: float,
    patience: float,
    page: str | None,
    metrics: str | None,
    stale: float,
    alerts: str | None,
    alert_on: tuple[str, ...],
) -> None:
    """Mirror a deployment: replay its history into the model, then compare all storage block by block.

    Prints a line for each change: differences, debts and losses, funds of the stages, open auctions and
    margin calls.

    Reads the deployment file. Writes --out and --checkpoint.

    Exit codes: 0 if model and chain never differed, 1 if they did or on an error, 2 on invalid options.
    """
    from backstop.deployment.deployment_file import read_deployment
    from backstop.live.mirror.chain_mirror import open_mirror
    from backstop.live.monitor.alerts import AlertSettings, webhook_host
    from backstop.live.monitor.status_port_and_webhook_opening import open_status_publisher
    from backstop.live.node.log_lines import build_stderr_line_printer
    from backstop.live.node.rpc_node import TIMEOUT
    from backstop.live.operate.heap_trim import configure_malloc_arenas_and_mmap
    from backstop.live.operate.mirror_loop import MirrorLoop
    from backstop.live.operate.network_options import connect_to_deployment_node

    configure_malloc_arenas_and_mmap()
    say = build_stderr_line_printer(as_json=False)

    def tell(text: str) -> None:
        print(text, flush=True)

    with handle_stop_signals("stopping ...") as stop:
        described = read_deployment(deployment)
        hook = None
        if alerts is not None:
            try:
                webhook_host(alerts)
            except BackstopError as error:
                raise BackstopError(f"--alerts {error}") from None
            hook = AlertSettings(alerts, alert_on or tuple(ALERTS))
        where: dict[str, Any] = {"metrics_at": metrics, "page_at": page, "deployment": described}
        within = len(network) * TIMEOUT
        with open_status_publisher(
            "mirror", say, stale, **where, alerts=hook, answers_within=within
        ) as observer:
            node = connect_to_deployment_node(
                network, described, say, observer, 0 if once else patience, stop=stop
            )
            mirror = open_mirror(node, described, depth)
            options: dict[str, Any] = {"out": out, "checkpoint": checkpoint, "each_block": each_block}
            watch = MirrorLoop(mirror, tell, say, **options, observer=observer)
            watch.run(once=once, until=until, interval=interval, patience=patience, stop=stop)
    if watch.found:
        raise BackstopError(f"model and chain differed in {watch.found} places")
