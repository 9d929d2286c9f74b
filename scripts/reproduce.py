"""Published results, played again: their figures beside ours."""

from __future__ import annotations

import json
from pathlib import Path

import click

from offchain.cli import handle_errors, json_option, seed_option
from offchain.reproductions import NAMES


@click.command(
    short_help="Published results beside ours",
    epilog="""\b
Examples:
  ape run reproduce arithmetic
  ape run reproduce black-thursday --seed 7
  ape run reproduce all --out runs/reproductions
""",
)
@click.argument("name", type=click.Choice((*NAMES, "all")))
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="Directory for a JSON file of each result, exact to the last digit.",
)
@seed_option
@json_option
@handle_errors
def cli(name: str, out: Path | None, seed: int, as_json: bool) -> None:
    """Play published results again and print their figures beside ours: the difference, the bound that was
    set for it, whether it holds, and where the figure is from.

    docs/reproductions.md says what differs between the systems, and why some figures disagree.
    """
    from offchain.reproductions import reproduce
    from offchain.reproductions.table import write

    found = []
    for each in NAMES if name == "all" else [name]:
        click.echo(f"{each} ...", err=True)
        result = reproduce(each, seed)
        found.append(result.as_json())
        if out is not None:
            write(result, out)
        if not as_json:
            click.echo(f"## {result.title}\n\n" + "\n".join(result.lines()) + "\n")
    if as_json:
        click.echo(json.dumps(found, indent=2, sort_keys=True))
