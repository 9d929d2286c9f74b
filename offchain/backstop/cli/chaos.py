"""Keepers and a mirror under disturbances."""

from __future__ import annotations

import json
from pathlib import Path

import click

from backstop.cli.command_helpers import (
    RUNS,
    Command,
    handle_errors,
    handle_stop_signals,
    json_option,
    open_output,
    output_options,
    seed_option,
    show_progress_bar,
)
from backstop.errors import BackstopError


@click.command(
    cls=Command,
    short_help="Test keepers and mirror under kills, reorganisations and lying nodes",
    epilog="""\b
Examples:
  ape run chaos
  ape run chaos --part storm --blocks 300 --seed 7
  ape run chaos --part storm --minutes 60
  ape run chaos --part restarts --kills 20
  ape run chaos --part nodes
  ape run chaos --part work
  ape run chaos --part soak --minutes 360
  ape run chaos --fresh
""",
)
@click.option(
    "--part",
    "parts",
    type=click.Choice(("storm", "restarts", "nodes", "work", "soak")),
    multiple=True,
    help="Part to run; repeatable.  [default: all but the soak]",
)
@click.option(
    "--blocks", type=click.IntRange(40), default=2_000, show_default=True, help="Blocks of the storm."
)
@click.option(
    "--kills", type=click.IntRange(1), default=100, show_default=True, help="Kills of the restarts."
)
@click.option(
    "--minutes",
    type=click.FloatRange(0.1),
    default=None,
    help="Least duration of the storm and duration of the soak, in minutes.  [default: 0 and 360]",
)
@click.option(
    "--block-time",
    default="4 s",
    show_default=True,
    help="Time between two blocks of the soak; half of it gives the same number of blocks in half the time.",
)
@seed_option
@output_options("Folder of the results.", "runs/chaos-<seed>-<blocks>-<kills>")
@json_option
@handle_errors
def cli(
    parts: tuple[str, ...],
    blocks: int,
    kills: int,
    minutes: float | None,
    block_time: str,
    seed: int,
    out: Path | None,
    fresh: bool,
    as_json: bool,
) -> None:
    """Run keepers and a mirror on an Anvil of their own while it is killed, reorganised, filled and flooded.

    \b
    storm     three keepers compete; a mirror compares every block
    restarts  a keeper is killed again and again in a short crash, and must
              reach the same end as a keeper that runs through
    nodes     a node lies, delays, refuses and forgets, alone and beside an
              honest node
    work      a node lies about the work of keepers of five roles, which may
              take twice the blocks at most
    soak      keepers, the mirror and its page under load for hours, with
              their memory and descriptors

    Writes a file of results into --out after each part; the same command resumes. docs/how-to/chaos.md has
    the rules.

    Exit codes: 0 on success, 2 on invalid options; 1 if money was spent twice, a nonce was left open, a
    profitable auction was missed, a lie was believed, model and chain differed, a process grew, or on an
    error.
    """
    from backstop.live.chaos.chaos_results import PARTS, ChaosResults, format_chaos_results_table
    from backstop.simulation.scenario import quantity_units

    try:
        pace = quantity_units.read_seconds(block_time)
    except ValueError as error:
        raise BackstopError(f"--block-time: {error}") from None
    directory = out or RUNS / f"chaos-{seed}-{blocks}-{kills}"
    inputs = {"seed": seed, "blocks": blocks, "kills": kills, "minutes": minutes, "block_time": pace}
    output = open_output(directory, "chaos", inputs, fresh=fresh)
    results = ChaosResults(directory, seed, blocks, kills, minutes, pace)
    with (
        handle_stop_signals("stopping, finished parts are kept, the same command goes on ...") as stop,
        show_progress_bar() as bar,
    ):
        for part in parts or PARTS:
            results.run_part(part, bar, stop)
    if set(PARTS) <= results.content["parts"].keys():
        output.mark_finished()
    if as_json:
        print(json.dumps(results.content, indent=2))
    else:
        click.echo(format_chaos_results_table(results.content))
        click.echo(results.file)
    if results.detected_faults:
        more = f" (and {len(results.detected_faults) - 1} more)" if len(results.detected_faults) > 1 else ""
        raise BackstopError(f"{results.detected_faults[0]}{more}")
