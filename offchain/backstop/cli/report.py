"""The page of a run, a study, a sweep, a search or a proposal, from its tables."""

from __future__ import annotations

import json
from pathlib import Path

import click

from backstop.cli.common import Command, handle_errors, json_option


@click.command(
    cls=Command,
    short_help="Write the report of a run, a study, a sweep, a search or a proposal",
    epilog="""\b
Examples:
  ape run report runs/black-thursday-1-anvil
  ape run report runs/my-day --json
  ape run report runs/stress-stress-day-1-fast
""",
)
@click.argument("directory", type=click.Path(path_type=Path))
@json_option
@handle_errors
def cli(directory: Path, as_json: bool) -> None:
    """Write report.html into the folder of a run, study, sweep, search or proposal, and print its path."""
    from backstop.report import attack_page, proposal_page, stress_page, sweep_page
    from backstop.report.run_page import write_report

    if (directory / "study.json").is_file():
        page = stress_page.write_page(directory)
    elif (directory / "sweep.json").is_file():
        page = sweep_page.write_page(directory)
    elif (directory / "attack.json").is_file():
        page = attack_page.write_page(directory)
    elif (directory / "figures.csv").is_file():
        page = proposal_page.write_page(directory)
    else:
        page = write_report(directory)
    print(json.dumps({"report": str(page), "run_dir": str(directory)}) if as_json else page)
