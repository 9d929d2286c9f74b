"""A live deployment as a scenario."""

from __future__ import annotations

from pathlib import Path

import click

from backstop.cli.command_helpers import (
    RUNS,
    Command,
    handle_errors,
    handle_stop_signals,
    open_output,
    output_options,
    show_progress_bar,
)
from backstop.errors import BackstopError
from backstop.live.operate.network_options import deployment_option, network_option


@click.command(
    cls=Command,
    short_help="Export a deployment as a scenario",
    epilog="""\b
Examples:
  ape run export --network http://127.0.0.1:8545
  ape run export --network http://127.0.0.1:8545 --block 1200 --out runs/today --duration '1 d'
  ape run simulate --scenario runs/today/scenario.yaml
""",
)
@network_option
@deployment_option
@click.option("--block", type=click.IntRange(0), help="Block number to export at.  [default: the newest]")
@output_options("Folder of the scenario.", "runs/export-<block>")
@click.option("--duration", default="6 h", show_default=True, help="Length of the scenario.")
@click.option("--block-time", default="60 s", show_default=True, help="Time between blocks of the scenario.")
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
    """Export the state of a deployment at a block as a scenario.

    `simulate` starts with the exact state of that block; `compare` opens the vaults again under each preset's
    terms. Prices are constant and keepers are assumed until you edit the file.

    Reads the deployment file. Writes scenario.yaml and the files that it names.

    Exit codes: 0 on success, 1 on an error or an interruption, 2 on invalid options.
    """
    from backstop.deployment.deployment_file import read_deployment
    from backstop.live.mirror.chain_mirror import open_mirror
    from backstop.live.mirror.scenario_export import export_scenario
    from backstop.live.operate.network_options import connect_node, describe_chain_inputs
    from backstop.simulation.scenario import quantity_units

    try:
        lengths = quantity_units.read_seconds(duration), quantity_units.read_seconds(block_time)
    except ValueError as error:
        raise BackstopError(f"--duration, --block-time: {error}") from None
    node = connect_node(network)
    last = node.get_head().number if block is None else block
    folder = out or RUNS / f"export-{last}"
    mirror = open_mirror(node, read_deployment(deployment))
    inputs = {"block": last, "seconds": lengths[0], "seconds of a block": lengths[1]}
    output = open_output(folder, "export", {**describe_chain_inputs(node, deployment), **inputs}, fresh=fresh)
    if output.finished:
        click.echo(folder / "scenario.yaml")
        return
    with handle_stop_signals("stopping ...") as stop, show_progress_bar() as progress:
        mirror.replay_to_block(last, lambda done, total: progress(done, total, "replaying"), stop)
    mirror.raise_differences()
    _, left_out = export_scenario(mirror, folder, *lengths)
    output.mark_finished()
    for line in left_out:
        click.echo(f"not in the vault book, only in the state: {line}", err=True)
    click.echo(folder / "scenario.yaml")
