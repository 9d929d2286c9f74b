"""Positions and prices of your own, as a scenario."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backstop.cli.common import RUNS, Command, handle_errors, open_output, output_options
from backstop.errors import BackstopError
from backstop.files.outputs import content

if TYPE_CHECKING:
    from backstop.simulation.sources.book import Book
    from backstop.simulation.sources.cells import Faults
    from backstop.simulation.sources.prices import Prices

_OF_PRICES = ("time", "assets", "long", "duplicates", "splits")
_OF_SCENARIO = (*("use", "duration", "block_time", "ratios", "floor", "total", "rows", "gas_token"),)
"""Options without a meaning where no prices are given."""


@click.command(
    cls=Command,
    short_help="Take positions and prices of your own into a scenario",
    epilog="""\b
Examples:
  ape run bring --book positions.csv --column owner=user --column locked=amount
  ape run bring --book positions.parquet --like aave --out mine
  ape run bring --book s3://bucket/positions.parquet --like mine.yaml --rename 'USD+=USDplus'
  ape run bring --book positions.csv --prices prices.csv --out mine
  ape run stress mine/scenario.yaml
""",
)
@click.option("--book", required=True, metavar="FILE|ADDRESS", help="Positions: CSV or Parquet.")
@click.option(
    "--like",
    metavar="NAME|FILE",
    default=None,
    help="Which columns mean what: aave, crvusd, liquity, maker, morpho, or a YAML file.",
)
@click.option("--column", "columns", multiple=True, metavar="FIELD=COLUMN", help="Which column is a field.")
@click.option("--fixed", multiple=True, metavar="FIELD=CELL", help="What a field is in all rows.")
@click.option("--decimals", multiple=True, metavar="FIELD=N|COLUMN", help="An integer with so many decimals.")
@click.option("--only", multiple=True, metavar="COLUMN=CELL[|CELL]", help="Leave other rows out.")
@click.option("--rename", multiple=True, metavar="SYMBOL=SYMBOL", help="Call a token otherwise.")
@click.option(
    "--accounts",
    type=click.Choice(("apart", "pooled")),
    default=None,
    help="Each row is a vault, or the rows of an owner are one account, whose debt is split.",
)
@click.option("--floats", is_flag=True, help="Take floats, and round: collateral down, debt up.")
@click.option(
    "--bad-rows",
    type=click.Choice(("refuse", "drop")),
    default="refuse",
    show_default=True,
    help="What becomes of rows that cannot be read.",
)
@click.option(
    "--faults",
    "faults_file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    help="Write every fault here, as CSV.",
)
@click.option("--prices", default=None, metavar="FILE|ADDRESS", help="Prices in dollars: CSV or Parquet.")
@click.option("--time", default="time", show_default=True, metavar="COLUMN", help="Times of the prices.")
@click.option(
    "--asset",
    "assets",
    multiple=True,
    metavar="SYMBOL=COLUMN",
    help="Which column has an asset's prices.  [default: each is called by its asset]",
)
@click.option(
    "--long", metavar="SYMBOLS,PRICES", default=None, help="Two columns, of files with a row for each price."
)
@click.option(
    "--duplicates",
    type=click.Choice(("refuse", "first", "last")),
    default="refuse",
    show_default=True,
    help="Which of two prices of one time counts.",
)
@click.option(
    "--splits",
    type=click.Choice(("refuse", "keep")),
    default="refuse",
    show_default=True,
    help="What becomes of steps that look like a split.",
)
@click.option(
    "--use",
    type=click.Choice(("history", "replay")),
    default="history",
    show_default=True,
    help="Draw from the prices, beginning at the last; or take them as they are.",
)
@click.option("--duration", default=None, help="How long.  [default: 1 d of a history, all of a replay]")
@click.option("--block-time", default=None, help="[default: 5 min; 1 h of a replay of months]")
@click.option(
    "--ratio", "ratios", multiple=True, metavar="SYMBOL=RATIO", help="A liquidation ratio, as 125%."
)
@click.option("--floor", type=click.IntRange(1, 1_000_000), default=2_000, show_default=True)
@click.option("--total", type=click.IntRange(1), default=None, help="Scale the debt to so many stablecoins.")
@click.option(
    "--rows", multiple=True, metavar="KIND=TREATMENT", help="What becomes of rows that contracts refuse."
)
@click.option("--gas-token", default=None, metavar="SYMBOL", help="In which coin gas is paid.")
@output_options("Folder of what comes of it.", "runs/mine")
@handle_errors
def cli(
    book: str,
    like: str | None,
    columns: Sequence[str],
    fixed: Sequence[str],
    decimals: Sequence[str],
    only: Sequence[str],
    rename: Sequence[str],
    accounts: str | None,
    floats: bool,
    bad_rows: str,
    faults_file: Path | None,
    prices: str | None,
    time: str,
    assets: Sequence[str],
    long: str | None,
    duplicates: str,
    splits: str,
    use: str,
    duration: str | None,
    block_time: str | None,
    ratios: Sequence[str],
    floor: int,
    total: int | None,
    rows: Sequence[str],
    gas_token: str | None,
    out: Path | None,
    fresh: bool,
) -> None:
    """Read positions as others keep them, and prices; write them as a scenario that every command takes.

    Every row is checked and every figure exact; what is wrong is said with its row. With prices the folder
    has `scenario.yaml`, to be read and changed, without them `book.csv` alone.
    """
    from backstop.simulation.sources.book import read_book
    from backstop.simulation.sources.cells import Faults
    from backstop.simulation.sources.prices import read_prices
    from backstop.simulation.sources.scenario_file import write_scenario

    if prices is None:
        _refuse_without_prices()
    symbols, _, figures = (long or ",").partition(",")
    if long is not None and not (symbols and figures):
        raise BackstopError(f"--long: {long!r} is not two columns, as coin,usd")
    names = pairs("--rename", rename)
    quotes = None
    try:
        if prices is not None:
            quotes = read_prices(
                prices,
                time=time,
                columns=pairs("--asset", assets) or None,
                symbol=symbols or None,
                price=figures or "price",
                rename=names,
                duplicates=duplicates,
                splits=splits,
                bad_rows=bad_rows,
            )
        read = read_book(
            book,
            like=like,
            columns=pairs("--column", columns),
            fixed=pairs("--fixed", fixed),
            decimals=pairs("--decimals", decimals),
            only=pairs("--only", only),
            rename=names,
            accounts=accounts,
            prices=None if quotes is None else quotes.lasts,
            floats=floats,
            bad_rows=bad_rows,
        )
    except Faults as error:
        _write_faults(error, faults_file)
        raise
    directory = out or RUNS / "mine"
    settings: dict[str, Any] = {
        "use": use,
        "duration": duration,
        "block_time": block_time,
        "floor": floor,
        "total": total,
    }
    settings |= {"ratios": list(ratios), "rows": list(rows), "gas_token": gas_token}
    inputs = {"book": content(read), "prices": content(quotes), **settings}
    output = open_output(directory, "bring", inputs, fresh=fresh)
    _print(read)
    if quotes is None:
        if not output.finished:
            read.write(directory)
            output.finish()
        click.echo(directory / "book.csv")
        return
    if output.finished:
        click.echo(directory / "scenario.yaml")
        return
    scenario = write_scenario(
        *(read, quotes, directory),
        use=use,
        duration=duration,
        block_time=block_time,
        ratios=pairs("--ratio", ratios),
        floor=floor,
        total=total,
        rows=pairs("--rows", rows),
        gas_token=gas_token,
    )
    output.finish()
    click.echo(f"{quotes.name}: {', '.join(quotes.symbols)}, {_span(quotes)}")
    for line in (*quotes.told, *(line for line in scenario.assumptions if line.startswith("Of "))):
        click.echo(line)
    click.echo(directory / "scenario.yaml")


def _refuse_without_prices() -> None:
    """Refuse options that say something of prices where there are none."""
    context = click.get_current_context()
    for name in (*_OF_PRICES, *_OF_SCENARIO):
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            option = next(each.opts[0] for each in context.command.params if each.name == name)
            raise BackstopError(f"{option}: is for a scenario, which needs --prices")


def _span(prices: Prices) -> str:
    """Say from when to when prices are, and how far apart."""
    from backstop.simulation.scenario.units import duration
    from backstop.simulation.sources.prices import stamp

    return f"{stamp(prices.first)} to {stamp(prices.last)}, every {duration(prices.every)}"


def pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    """Read options of the form NAME=VALUE."""
    found = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not (name.strip() and sign and value.strip()):
            raise BackstopError(f"{option}: {text!r} is no NAME=VALUE")
        found[name.strip()] = value.strip()
    return found


def _write_faults(error: Faults, path: Path | None) -> None:
    if path is None:
        return
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows(
                [("file", "row", "column", "problem"), *((error.name, *f) for f in error.faults)]
            )
    except OSError as problem:
        raise BackstopError(f"{path} cannot be written: {problem.strerror}") from None


def _print(book: Book) -> None:
    """Say what was read, and what was done to it."""
    from backstop.model.arithmetic import WAD

    owed = f"{(book.debt + WAD // 2) // WAD:,}"
    click.echo(
        f"{book.name}: {len(book.rows):,} vaults of {', '.join(book.symbols)}, owing {owed} stablecoins"
    )
    for line in book.told:
        click.echo(line)
