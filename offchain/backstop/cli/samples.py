"""The files of a tutorial, copied into a folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from backstop.cli.command_helpers import RUNS, Command, handle_errors, open_output, output_options
from backstop.errors import BackstopError
from backstop.files.installation import SAMPLES


@click.command(
    cls=Command,
    short_help="Copy the files of a tutorial into a folder",
    epilog="""\b
Examples:
  ape run samples june-2022
  ape run samples june-2022 --out runs/eth-b
""",
)
@click.argument("name")
@output_options("Folder of the files.", "runs/<name>")
@handle_errors
def cli(name: str, out: Path | None, fresh: bool) -> None:
    """Copy the input files of a tutorial into a folder.

    NAME is june-2022 (docs/tutorials/memo.md) or january-2022 (docs/tutorials/history.md).

    Writes the files and prints their paths.

    Exit codes: 0 on success, 1 on an error, 2 on invalid options.
    """
    folders = {each.name: each for each in sorted(SAMPLES.iterdir()) if each.is_dir()}
    if name not in folders:
        raise BackstopError(f"NAME: {name!r} is unknown; expected one of {', '.join(folders)}")
    directory = out or RUNS / name
    output = open_output(directory, "samples", {"name": name}, fresh=fresh)
    if not output.finished:
        for file in sorted(folders[name].iterdir()):
            try:
                shutil.copyfile(file, directory / file.name)
            except OSError as error:
                raise BackstopError(f"{directory / file.name} cannot be written: {error.strerror}") from None
        output.mark_finished()
    for file in sorted(folders[name].iterdir()):
        click.echo(directory / file.name)
