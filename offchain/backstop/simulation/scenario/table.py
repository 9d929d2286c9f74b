"""CSV files of users: a header, then rows that know their place in the file."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from backstop.errors import BackstopError


class Row(NamedTuple):
    """The cells of a row by column, and the row's number: the header is 1, blank lines count."""

    number: int
    cells: dict[str, str]


def read_table(
    path: Path, fail: Callable[[str], NoReturn], columns: Sequence[str], exactly: bool = True
) -> list[Row]:
    """Read a CSV file with these columns, and no others if `exactly`.

    `fail` takes what is wrong with the file, for whoever names it; what is wrong in it has file and row. A
    byte-order mark, the line ends of any system, blank lines and spaces around cells are accepted.
    """

    def bad(number: int, problem: str) -> NoReturn:
        raise BackstopError(f"{path.name}: row {number}: {problem}")

    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except OSError as error:
        fail(f"{path.name} cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        fail(f"{path.name} cannot be read: not UTF-8 text: save it as CSV in UTF-8")
    except csv.Error as error:
        bad(reader.line_num, f"is no CSV: {error}")

    rows = [(number, row) for number, row in rows if any(row)]
    first, header = rows[0] if rows else (1, [])
    wanted = f"the columns must be {', '.join(columns)}" if exactly else f"needs {', '.join(columns)}"
    if not header:
        bad(1, f"is empty: {wanted}")
    for name in columns:
        if name not in header:
            hint = "" if len(header) > 1 else ", with commas between"
            bad(first, f"the column {name!r} is missing: {wanted}{hint}; there are {', '.join(header)}")
    for name in header:
        if header.count(name) > 1:
            bad(first, f"the column {name!r} is there twice: remove one")
        if exactly and name not in columns:
            bad(first, f"the column {name!r} is unknown: {wanted}; remove it")
    found = []
    for number, row in rows[1:]:
        if len(row) != len(header):
            bad(number, f"has {len(row)} columns, and the header {len(header)}")
        found.append(Row(number, dict(zip(header, row, strict=True))))
    return found
