"""Published results, played again: their figures beside ours."""

from __future__ import annotations

import json
from pathlib import Path

import click

from backstop.cli.command_helpers import (
    Command,
    LongChoice,
    handle_errors,
    json_option,
    open_output,
    output_options,
    seed_option,
)
from backstop.studies.reproductions import EPISODES, NAMES


@click.command(
    cls=Command,
    short_help="Reproduce published results and compare the figures",
    epilog="""\b
Examples:
  ape run reproduce arithmetic
  ape run reproduce black-thursday --seed 7
  ape run reproduce episodes --out runs/episodes
  ape run reproduce all --out runs/reproductions
""",
)
@click.argument("name", type=LongChoice((*NAMES, "episodes", "all"), "reproduce --help"), metavar="NAME")
@output_options(
    "Folder of reproductions.html, and of JSON and a Markdown table for each result.",
    "none, results are printed only",
)
@seed_option
@json_option
@handle_errors
def cli(name: str, out: Path | None, fresh: bool, seed: int, as_json: bool) -> None:
    """Reproduce published results and print their figures next to ours.

    Each row has both figures, their difference, the allowed bound, the verdict and the source.
    docs/explanation/reproductions explains the differences.

    \b
    NAME is one of:
      arithmetic, black-thursday, bitfinex, liquity-may-2021, aave-crv-2022,
      october-2025, aave-october-2025, fixed-oracles-november-2025,
      spiral, shocks, forecasts
      episodes   crashes with a published outcome
      all        every result

    Writes reproductions.html, NAME.json and NAME.md into --out.

    Exit codes: 0 on success, 1 on an error, 2 on invalid options.
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
