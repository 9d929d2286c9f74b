"""Positions and prices of your own, as a scenario."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from backstop.cli.command_helpers import (
    RUNS,
    Command,
    format_given_command,
    handle_errors,
    open_output,
    output_options,
)
from backstop.cli.import_options import (
    OF_SCENARIO,
    add_imported_scenario_options,
    add_input_file_options,
    describe_time_span,
    get_output_inputs,
    parse_scenario_writer_options,
    print_book_import_summary,
    read_book_and_prices,
)
from backstop.errors import BackstopError
from backstop.files.output_directories import hash_value_repr

_OF_PRICES = ("time", "assets", "long", "duplicates", "splits", "prints")
"""Options without a meaning where no prices are given."""
_SAID = ("Of ", "Liquidation ratio of ", "Penalty of ", "Without a known liquidation ratio")
"""Beginnings of the assumptions that the command says: of rows, and where ratios and penalties are from."""


@click.command(
    cls=Command,
    short_help="Import positions and prices of your own as a scenario",
    epilog="""\b
Examples:
  ape run import --book positions.csv --column owner=user --column locked=amount
  ape run import --book positions.parquet --like aave --out mine
  ape run import --book s3://bucket/positions.parquet --like mine.yaml --rename 'USD+=USDplus'
  ape run import --book positions.csv --prices prices.csv --out mine
  ape run stress mine/scenario.yaml
""",
)
@add_input_file_options
@click.option(
    "--use",
    type=click.Choice(("history", "replay")),
    default="history",
    show_default=True,
    help="Use of the prices: 'history' draws paths from them, from the last price on; 'replay' plays "
    "them back.",
)
@add_imported_scenario_options
@output_options("Folder of the book or scenario.", "runs/mine")
@handle_errors
def cli(use: str, out: Path | None, fresh: bool, **given: Any) -> None:
    """Import positions and prices of your own files as a scenario for the other commands.

    Every row is checked and every figure is exact; an error names its row.

    Reads --book and --prices. Writes book.csv; with --prices also prices.csv, scenario.yaml (to read and
    edit), import.json, meta.json, and report.html, which lists rows, repairs and assumptions.

    Exit codes: 0 on success, 1 on an error, 2 on invalid options.
    """
    from backstop.report.frame_console_table import write_frames
    from backstop.report.import_page import write_page
    from backstop.report.page_links import REPORT
    from backstop.simulation.run_metadata import build_run_metadata
    from backstop.simulation.scenario.book_repairs import UNDER_WATER
    from backstop.simulation.sources.price_reader import format_utc_time
    from backstop.simulation.sources.scenario_builder import write_scenario
    from backstop.studies.import_summary import build_import_summary

    began = time.monotonic()
    if given["prices"] is None:
        _refuse_price_options_without_prices()
    read, quotes = read_book_and_prices(given)
    directory = out or RUNS / "mine"
    inputs = {
        "book": hash_value_repr(read),
        "prices": hash_value_repr(quotes),
        "use": use,
        **get_output_inputs(given),
    }
    output = open_output(directory, "import", inputs, fresh=fresh)
    print_book_import_summary(read)
    if quotes is None:
        if not output.finished:
            read.write_csv(directory)
            output.mark_finished()
        click.echo(directory / "book.csv")
        return
    if output.finished:
        click.echo(directory / "scenario.yaml")
        click.echo(directory / REPORT)
        return
    options = parse_scenario_writer_options(given)
    scenario = write_scenario(read, quotes, directory, use=use, **options)
    meta = build_run_metadata("none", format_given_command("import"), directory, time.monotonic() - began)
    found = build_import_summary(read, quotes, scenario, use, options)
    write_frames(directory, {}, **{"import": found, "meta": meta})
    write_page(directory)
    output.mark_finished()
    click.echo(f"{quotes.name}: {', '.join(quotes.symbols)}, {describe_time_span(quotes)}")
    said = [line for line in scenario.assumptions if line.startswith(_SAID)]
    for line in (*quotes.told, *said):
        click.echo(line)
    if use == "history" and any(UNDER_WATER in line for line in said):
        click.echo(
            f"Opened at the last prices, of {format_utc_time(quotes.last_common_time)}: if the positions are "
            "of an earlier time, end the prices there, or open the book at the first with --use replay."
        )
    click.echo(directory / "scenario.yaml")
    click.echo(directory / REPORT)


def _refuse_price_options_without_prices() -> None:
    """Raise BackstopError if an option that needs prices was given without --prices."""
    context = click.get_current_context()
    for name in (*_OF_PRICES, "use", *OF_SCENARIO):
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            option = next(each.opts[0] for each in context.command.params if each.name == name)
            raise BackstopError(f"{option}: is for a scenario, which needs --prices")
