"""The page of a run, from its tables."""

from __future__ import annotations

import json
from pathlib import Path

import click

from offchain.cli import handle_errors, json_option


@click.command(
    short_help="Write the report of a run",
    epilog="""\b
Examples:
  ape run report runs/black-thursday-1-anvil
  ape run report runs/my-day --json
""",
)
@click.argument("directory", type=click.Path(path_type=Path))
@json_option
@handle_errors
def cli(directory: Path, as_json: bool) -> None:
    """Write report.html into a run directory and print its path."""
    from offchain.report.run_page import write_report

    page = write_report(directory)
    print(json.dumps({"report": str(page), "run_dir": str(directory)}) if as_json else page)
