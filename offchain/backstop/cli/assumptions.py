"""Assumptions of a study, and the differences from another one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from backstop.cli.command_helpers import Command, handle_errors, json_option


@click.command(
    cls=Command,
    short_help="Print the assumptions of a study, or the differences of two",
    epilog="""\b
Examples:
  ape run assumptions runs/stress-stress-day-1-fast
  ape run assumptions runs/stress-mine-1-fast runs/stress-laws-1-fast
  ape run assumptions runs/laws runs/stress-laws-1-fast --json
""",
)
@click.argument("study", type=click.Path(exists=True, path_type=Path))
@click.argument("other", required=False, type=click.Path(exists=True, path_type=Path))
@json_option
@handle_errors
def cli(study: Path, other: Path | None, as_json: bool) -> None:
    """Print the assumptions of a study with their units, or those that differ between two studies.

    Reads the folder STUDY, and OTHER if given, as written by `stress`, `sweep`, `ask` or `calibrate`. An
    assumption that only one study has is `none` in the other. Writes nothing.

    Exit codes: 0 on success, 1 on an error, 2 on invalid options.
    """
    from rich.console import Console
    from rich.table import Table

    from backstop.studies.assumption_record import compare_assumptions, read_assumptions

    one = read_assumptions(study)
    if other is None:
        if as_json:
            click.echo(json.dumps(one, indent=2, sort_keys=True))
        else:
            for name, value in one.items():
                click.echo(f"{name}: {value}")
        return
    two = read_assumptions(other)
    found = compare_assumptions(one, two)
    if as_json:
        rows = [{"name": name, "study": here, "other": there} for name, here, there in found]
        click.echo(json.dumps(rows, indent=2))
        return
    if not found:
        click.echo(f"both assume the same, in {len(one)} lines")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("assumption", str(study), str(other)):
        table.add_column(title, overflow="fold")
    for row in found:
        table.add_row(*row)
    Console(file=sys.stdout, highlight=False, markup=False).print(table)
    click.echo(f"\n{len(found)} of {len({*one, *two})} assumptions differ")
