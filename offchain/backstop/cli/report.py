"""The page of one folder of results, from its tables, or the index over many."""

from __future__ import annotations

import json
from pathlib import Path

import click

from backstop.cli.command_helpers import Command, handle_errors, json_option


@click.command(
    cls=Command,
    short_help="Write the page of a result, or the index of several",
    epilog="""\b
Examples:
  ape run report runs/black-thursday-1-anvil
  ape run report runs/my-day --json
  ape run report runs/stress-stress-day-1-fast
  ape run report runs
  ape run report runs/my-day --against runs/black-thursday-1-anvil
""",
)
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Other run to compare with: writes difference.html, with every figure of both.  [default: none]",
)
@json_option
@handle_errors
def cli(directory: Path, against: Path | None, as_json: bool) -> None:
    """Write the page of a run, study, sweep, search, proposal or comparison into its folder; print its path.

    Reads the folder's results. Writes its page, as report.html or compare.html; for a folder of several
    results index.html, with the finding and the page of each.

    Exit codes: 0 on success, 1 on an error, 2 on invalid options.
    """
    from backstop.report import difference_page, index_page, result_kinds

    one = result_kinds.find_result_kind(directory) is not None or (directory / "summary.json").is_file()
    several = directory.is_dir() and not one and any(each.is_dir() for each in directory.iterdir())
    if against is not None:
        page = difference_page.write_page(directory, against)
    else:
        page = index_page.write_index_page(directory) if several else result_kinds.write_page(directory)
    print(json.dumps({"report": str(page), "run_dir": str(directory)}) if as_json else page)
