"""Published results, played again: their figures beside ours."""

from __future__ import annotations

import json
from pathlib import Path

import click

from backstop.cli.command_helpers import (
    Command,
    handle_errors,
    json_option,
    open_output,
    output_options,
    seed_option,
)
from backstop.studies.reproductions import EPISODES, NAMES


@click.command(
    cls=Command,
    short_help="Published results beside ours",
    epilog="""\b
Examples:
  ape run reproduce arithmetic
  ape run reproduce black-thursday --seed 7
  ape run reproduce episodes --out runs/episodes
  ape run reproduce all --out runs/reproductions
""",
)
@click.argument("name", type=click.Choice((*NAMES, "episodes", "all")))
@output_options("Directory for the page, and for each result a table and JSON, exact to the last digit.")
@seed_option
@json_option
@handle_errors
def cli(name: str, out: Path | None, fresh: bool, seed: int, as_json: bool) -> None:
    """Play published results again and print their figures beside ours.

    'episodes' are the crashes whose outcome is published. Each row has the difference, the bound that was set
    for it, whether it holds, and the figure's source.
    docs/explanation/reproductions says what differs between the systems, and why some figures disagree.
    """
    from backstop.report.reproductions_page import write_page
    from backstop.studies.reproductions import run_reproduction
    from backstop.studies.reproductions.figure_comparison import write_reproduction

    groups = {"all": NAMES, "episodes": EPISODES}
    names, output, found = list(groups.get(name, (name,))), None, []
    if out is not None:
        output = open_output(out, "reproduce", {"results": names, "seed": seed}, fresh=fresh)
    for each in names:
        if output is not None and all((output.path / f"{each}.{end}").is_file() for end in ("json", "md")):
            kept, text = output.read_result(f"{each}.json"), (output.path / f"{each}.md").read_text()
        else:
            click.echo(f"{each} ...", err=True)
            result = run_reproduction(each, seed)
            kept, text = result.as_json(), result.format_markdown()
            if output is not None:
                write_reproduction(result, output.path)
        found.append(kept)
        if not as_json:
            click.echo(text)
    if output is not None and not output.finished:
        write_page(found, seed, output.path)
        output.mark_finished()
    if as_json:
        click.echo(json.dumps(found, indent=2, sort_keys=True))
