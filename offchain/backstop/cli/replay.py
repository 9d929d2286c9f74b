"""A recorded trace, run again on the model and on a chain."""

from pathlib import Path

import click

from backstop.cli.command_helpers import Command, contracts_folder_option, handle_errors
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.host_registry import HOSTS, open_host
from backstop.proof.lockstep import replay_trace_in_lockstep
from backstop.proof.replayable_trace import read_trace


@click.command(
    cls=Command,
    short_help="Replay a recorded trace on model and chain",
    epilog="""\b
Examples:
  ape run replay runs/traces/3f2c9a01b7de.json --host anvil
""",
)
@click.argument("trace", type=click.Path(path_type=Path))
@click.option(
    "--host",
    type=click.Choice(HOSTS),
    default="revm",
    show_default=True,
    help="Throw-away chain that runs the contracts.",
)
@click.option(
    "--check-every", default=1, show_default=True, help="Steps between two comparisons of all state."
)
@contracts_folder_option
@handle_errors
def cli(trace, host, check_every, contracts):
    """Replay a recorded trace on a fresh deployment, with model and chain in lockstep.

    Reads TRACE, a JSON file. Prints steps, compared fields and differences, and stops at the first
    difference.

    Exit codes: 0 without a difference, 1 with a difference or on an error, 2 on invalid options.
    """
    artifacts = Artifacts(contracts)
    recorded = read_trace(trace, artifacts)
    with open_host(host, recorded.started_at) as opened:
        both = replay_trace_in_lockstep(recorded, opened, artifacts=artifacts, check_every=check_every)
        slots = both.audit_storage()
    click.echo(f"steps            {both.steps}")
    click.echo(f"fields compared  {both.fields_compared}")
    click.echo(f"slots audited    {slots}")
    click.echo("differences      0")
