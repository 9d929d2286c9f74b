"""CSV files of users: a header, then rows that know their place in the file."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn, TextIO

from backstop.errors import BackstopError


class CsvRow(NamedTuple):
    """Row of a CSV file: its cells by column, and its number in the file (the header is 1).

    Blank lines count in the numbering.
    """

    number: int
    cells: dict[str, str]


def parse_header_and_rows(file: TextIO, name: str) -> tuple[int, list[str], list[CsvRow]]:
    """Return the header's row number, the column names and the rows of a CSV file.

    Any line ends, blank lines and spaces around cells are accepted. An empty file gives an empty header.
    Raises BackstopError with the number of the invalid row.
    """
    reader = csv.reader(file, strict=True)
    try:
        lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise BackstopError(f"{name}: row {reader.line_num}: is not CSV: {error}") from None
    for number, line in lines:
        if "\0" in "".join(line):  # as in UTF-16, which is UTF-8 with zeros between
            raise BackstopError(f"{name}: row {number}: is not UTF-8 text: save it as CSV in UTF-8")
    lines = [(number, line) for number, line in lines if any(line)]
    first, header = lines[0] if lines else (1, [])
    for column in header:
        if header.count(column) > 1:
            raise BackstopError(f"{name}: row {first}: the column {column!r} is there twice: remove one")
    found = []
    for number, line in lines[1:]:
        if len(line) != len(header):
            wrong = f"has {len(line)} columns, and the header {len(header)}"
            raise BackstopError(f"{name}: row {number}: {wrong}")
        found.append(CsvRow(number, dict(zip(header, line, strict=True))))
    return first, header, found


def read_table(
    path: Path, fail: Callable[[str], NoReturn], columns: Sequence[str], exactly: bool = True
) -> list[CsvRow]:
    """Return the rows of a CSV file that has these columns, and no others if `exactly`.

    `fail` is called with a problem of the whole file, so that the caller can add context. Errors in rows
    raise BackstopError with file and row. A byte-order mark is accepted.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first, header, rows = parse_header_and_rows(file, path.name)
    except OSError as error:
        fail(f"{path.name} cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        fail(f"{path.name} cannot be read: not UTF-8 text: save it as CSV in UTF-8")

    def bad(problem: str) -> NoReturn:
        raise BackstopError(f"{path.name}: row {first}: {problem}")

    wanted = f"the columns must be {', '.join(columns)}" if exactly else f"needs {', '.join(columns)}"
    if not header:
        bad(f"is empty: {wanted}")
    for name in columns:
        if name not in header:
            hint = "" if len(header) > 1 else ", with commas between"
            bad(f"the column {name!r} is missing: {wanted}{hint}; there are {', '.join(header)}")
    for name in header:
        if exactly and name not in columns:
            bad(f"the column {name!r} is unknown: {wanted}; remove it")
    return rows
