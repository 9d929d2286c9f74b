"""A user's files as options of a command: positions, prices, and their conversion to a scenario."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from backstop.errors import BackstopError

if TYPE_CHECKING:
    from backstop.simulation.sources.book_reader import VaultBook
    from backstop.simulation.sources.price_reader import PriceHistory
    from backstop.simulation.sources.table_reader import TableFaultsError

P = ParamSpec("P")
T = TypeVar("T")

_READING = (
    click.option(
        "--book",
        required=True,
        metavar="FILE|ADDRESS",
        help="File or address (s3://...) of positions: CSV, JSON or Parquet.",
    ),
    click.option(
        "--like",
        metavar="NAME|FILE",
        default=None,
        help="Mapping of columns to fields: aave, crvusd, events, liquity, liquity-v2, maker, morpho, "
        "or a YAML file.  [default: columns called by their fields]",
    ),
    click.option(
        "--column",
        "columns",
        multiple=True,
        metavar="FIELD=COLUMN",
        help="Column that holds a field; repeatable.  [default: the mapping's]",
    ),
    click.option(
        "--fixed",
        multiple=True,
        metavar="FIELD=CELL",
        help="Value of a field in all rows; repeatable.  [default: none]",
    ),
    click.option(
        "--decimals",
        multiple=True,
        metavar="FIELD=N|COLUMN",
        help="Decimals of an integer field: a number, a column, or a number for each token, as "
        "FIELD=ETH:18|USDC:6; repeatable.  [default: the mapping's]",
    ),
    click.option(
        "--only",
        multiple=True,
        metavar="COLUMN=CELL[|CELL]",
        help="Values that a column must have, else the row is left out; repeatable.  [default: all rows]",
    ),
    click.option(
        "--rename",
        multiple=True,
        metavar="SYMBOL=SYMBOL",
        help="New symbol of a token; repeatable.  [default: none]",
    ),
    click.option(
        "--accounts",
        type=click.Choice(("apart", "pooled")),
        default=None,
        help="Meaning of a row: 'apart' makes each row a vault, 'pooled' joins the rows of an owner "
        "to one account and splits its debt.  [default: the mapping's, else apart]",
    ),
    click.option(
        "--debts",
        type=click.Choice(("assets", "dollars")),
        default="assets",
        show_default=True,
        help="Unit of debts in other assets: 'assets' prices collateral in the asset, 'dollars' "
        "converts the debt at its price.",
    ),
    click.option(
        "--at",
        default=None,
        metavar="TIME|BLOCK",
        help="Time or block at which events become positions.  [default: after the last event]",
    ),
    click.option("--floats", is_flag=True, help="Accept floats; collateral is rounded down, debt up."),
    click.option(
        "--bad-rows",
        type=click.Choice(("refuse", "drop", "drop-any")),
        default="refuse",
        show_default=True,
        help="Treatment of rows that cannot be read: 'refuse' the file, 'drop' up to 1% of its rows, "
        "or 'drop-any' number.",
    ),
    click.option(
        "--faults",
        "faults_file",
        type=click.Path(dir_okay=False, path_type=Path),
        default=None,
        help="CSV file to write with every faulty row.  [default: none]",
    ),
    click.option(
        "--prices",
        default=None,
        metavar="FILE|ADDRESS",
        help="File or address (s3://...) of prices in dollars: CSV, JSON or Parquet.  [default: none]",
    ),
    click.option(
        "--time",
        default="time",
        show_default=True,
        metavar="COLUMN",
        help="Column with the times of the prices.",
    ),
    click.option(
        "--asset",
        "assets",
        multiple=True,
        metavar="SYMBOL=COLUMN",
        help="Column with the prices of an asset; repeatable.  [default: the column called by the asset]",
    ),
    click.option(
        "--long",
        metavar="SYMBOLS,PRICES",
        default=None,
        help="Columns of symbols and prices in a file with a row for each price.  [default: a column "
        "for each asset]",
    ),
    click.option(
        "--duplicates",
        type=click.Choice(("refuse", "first", "last")),
        default="refuse",
        show_default=True,
        help="Treatment of two prices of one time: 'refuse' the file, or keep the 'first' or the 'last'.",
    ),
    click.option(
        "--splits",
        type=click.Choice(("refuse", "keep")),
        default="refuse",
        show_default=True,
        help="Treatment of price steps that look like a split: 'refuse' the file or 'keep' them.",
    ),
    click.option(
        "--prints",
        type=click.Choice(("refuse", "keep", "drop")),
        default="refuse",
        show_default=True,
        help="Treatment of isolated prints (prices that leave both neighbours and come back): "
        "'refuse' the file, 'keep' or 'drop' them.",
    ),
)

_SCENARIO = (
    click.option(
        "--duration",
        default=None,
        help="Length of the scenario, as '1 d'.  [default: 1 d of a history, all of a replay]",
    ),
    click.option(
        "--block-time",
        default=None,
        help="Time between blocks, as '1 min'.  [default: 1 min; 1 h for a replay of months]",
    ),
    click.option(
        "--ratio",
        "ratios",
        multiple=True,
        metavar="SYMBOL=RATIO",
        help="Liquidation ratio of a collateral, as WETH=125%; repeatable.  [default: the book's, the "
        "system's, else 150%]",
    ),
    click.option(
        "--floor",
        type=click.IntRange(1, 1_000_000),
        default=2_000,
        show_default=True,
        help="Least debt of a vault, in stablecoins.",
    ),
    click.option(
        "--total",
        type=click.IntRange(1),
        default=None,
        help="Debt to which all vaults together are scaled, in stablecoins.  [default: the book's]",
    ),
    click.option(
        "--rows",
        multiple=True,
        metavar="KIND=TREATMENT",
        help="Treatment of a kind of rows that the contracts refuse (duplicate, no_collateral, "
        "under_water, unsafe, between_ratios, under_floor), as unsafe=drop; repeatable.  "
        "[default: debt stays in the book where possible]",
    ),
    click.option(
        "--gas-token",
        default=None,
        metavar="SYMBOL",
        help="Collateral in whose coin gas is paid.  [default: the book's ETH token, else its first]",
    ),
    click.option(
        "--reserve",
        type=click.IntRange(0),
        default=None,
        help="Balance of the reserve at the start, in stablecoins.  [default: 1% of the debt]",
    ),
    click.option(
        "--pool",
        "pools",
        multiple=True,
        metavar="POOL=N",
        help="Balance of the pool junior or savings at the start, in stablecoins; repeatable.  "
        "[default: junior 2% and savings 10% of the debt]",
    ),
    click.option("--outages", is_flag=True, help="Add keeper outages of two hours, every two or three days."),
)

OF_SCENARIO = (
    "duration",
    "block_time",
    "ratios",
    "floor",
    "total",
    "rows",
    "gas_token",
    "reserve",
    "pools",
    "outages",
)
"""Options that say something of the scenario which is written."""


def add_input_file_options(command: Callable[P, T]) -> Callable[P, T]:
    """Add the options for input files, and for the meaning of their columns, to a command."""
    for option in reversed(_READING):
        command = option(command)
    return command


def add_imported_scenario_options(command: Callable[P, T]) -> Callable[P, T]:
    """Add the options of the scenario that imported files become to a command."""
    for option in reversed(_SCENARIO):
        command = option(command)
    return command


def read_book_and_prices(given_options: Mapping[str, Any]) -> tuple[VaultBook, PriceHistory | None]:
    """Return the imported vault positions, and the price history or None without a price file.

    If a table is malformed, its faults are written to the named file and the error is raised again.
    """
    from backstop.simulation.sources.book_reader import read_book
    from backstop.simulation.sources.price_reader import read_prices
    from backstop.simulation.sources.table_reader import TableFaultsError

    long = given_options["long"]
    symbols, _, figures = (long or ",").partition(",")
    if long is not None and not (symbols and figures):
        raise BackstopError(f"--long: {long!r} is invalid; expected two columns, as coin,usd")
    names = parse_name_values("--rename", given_options["rename"])
    quotes = None
    try:
        if given_options["prices"] is not None:
            quotes = read_prices(
                given_options["prices"],
                time=given_options["time"],
                columns=parse_name_values("--asset", given_options["assets"]) or None,
                symbol=symbols or None,
                price=figures or "price",
                rename=names,
                duplicates=given_options["duplicates"],
                splits=given_options["splits"],
                prints=given_options["prints"],
                bad_rows=given_options["bad_rows"],
            )
        book = read_book(
            given_options["book"],
            like=given_options["like"],
            columns=parse_name_values("--column", given_options["columns"]),
            fixed=parse_name_values("--fixed", given_options["fixed"]),
            decimals=parse_name_values("--decimals", given_options["decimals"]),
            only=parse_name_values("--only", given_options["only"]),
            rename=names,
            accounts=given_options["accounts"],
            prices=None if quotes is None else quotes.last_prices_by_symbol,
            floats=given_options["floats"],
            debts=given_options["debts"],
            bad_rows=given_options["bad_rows"],
            at=given_options["at"],
        )
    except TableFaultsError as error:
        write_table_faults_csv(error, given_options["faults_file"])
        raise
    return book, quotes


def parse_scenario_writer_options(given_options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the scenario options of a command, parsed as arguments of `write_scenario`."""
    found = {name: given_options[name] for name in OF_SCENARIO}
    ratios, rows = (
        parse_name_values("--ratio", given_options["ratios"]),
        parse_name_values("--rows", given_options["rows"]),
    )
    pools = {
        name: _parse_count("--pool", text)
        for name, text in parse_name_values("--pool", given_options["pools"]).items()
    }
    return found | {"ratios": ratios, "rows": rows, "pools": pools}


def get_output_inputs(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the scenario options that identify the result in an output folder."""
    found = {name: given[name] for name in OF_SCENARIO}
    return found | {name: list(found[name]) for name in ("ratios", "rows", "pools")}


def parse_name_values(option: str, given: Sequence[str]) -> dict[str, str]:
    """Return options of the form NAME=VALUE as a dictionary.

    Raises BackstopError, with the option's name, for any other form.
    """
    found = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not (name.strip() and sign and value.strip()):
            raise BackstopError(f"{option}: {text!r} is invalid; expected NAME=VALUE")
        found[name.strip()] = value.strip()
    return found


def _parse_count(option: str, text: str) -> int:
    """Return a number of whole stablecoins from text such as 1000000 or 1_000_000.

    Raises BackstopError, with the option's name, for other text.
    """
    if text.replace("_", "").isdecimal():
        return int(text)
    raise BackstopError(f"{option}: {text!r} is invalid; expected whole stablecoins, as 1000000")


def write_table_faults_csv(faults_error: TableFaultsError, path: Path | None) -> None:
    """Write all faults of an input table to a CSV file; do nothing without a path."""
    if path is None:
        return
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows(
                [
                    ("file", "row", "column", "problem"),
                    *((faults_error.name, *f) for f in faults_error.faults),
                ]
            )
    except OSError as problem:
        raise BackstopError(f"{path} cannot be written: {problem.strerror}") from None


def describe_time_span(prices: PriceHistory) -> str:
    """Return the first and last time of the prices and their interval, as text."""
    from backstop.simulation.scenario.quantity_units import format_duration_text
    from backstop.simulation.sources.price_reader import format_utc_time

    return (
        f"{format_utc_time(prices.first_common_time)} to "
        f"{format_utc_time(prices.last_common_time)}, every {format_duration_text(prices.every)}"
    )


def print_book_import_summary(vault_book: VaultBook) -> None:
    """Print the number of imported vaults, the columns used, and the changes to the rows."""
    from backstop.model.arithmetic import WAD

    owed = f"{(vault_book.debt + WAD // 2) // WAD:,}"
    click.echo(
        f"{vault_book.name}: {len(vault_book.rows):,} vaults of {', '.join(vault_book.symbols)}, "
        f"owing {owed} stablecoins; written as book.csv"
    )
    ignored = ", ".join(vault_book.ignored_columns) or "none"
    click.echo(f"Columns read: {', '.join(vault_book.read_columns)}; ignored: {ignored}.")
    for line in vault_book.told:
        click.echo(line)
