"""Positions and prices of your own, as a scenario."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from backstop.cli.common import RUNS, Command, handle_errors, open_output, output_options
from backstop.errors import BackstopError
from backstop.files.outputs import content

if TYPE_CHECKING:
    from backstop.simulation.sources.book import Book
    from backstop.simulation.sources.cells import Faults


@click.command(
    cls=Command,
    short_help="Take positions and prices of your own into a scenario",
    epilog="""\b
Examples:
  ape run bring --book positions.csv --column owner=user --column locked=amount
  ape run bring --book positions.parquet --like aave --out mine
  ape run bring --book s3://bucket/positions.parquet --like mine.yaml --rename 'USD+=USDplus'
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
    out: Path | None,
    fresh: bool,
) -> None:
    """Read positions as others keep them, every row checked and every figure exact.

    What is wrong is said with its row. `book.csv`, which scenarios read, is written into the folder.
    """
    from backstop.simulation.sources.book import read_book
    from backstop.simulation.sources.cells import Faults

    try:
        read = read_book(
            book,
            like=like,
            columns=pairs("--column", columns),
            fixed=pairs("--fixed", fixed),
            decimals=pairs("--decimals", decimals),
            only=pairs("--only", only),
            rename=pairs("--rename", rename),
            accounts=accounts,
            floats=floats,
            bad_rows=bad_rows,
        )
    except Faults as error:
        _write_faults(error, faults_file)
        raise
    directory = out or RUNS / "mine"
    output = open_output(directory, "bring", {"book": content(read)}, fresh=fresh)
    if not output.finished:
        read.write(directory)
        output.finish()
    _print(read)
    click.echo(directory / "book.csv")


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
