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
    click.option("--book", required=True, metavar="FILE|ADDRESS", help="Positions: CSV, JSON or Parquet."),
    click.option(
        "--like",
        metavar="NAME|FILE",
        default=None,
        help="What columns mean: aave, crvusd, events, liquity, liquity-v2, maker, morpho, or a YAML file.",
    ),
    click.option(
        "--column", "columns", multiple=True, metavar="FIELD=COLUMN", help="Which column is a field."
    ),
    click.option("--fixed", multiple=True, metavar="FIELD=CELL", help="What a field is in all rows."),
    click.option(
        "--decimals",
        multiple=True,
        metavar="FIELD=N|COLUMN",
        help="An integer with so many decimals; or each token's, FIELD=ETH:18|USDC:6.",
    ),
    click.option("--only", multiple=True, metavar="COLUMN=CELL[|CELL]", help="Leave other rows out."),
    click.option("--rename", multiple=True, metavar="SYMBOL=SYMBOL", help="Call a token otherwise."),
    click.option(
        "--accounts",
        type=click.Choice(("apart", "pooled")),
        default=None,
        help="Each row is a vault, or the rows of an owner are one account, whose debt is split.",
    ),
    click.option(
        "--debts",
        type=click.Choice(("assets", "dollars")),
        default="assets",
        show_default=True,
        help="Debts of other assets are priced in them, or count as dollars at their price.",
    ),
    click.option(
        "--at", default=None, metavar="TIME|BLOCK", help="When events become positions.  [default: after all]"
    ),
    click.option("--floats", is_flag=True, help="Take floats, and round: collateral down, debt up."),
    click.option(
        "--bad-rows",
        type=click.Choice(("refuse", "drop", "drop-any")),
        default="refuse",
        show_default=True,
        help="Rows that cannot be read: refuse the file, leave out up to 1% of its rows, or any number.",
    ),
    click.option(
        "--faults",
        "faults_file",
        type=click.Path(dir_okay=False, path_type=Path),
        default=None,
        help="Write every fault here, as CSV.",
    ),
    click.option(
        "--prices", default=None, metavar="FILE|ADDRESS", help="Prices in dollars: CSV, JSON or Parquet."
    ),
    click.option("--time", default="time", show_default=True, metavar="COLUMN", help="Times of the prices."),
    click.option(
        "--asset",
        "assets",
        multiple=True,
        metavar="SYMBOL=COLUMN",
        help="Which column has an asset's prices.  [default: each is called by its asset]",
    ),
    click.option(
        "--long",
        metavar="SYMBOLS,PRICES",
        default=None,
        help="Two columns, of files with a row for each price.",
    ),
    click.option(
        "--duplicates",
        type=click.Choice(("refuse", "first", "last")),
        default="refuse",
        show_default=True,
        help="Which of two prices of one time counts.",
    ),
    click.option(
        "--splits",
        type=click.Choice(("refuse", "keep")),
        default="refuse",
        show_default=True,
        help="What becomes of steps that look like a split.",
    ),
    click.option(
        "--prints",
        type=click.Choice(("refuse", "keep", "drop")),
        default="refuse",
        show_default=True,
        help="What becomes of isolated prints: prices that leave both neighbours and come back.",
    ),
)

_SCENARIO = (
    click.option("--duration", default=None, help="How long.  [default: 1 d of a history, all of a replay]"),
    click.option("--block-time", default=None, help="[default: 1 min; 1 h of a replay of months]"),
    click.option(
        "--ratio", "ratios", multiple=True, metavar="SYMBOL=RATIO", help="A liquidation ratio, as 125%."
    ),
    click.option("--floor", type=click.IntRange(1, 1_000_000), default=2_000, show_default=True),
    click.option(
        "--total", type=click.IntRange(1), default=None, help="Scale the debt to so many stablecoins."
    ),
    click.option(
        "--rows", multiple=True, metavar="KIND=TREATMENT", help="What becomes of rows that contracts refuse."
    ),
    click.option("--gas-token", default=None, metavar="SYMBOL", help="In which coin gas is paid."),
    click.option(
        "--reserve",
        type=click.IntRange(0),
        default=None,
        help="Stablecoins that the reserve has at the start.  [default: 1% of the debt]",
    ),
    click.option(
        "--pool",
        "pools",
        multiple=True,
        metavar="POOL=N",
        help="Stablecoins in a pool.  [default: junior 2% and savings 10% of the debt]",
    ),
    click.option("--outages", is_flag=True, help="Let keepers fail for two hours every two or three days."),
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
    """Add the options that name the files to read, and the meaning of their columns."""
    for option in reversed(_READING):
        command = option(command)
    return command


def add_imported_scenario_options(command: Callable[P, T]) -> Callable[P, T]:
    """Add the options of the scenario that files become."""
    for option in reversed(_SCENARIO):
        command = option(command)
    return command


def read_book_and_prices(given_options: Mapping[str, Any]) -> tuple[VaultBook, PriceHistory | None]:
    """Read the positions, and the prices if there is a file of them; write the faults where that is asked."""
    from backstop.simulation.sources.book_reader import read_book
    from backstop.simulation.sources.price_reader import read_prices
    from backstop.simulation.sources.table_reader import TableFaultsError

    long = given_options["long"]
    symbols, _, figures = (long or ",").partition(",")
    if long is not None and not (symbols and figures):
        raise BackstopError(f"--long: {long!r} is not two columns, as coin,usd")
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
    """Return the scenario's options as `write_scenario` takes them."""
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
    """Return the scenario's options that define a folder."""
    found = {name: given[name] for name in OF_SCENARIO}
    return found | {name: list(found[name]) for name in ("ratios", "rows", "pools")}


def parse_name_values(option: str, given: Sequence[str]) -> dict[str, str]:
    """Read options of the form NAME=VALUE."""
    found = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not (name.strip() and sign and value.strip()):
            raise BackstopError(f"{option}: {text!r} is no NAME=VALUE")
        found[name.strip()] = value.strip()
    return found


def _parse_count(option: str, text: str) -> int:
    """Read whole stablecoins, as 1000000 or 1_000_000."""
    if text.replace("_", "").isdecimal():
        return int(text)
    raise BackstopError(f"{option}: {text!r} is no whole number of stablecoins, as 1000000")


def write_table_faults_csv(faults_error: TableFaultsError, path: Path | None) -> None:
    """Write every fault of a table, where a file is named."""
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
    """Print the first and last time of the prices, and their interval."""
    from backstop.simulation.scenario.quantity_units import format_duration_text
    from backstop.simulation.sources.price_reader import format_utc_time

    return (
        f"{format_utc_time(prices.first_common_time)} to "
        f"{format_utc_time(prices.last_common_time)}, every {format_duration_text(prices.every)}"
    )


def print_book_import_summary(vault_book: VaultBook) -> None:
    """Print the imported rows, and their changes."""
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
