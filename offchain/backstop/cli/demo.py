"""Black Thursday on Anvil, or on revm where no Anvil runs, its report, and a planted bug caught."""

from __future__ import annotations

import platform
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from backstop.cli.command_helpers import (
    Command,
    format_repeat_command,
    format_whole_coins,
    fresh_option,
    get_run_directory,
    handle_errors,
    handle_stop_signals,
    print_run_summary,
    run_once,
    seed_option,
    show_progress_bar,
)
from backstop.errors import BackstopError
from backstop.files.installation import CHECKOUT, CONTRACTS
from backstop.hosts.host_registry import HOSTS

if TYPE_CHECKING:
    from backstop.proof.replayable_trace import ProtocolTrace

SCENARIO, HEALTHY = "black-thursday", "black-thursday-healthy"

# One line of the auctions: what a taker pays is rounded up, for the protocol. The bug rounds it down.
BUGGY_FILE = "modules/dutch_auction.vy"
RIGHT = "paid: uint256 = units._div_up(unsafe_mul(collateral, price), units.RAY)"
WRONG = "paid: uint256 = unsafe_mul(collateral, price) // units.RAY"


@click.command(
    cls=Command,
    short_help="Run Black Thursday, write its report, and catch a planted bug",
    epilog="""\b
Examples:
  ape run demo
  ape run demo --host revm --seed 2
""",
)
@click.option(
    "--host",
    type=click.Choice((*HOSTS, "model")),
    help="Throw-away chain that runs in lockstep with the model.  [default: anvil, or revm where "
    "Anvil does not run]",
)
@seed_option
@fresh_option
@handle_errors
def cli(host: str | None, seed: int, fresh: bool) -> None:
    """Run Black Thursday in lockstep with the model, report it, and show that lockstep catches a planted bug.

    The planted bug needs a checkout, where a copy of the contracts is compiled with it.

    Writes a run directory runs/black-thursday-SEED-HOST with report.html.

    Exit codes: 0 on success, 1 on an error or an interruption, 2 on invalid options.
    """
    from backstop.hosts.anvil import can_run_anvil
    from backstop.hosts.artifacts import Artifacts
    from backstop.model.arithmetic import RAD
    from backstop.proof.replayable_trace import read_trace
    from backstop.simulation.scenario import load_scenario
    from backstop.simulation.simulator import simulate

    if host is None:
        host = "anvil" if can_run_anvil() else "revm"
        if host == "revm":
            where = f"{platform.system()} on {platform.machine()}"
            click.echo(f"no Anvil runs here ({where}): on revm, which comes to the same state", err=True)
    with handle_stop_signals() as stop, show_progress_bar() as progress:
        directory = get_run_directory(None, SCENARIO, seed, host)
        command = format_repeat_command("simulate", scenario=SCENARIO, host=host, seed=seed)
        scenario = load_scenario(SCENARIO)
        summary = run_once(
            scenario, host, seed, directory, fresh=fresh, command=command, progress=progress, stop=stop
        )
        healthy = simulate(load_scenario(HEALTHY), "revm", seed, progress=progress, stop=stop)
        progress(0, 1, "a planted bug")
        caught = (
            describe_planted_bug_difference(read_trace(directory / "trace.json", Artifacts()))
            if CHECKOUT
            else None
        )

    print_run_summary(summary, directory, directory / "report.html", False)
    print()
    print("The report shows, from the top: losses by group; the auction with the largest loss, with its")
    print("vault and its steps; payments by stage; differences between model and chain.")
    print()
    with_outage, without = summary["losses"]["created_rad"], healthy.summary["losses"]["created_rad"]
    created = f"{format_whole_coins(without, RAD)} stablecoins of bad debt"
    print(f"The same day and parameters with working keepers: {created}")
    print(f"instead of {format_whole_coins(with_outage, RAD)}.")
    print()
    if caught is None:
        print("The planted bug needs a checkout: it changes a line of the contracts and compiles them.")
    else:
        print(f"A planted bug, in a temporary copy of contracts/{BUGGY_FILE}:")
        print(f"  - {RIGHT}")
        print(f"  + {WRONG}")
        print(f"Lockstep catches it: {caught}")
    print()
    print(f"{summary['differences']} differences")


def describe_planted_bug_difference(trace: ProtocolTrace) -> str:
    """Replay a trace on contracts with one wrong line, and return the first difference as text.

    Raises BackstopError if model and chain do not differ.
    """
    from backstop.hosts.artifacts import Artifacts
    from backstop.hosts.host_registry import open_host
    from backstop.lockstep.lockstep_difference import DivergenceError
    from backstop.proof.lockstep import replay_trace_in_lockstep
    from backstop.system import Action

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "contracts"
        shutil.copytree(CONTRACTS, copy)
        source = (copy / BUGGY_FILE).read_text()
        if source.count(RIGHT) != 1:
            raise BackstopError(f"scripts/demo.py changes a line that {BUGGY_FILE} no longer has: update it")
        (copy / BUGGY_FILE).write_text(source.replace(RIGHT, WRONG))
        with open_host("revm", trace.started_at) as host:
            try:
                replay_trace_in_lockstep(trace, host, artifacts=Artifacts(copy))
            except DivergenceError as divergence:
                first = divergence.differences[0]
                assert isinstance(first.action, Action)
                return f"step {first.step}, {first.action.contract}.{first.action.method}\n  {first}"
    raise BackstopError("the mirror did not catch the bug: this is a bug of the mirror")
