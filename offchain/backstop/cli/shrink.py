"""A failing trace, made small."""

from pathlib import Path

import click

from backstop.cli.command_helpers import (
    Command,
    contracts_folder_option,
    handle_errors,
    handle_stop_signals,
    show_progress_bar,
)
from backstop.hosts.artifacts import Artifacts
from backstop.proof.fuzz.shrunk_failures import SECONDS, shrink_file


@click.command(cls=Command, short_help="Make a failing trace small, and a test of it")
@click.argument("trace", type=click.Path(path_type=Path))
@contracts_folder_option
@click.option("--seconds", default=SECONDS, show_default=True, help="Stop after so long.")
@handle_errors
def cli(trace, contracts, seconds):
    """Leave out all that a failure does not need; write the small trace and a test file beside it.

    Interrupt it to keep the smallest so far.

    \b
      ape run shrink runs/traces/3f2c9a01b7de.json
    """
    with (
        handle_stop_signals("stopping, the smallest so far is kept ...") as stopped,
        show_progress_bar() as bar,
    ):
        found = shrink_file(
            trace, Artifacts(contracts), stopped, lambda steps: bar(0, 0, f"{steps} actions left"), seconds
        )
    click.echo(str(found))
