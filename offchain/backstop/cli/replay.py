"""A recorded trace, run again on the model and on a chain."""

from pathlib import Path

import click

from backstop.cli.command_helpers import Command, contracts_folder_option, handle_errors
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.host_registry import HOSTS, open_host
from backstop.proof.lockstep import replay_trace_in_lockstep
from backstop.proof.replayable_trace import read_trace


@click.command(cls=Command, short_help="Run a recorded trace again")
@click.argument("trace", type=click.Path(path_type=Path))
@click.option("--host", type=click.Choice(HOSTS), default="revm", show_default=True)
@click.option("--check-every", default=1, show_default=True, help="Steps between two looks at all state.")
@contracts_folder_option
@handle_errors
def cli(trace, host, check_every, contracts):
    """Run a trace again on a fresh deployment, model and chain in lockstep.

    Prints steps, fields compared and differences; stops at the first difference.

    \b
      ape run replay runs/traces/3f2c9a01b7de.json --host anvil
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
