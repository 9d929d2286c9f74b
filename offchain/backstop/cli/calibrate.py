"""Volatility, jumps, tails, correlations and depths of files of one's own, as a scenario."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from backstop.cli.command_helpers import (
    RUNS,
    Command,
    format_given_command,
    handle_errors,
    json_option,
    open_output,
    output_options,
)
from backstop.cli.import_options import (
    add_imported_scenario_options,
    add_input_file_options,
    get_output_inputs,
    parse_name_values,
    parse_scenario_writer_options,
    print_book_import_summary,
    read_book_and_prices,
)
from backstop.errors import BackstopError
from backstop.files.output_directories import hash_value_repr


@click.command(
    cls=Command,
    short_help="Calibrate price laws and depths from a history, as a scenario",
    epilog="""\b
Examples:
  ape run calibrate --book positions.csv --prices prices.csv
  ape run calibrate --book positions.csv --like aave --prices prices.csv --depth depths.csv --out runs/laws
  ape run calibrate --book positions.csv --prices prices.csv --law tails --block-time '1 h' --cautious
  ape run stress runs/calibrated/scenario.yaml
""",
)
@add_input_file_options
@click.option(
    "--depth",
    default=None,
    metavar="FILE|ADDRESS",
    help="File or address (s3://...) of sale impacts: asset, venue, size, impact, time.  [default: "
    "none, depth is assumed]",
)
@click.option(
    "--depth-column",
    "depth_columns",
    multiple=True,
    metavar="FIELD=COLUMN",
    help="Column of --depth that holds a field; repeatable.  [default: the column called by the field]",
)
@click.option(
    "--law",
    type=click.Choice(("tails", "jumps")),
    default=None,
    help="Law of price moves: 'tails' is Student's t, 'jumps' is Merton's jump diffusion.  [default: "
    "jumps where prices are further apart than blocks, else tails]",
)
@click.option(
    "--cautious", is_flag=True, help="Write the worse end of each interval instead of the estimate."
)
@add_imported_scenario_options
@output_options("Folder of the scenario.", "runs/calibrated")
@json_option
@handle_errors
def cli(
    depth: str | None,
    depth_columns: tuple[str, ...],
    law: str | None,
    cautious: bool,
    out: Path | None,
    fresh: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Calibrate price laws and market depths from your own files, each with its interval, as a scenario.

    A back-test counts how often the past exceeded the forecast of the law, where the history is long enough.

    Reads --book, --prices and --depth. Writes scenario.yaml (every figure with its source, to read and edit),
    book.csv, prices.csv, calibration.json, assumptions.json, meta.json, tables in CSV, and report.html, which
    compares price drops of history and law and lists values that were not measured.

    Exit codes: 0 on success, 1 on an error, 2 on invalid options.
    """
    from backstop.report.calibration_console_output import print_calibration
    from backstop.report.calibration_page import write_page
    from backstop.report.frame_console_table import write_frames
    from backstop.report.page_links import REPORT
    from backstop.simulation.run_metadata import build_run_metadata
    from backstop.simulation.scenario import load_scenario
    from backstop.simulation.sources.depth_reader import read_depth
    from backstop.simulation.sources.scenario_builder import write_scenario
    from backstop.studies.assumption_record import list_assumptions, write_assumptions
    from backstop.studies.calibration.calibration_summary import build_calibration_summary
    from backstop.studies.calibration.fall_forecast_backtest import back_test
    from backstop.studies.calibration.fall_quantiles import compare_fall_quantiles
    from backstop.studies.calibration.scenario_calibration import calibrate
    from backstop.studies.data_frames import list_records

    began = time.monotonic()
    if given["prices"] is None:
        raise BackstopError("--prices: missing; expected a file of prices to measure")
    if depth is None and depth_columns:
        raise BackstopError("--depth-column: given without --depth; expected both")
    book, quotes = read_book_and_prices(given)
    assert quotes is not None
    depths = None
    if depth is not None:
        names = parse_name_values("--rename", given["rename"])
        depths = read_depth(
            depth,
            columns=parse_name_values("--depth-column", depth_columns),
            rename=names,
            bad_rows=given["bad_rows"],
        )
    found = calibrate(
        book, quotes, depths, law=law, block_time=given["block_time"], cautious=cautious
    )  # what cannot be measured shows before anything is written
    try:
        tested, short = back_test(book, quotes, law=found.law), ""
    except BackstopError as error:
        tested, short = None, str(error)
    fallen = compare_fall_quantiles(book, quotes, found)
    directory = out or RUNS / "calibrated"
    inputs = {
        **{
            "book": hash_value_repr(book),
            "prices": hash_value_repr(quotes),
            "depth": hash_value_repr(depths),
        },
        **{"law": law, "cautious": cautious},
        **get_output_inputs(given),
    }
    output = open_output(directory, "calibrate", inputs, fresh=fresh)
    if not output.finished:
        write_scenario(
            book,
            quotes,
            directory,
            use="measured",
            measured=found.measured,
            **parse_scenario_writer_options(given),
        )
        frames = {"calibration": found.to_frame(), "quantiles": fallen} | (
            {} if tested is None else {"backtest": tested}
        )
        of_study = {"study.law": found.law, "study.cautious": "yes" if cautious else "no"}
        day = load_scenario(directory / "scenario.yaml")
        write_assumptions(directory, "calibrate", list_assumptions(day, 1) | of_study)
        summary = build_calibration_summary(found, day, fallen, tested, short, depths)
        meta = build_run_metadata(
            "none", format_given_command("calibrate"), directory, time.monotonic() - began
        )
        write_frames(directory, frames, calibration=summary, meta=meta)
        write_page(directory)
        output.mark_finished()
    file = directory / "scenario.yaml"
    if as_json:
        document = {
            "calibration": list_records(found.to_frame()),
            "quantiles": list_records(fallen),
            "backtest": [] if tested is None else list_records(tested),
            "told": found.moves_description,
            "scenario": str(file),
            "report": str(directory / REPORT),
        }
        click.echo(json.dumps(document, indent=2, sort_keys=True))
        return
    print_book_import_summary(book)
    print_calibration(found, tested, short)
    click.echo(file)
    click.echo(directory / REPORT)
