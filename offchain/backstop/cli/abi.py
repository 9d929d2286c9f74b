"""The ABIs of all contracts, as JSON files."""

from __future__ import annotations

from pathlib import Path

import click

from backstop.cli.command_helpers import (
    RUNS,
    Command,
    contracts_folder_option,
    handle_errors,
    open_output,
    output_options,
)
from backstop.files.atomic_files import write_json
from backstop.hosts.artifacts import Artifacts


@click.command(
    cls=Command,
    short_help="Write the ABIs of all contracts",
    epilog="""\b
Examples:
  ape run abi
  ape run abi --out abi
""",
)
@contracts_folder_option
@output_options("Folder of the ABIs.", "runs/abi")
@handle_errors
def cli(contracts: Path, out: Path | None, fresh: bool) -> None:
    """Write the ABI of each contract (functions, events, constructor) as CONTRACT.json.

    Reads the Vyper sources of --contracts.

    Exit codes: 0 on success, 1 on an error, 2 on invalid options.
    """
    directory = out or RUNS / "abi"
    output = open_output(directory, "abi", {}, contracts=contracts, fresh=fresh)
    artifacts = Artifacts(contracts)
    if not output.finished:
        artifacts.load()
        for kind in artifacts.paths:
            write_json(artifacts[kind].abi_json, directory / f"{kind}.json")
        output.mark_finished()
    click.echo(f"{len(artifacts.paths)} ABIs in {directory}")
