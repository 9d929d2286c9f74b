"""How owners of vaults react, measured from files of events of one's own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backstop.cli.command_helpers import (
    RUNS,
    Command,
    handle_errors,
    json_option,
    open_output,
    output_options,
    seed_option,
)
from backstop.cli.import_options import parse_name_values, write_table_faults_csv
from backstop.errors import BackstopError
from backstop.files.output_directories import hash_value_repr

if TYPE_CHECKING:
    from backstop.simulation.sources.book_reader import VaultBook
    from backstop.simulation.sources.price_reader import PriceHistory
    from backstop.studies.calibration.owner_history import OwnerHistory


@click.command(
    cls=Command,
    short_help="Fit from events how vault owners react to price drops",
    epilog="""\b
Examples:
  ape run fit-owners --events events.csv --prices prices.csv --ratio WETH=130% --fixed debt_price=1
  ape run fit-owners --events may.csv --book may-book.csv --prices may-prices.csv --like mine.yaml
  ape run fit-owners --events may.csv --events june.csv --prices prices.csv --like mine.yaml --out runs/owners
""",
)
@click.option(
    "--events", "events", multiple=True, required=True, metavar="FILE|ADDRESS",
    help="File or address (s3://...) of vault events, one period each; repeatable.",
)  # fmt: skip
@click.option(
    "--book", "books", multiple=True, metavar="FILE|ADDRESS",
    help="Positions at the beginning, one file for each file of events; repeatable.  [default: the "
         "sum of earlier events]",
)  # fmt: skip
@click.option(
    "--prices", "price_files", multiple=True, required=True, metavar="FILE|ADDRESS",
    help="File or address (s3://...) of prices in dollars, one for all or one for each file of "
         "events; repeatable.",
)  # fmt: skip
@click.option(
    "--from", "begins", multiple=True, metavar="TIME",
    help="First full hour, one for all or one for each file of events; repeatable.  [default: the "
         "first of events and prices]",
)  # fmt: skip
@click.option(
    "--until",
    "ends",
    multiple=True,
    metavar="TIME",
    help="Last full hour, one for all or one for each file of events; repeatable.  [default: the "
    "last of events and prices]",
)
@click.option(
    "--ratio",
    "ratios",
    multiple=True,
    metavar="SYMBOL=RATIO",
    help="Liquidation ratio of a collateral, as WETH=130%; repeatable.  [default: the mapping's]",
)
@click.option(
    "--like", default="events", show_default=True, metavar="NAME|FILE",
    help="Mapping of columns of the events: a name, or a YAML file with `form: events`.",
)  # fmt: skip
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="FIELD=COLUMN",
    help="Column of the events that holds a field; repeatable.  [default: the mapping's]",
)
@click.option(
    "--fixed",
    multiple=True,
    metavar="FIELD=CELL",
    help="Value of an event field in all rows; repeatable.  [default: none]",
)
@click.option(
    "--decimals",
    multiple=True,
    metavar="FIELD=N|COLUMN",
    help="Decimals of an integer event field: a number or a column; repeatable.  [default: the mapping's]",
)
@click.option(
    "--only",
    multiple=True,
    metavar="COLUMN=CELL[|CELL]",
    help="Values that a column of events must have, else the row is left out; repeatable.  [default: "
    "all rows]",
)
@click.option(
    "--rename",
    multiple=True,
    metavar="SYMBOL=SYMBOL",
    help="New symbol of a token; repeatable.  [default: none]",
)
@click.option(
    "--book-like",
    default=None,
    metavar="NAME|FILE",
    help="Mapping of columns of the book: a name or a YAML file.  [default: columns called by their fields]",
)
@click.option(
    "--book-column",
    "book_columns",
    multiple=True,
    metavar="FIELD=COLUMN",
    help="Column of the book that holds a field; repeatable.  [default: the mapping's]",
)
@click.option(
    "--book-fixed",
    multiple=True,
    metavar="FIELD=CELL",
    help="Value of a book field in all rows; repeatable.  [default: none]",
)
@click.option("--floats", is_flag=True, help="Accept floats; collateral is rounded down, debt up.")
@click.option(
    "--time", default="time", show_default=True, metavar="COLUMN", help="Column with the times of the prices."
)
@click.option(
    "--asset",
    "assets",
    multiple=True,
    metavar="SYMBOL=COLUMN",
    help="Column with the prices of an asset; repeatable.  [default: the column called by the asset]",
)
@click.option(
    "--duplicates",
    type=click.Choice(("refuse", "first", "last")),
    default="refuse",
    show_default=True,
    help="Treatment of two prices of one time: 'refuse' the file, or keep the 'first' or the 'last'.",
)
@click.option(
    "--splits",
    type=click.Choice(("refuse", "keep")),
    default="refuse",
    show_default=True,
    help="Treatment of price steps that look like a split: 'refuse' the file or 'keep' them.",
)
@click.option(
    "--prints",
    type=click.Choice(("refuse", "keep", "drop")),
    default="refuse",
    show_default=True,
    help="Treatment of isolated prints (prices that leave both neighbours and come back): 'refuse' "
    "the file, 'keep' or 'drop' them.",
)
@click.option(
    "--floor", type=click.IntRange(1), default=2_000, show_default=True,
    help="Least debt of a vault to be counted, in dollars.",
)  # fmt: skip
@click.option(
    "--large", type=click.IntRange(1), default=1_000_000, show_default=True,
    help="Debt from which vaults have a factor of their own, in dollars.",
)  # fmt: skip
@click.option(
    "--default", "default_file", type=click.Path(dir_okay=False, path_type=Path), default=None,
    help="YAML file whose section `owners` replaces values that the events do not measure.  "
         "[default: the package's]",
)  # fmt: skip
@click.option(
    "--draws", type=click.IntRange(40, 100_000), default=200, show_default=True,
    help="Bootstrap draws of owners for each interval.",
)  # fmt: skip
@click.option(
    "--faults", "faults_file", type=click.Path(dir_okay=False, path_type=Path), default=None,
    help="CSV file to write with every faulty row.  [default: none]",
)  # fmt: skip
@seed_option
@output_options("Folder of the fit.", "runs/owners")
@json_option
@handle_errors
def cli(
    default_file: Path | None,
    draws: int,
    large: int,
    seed: int,
    out: Path | None,
    fresh: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Fit the reactions of vault owners to price drops from events, each with its interval.

    Each full hour of the events, each vault is counted by its distance from liquidation, the price drop so
    far, and the act of its owner within the next hour: safer, riskier or none.

    Reads --events, --book and --prices. Writes owners.yaml (the section `owners` of a scenario), summary.json
    and tables in CSV.

    Exit codes: 0 on success, 1 on an error, 2 on invalid options.
    """
    from backstop.files.atomic_files import write_files
    from backstop.report.frame_console_table import write_frames
    from backstop.report.owner_fit_console_output import print_owner_fit
    from backstop.studies.calibration.owner_fit import fit_owners
    from backstop.studies.calibration.owner_section import read_owner_law

    default = None if default_file is None else read_owner_law(default_file)
    histories = _read_histories(given)
    fit = fit_owners(histories, seed=seed, draws=draws, large_debt=large, default=default)
    directory = out or RUNS / "owners"
    inputs = {
        **{"histories": [hash_value_repr(each) for each in histories], "seed": seed, "draws": draws},
        **{"large": large, "default": hash_value_repr(fit.default_text)},
    }
    output = open_output(directory, "fit-owners", inputs, fresh=fresh)
    if not output.finished:
        frames = {
            "parameters": fit.to_frame(),
            "by-distance": fit.distances,
            "by-day": fit.days,
            "by-fall": fit.falls,
        }
        write_frames(directory, frames, summary=fit.to_summary())
        try:
            write_files(directory, {"owners.yaml": fit.to_yaml()})
        except OSError as error:
            raise BackstopError(f"{directory} cannot be written: {error.strerror or error}") from None
        output.mark_finished()
    if as_json:
        click.echo(json.dumps(fit.to_summary(), indent=2, sort_keys=True))
        return
    print_owner_fit(fit)
    for name in ("owners.yaml", "summary.json"):
        click.echo(directory / name)


def _read_histories(given: dict[str, Any]) -> list[OwnerHistory]:
    """Return the owners' history from each file of events, with its vault book, prices and period.

    If a table is malformed, its faults are written to the named file and the error is raised again.
    """
    from backstop.simulation.sources.table_reader import TableFaultsError
    from backstop.studies.calibration.owner_history import read_owner_history

    events: Sequence[str] = given["events"]
    books, files, begins, ends = (
        _spread_option(option, given[name], len(events))
        for option, name in (
            *(("--book", "books"), ("--prices", "price_files")),
            *(("--from", "begins"), ("--until", "ends")),
        )
    )
    names = parse_name_values("--rename", given["rename"])
    found, prices = [], dict[str, Any]()
    try:
        for source, book, file, begin, end in zip(events, books, files, begins, ends, strict=True):
            assert file is not None
            if file not in prices:
                prices[file] = _read_price_file(file, given, names)
            found.append(
                read_owner_history(
                    source,
                    prices[file],
                    None if book is None else _read_book_file(book, given, names),
                    like=given["like"],
                    columns=parse_name_values("--column", given["columns"]),
                    fixed=parse_name_values("--fixed", given["fixed"]),
                    decimals=parse_name_values("--decimals", given["decimals"]),
                    only=parse_name_values("--only", given["only"]),
                    rename=names,
                    floats=given["floats"],
                    ratios=parse_name_values("--ratio", given["ratios"]),
                    begin=begin,
                    until=end,
                    floor=given["floor"],
                )
            )
    except TableFaultsError as error:
        write_table_faults_csv(error, given["faults_file"])
        raise
    return found


def _read_price_file(file: str, given: dict[str, Any], names: dict[str, str]) -> PriceHistory:
    from backstop.simulation.sources.price_reader import read_prices

    return read_prices(
        file,
        time=given["time"],
        columns=parse_name_values("--asset", given["assets"]) or None,
        rename=names,
        duplicates=given["duplicates"],
        splits=given["splits"],
        prints=given["prints"],
    )


def _read_book_file(file: str, given: dict[str, Any], names: dict[str, str]) -> VaultBook:
    from backstop.simulation.sources.book_reader import read_book

    return read_book(
        file,
        like=given["book_like"],
        columns=parse_name_values("--book-column", given["book_columns"]),
        fixed=parse_name_values("--book-fixed", given["book_fixed"]),
        rename=names,
        floats=given["floats"],
    )


def _spread_option(option: str, given: Sequence[str], count: int) -> list[str | None]:
    """Return the option's value for each of `count` event files, or None if it was not given.

    A single value applies to all files. Raises BackstopError for any other number of values.
    """
    if len(given) in (0, 1):
        return [given[0] if given else None] * count
    if len(given) != count:
        raise BackstopError(
            f"{option}: given {len(given)} times; expected 1 or {count}, the number of --events"
        )
    return list(given)
