"""Keepers and a mirror under disturbances."""

from __future__ import annotations

import json
from pathlib import Path

import click

from offchain.cli import RUNS, handle_errors, json_option, progress_bar, seed_option, stoppable
from offchain.errors import BackstopError


@click.command(
    short_help="See whether keepers survive what can happen to them",
    epilog="""\b
Examples:
  ape run chaos
  ape run chaos --part storm --blocks 300 --seed 7
  ape run chaos --part restarts --kills 20
  ape run chaos --resume
""",
)
@click.option(
    "--part", "parts", type=click.Choice(("storm", "restarts")), multiple=True, help="Only this one."
)
@click.option(
    "--blocks", type=click.IntRange(40), default=2_000, show_default=True, help="Of the storm, at its end."
)
@click.option("--kills", type=click.IntRange(1), default=100, show_default=True, help="Of the restarts.")
@seed_option
@click.option("--resume", is_flag=True, help="Keep the parts and the restarts that are finished.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder.  [default: runs/chaos/<seed>]"
)
@json_option
@handle_errors
def cli(
    parts: tuple[str, ...],
    blocks: int,
    kills: int,
    seed: int,
    resume: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Run keepers and a mirror on an Anvil of their own while it is killed, reorganised, filled and flooded.

    The storm: three keepers compete, a mirror compares every block. The restarts: a keeper is killed again
    and again in a short crash, and must come to the same end as one that is not. Fails if money was spent
    twice, a nonce was left open, an auction that paid was left alone, or model and chain differed. See
    docs/chaos.md.
    """
    from offchain.chaos.results import Results, table

    results = Results(out or RUNS / "chaos" / str(seed), seed, blocks, kills, resume)
    with stoppable("stopping, finished parts are kept: --resume goes on ...") as stop, progress_bar() as bar:
        for part in parts or ("storm", "restarts"):
            results.run(part, bar, stop)
    if as_json:
        print(json.dumps(results.content, indent=2))
    else:
        click.echo(table(results.content))
        click.echo(results.file)
    if results.faults:
        more = f" (and {len(results.faults) - 1} more)" if len(results.faults) > 1 else ""
        raise BackstopError(f"{results.faults[0]}{more}")
