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
    short_help="See whether keepers survive what can happen to them",
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
    help="Only this one. The soak runs only if it is named.",
)
@click.option(
    "--blocks", type=click.IntRange(40), default=2_000, show_default=True, help="Of the storm, at its end."
)
@click.option("--kills", type=click.IntRange(1), default=100, show_default=True, help="Of the restarts.")
@click.option(
    "--minutes",
    type=click.FloatRange(0.1),
    default=None,
    help="That the storm lasts at least, and the soak.  [default: 0 and 360]",
)
@click.option(
    "--block-time",
    default="4 s",
    show_default=True,
    help="Between two blocks of the soak: half of it has as many in half the time.",
)
@seed_option
@output_options("Folder.", "runs/chaos-<seed>-<blocks>-<kills>")
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

    The storm: three keepers compete, a mirror compares every block. The restarts: a keeper is killed again
    and again in a short crash, and must come to the same end as one that is not. The nodes: one node lies,
    drips, refuses and forgets, with an honest one beside it and alone. The work: one node lies about what
    keepers of five roles have to do, which may take twice the blocks at most. The soak: keepers, the mirror
    and its page under load for hours, with their memory and descriptors. Fails if money was spent twice, a
    nonce was left open, an auction that paid was left alone, a lie was believed, model and chain differed,
    or a process grew. See docs/how-to/chaos.md.
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
