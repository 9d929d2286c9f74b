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


@click.command(
    cls=Command,
    short_help="Shrink a failing trace, and write a test of it",
    epilog="""\b
Examples:
  ape run shrink runs/traces/3f2c9a01b7de.json
""",
)
@click.argument("trace", type=click.Path(path_type=Path))
@contracts_folder_option
@click.option(
    "--seconds",
    default=SECONDS,
    show_default=True,
    help="Time limit in seconds; the smallest trace so far is kept.",
)
@handle_errors
def cli(trace, contracts, seconds):
    """Shrink a failing trace to the steps that its failure needs, and write a test of it.

    Reads TRACE, a JSON file. Writes TRACE-small.json and a test file beside TRACE. An interruption keeps the
    smallest trace so far.

    Exit codes: 0 on success, 1 on an error, 2 on invalid options.
    """
    with (
        handle_stop_signals("stopping, the smallest so far is kept ...") as stopped,
        show_progress_bar() as bar,
    ):
        found = shrink_file(
            trace, Artifacts(contracts), stopped, lambda steps: bar(0, 0, f"{steps} actions left"), seconds
        )
    click.echo(str(found))
