"""A live deployment as a scenario."""

from __future__ import annotations

from pathlib import Path

import click

from backstop.cli.common import (
    RUNS,
    Command,
    handle_errors,
    open_output,
    output_options,
    progress_bar,
    stoppable,
)
from backstop.errors import BackstopError
from backstop.live.operate.options import deployment_option, network_option


@click.command(
    cls=Command,
    short_help="Write a deployment as a scenario",
    epilog="""\b
Examples:
  ape run export --network http://127.0.0.1:8545
  ape run export --network http://127.0.0.1:8545 --block 1200 --out runs/today --duration '1 d'
  ape run simulate --scenario runs/today/scenario.yaml
""",
)
@network_option
@deployment_option
@click.option("--block", type=click.IntRange(0), help="Which block.  [default: the newest]")
@output_options("Folder of the scenario.", "runs/export-<block>")
@click.option("--duration", default="6 h", show_default=True, help="How long the scenario is.")
@click.option("--block-time", default="60 s", show_default=True, help="Seconds between its blocks.")
@handle_errors
def cli(
    network: str | None,
    deployment: Path,
    block: int | None,
    out: Path | None,
    fresh: bool,
    duration: str,
    block_time: str,
) -> None:
    """Replay a deployment's history into the model up to a block, and write it as a scenario.

    `simulate` begins with the very state of that block. `compare` opens the vault book anew, under each
    preset's terms. Prices stand still and keepers are made up until the file is edited.
    """
    from backstop.deployment.file import read_deployment
    from backstop.live.follow.exporting import export
    from backstop.live.follow.mirror import open_mirror
    from backstop.live.operate.options import connect, of_chain
    from backstop.simulation.scenario import units

    try:
        lengths = units.seconds(duration), units.seconds(block_time)
    except ValueError as error:
        raise BackstopError(f"--duration, --block-time: {error}") from None
    node = connect(network)
    last = node.head().number if block is None else block
    folder = out or RUNS / f"export-{last}"
    mirror = open_mirror(node, read_deployment(deployment))
    inputs = {"block": last, "seconds": lengths[0], "seconds of a block": lengths[1]}
    output = open_output(folder, "export", {**of_chain(node, deployment), **inputs}, fresh=fresh)
    if output.finished:
        click.echo(folder / "scenario.yaml")
        return
    with stoppable("stopping ...") as stop, progress_bar() as progress:
        mirror.follow_to(last, lambda done, total: progress(done, total, "replaying"), stop)
    mirror.raise_differences()
    _, left_out = export(mirror, folder, *lengths)
    output.finish()
    for line in left_out:
        click.echo(f"not in the vault book, only in the state: {line}", err=True)
    click.echo(folder / "scenario.yaml")
