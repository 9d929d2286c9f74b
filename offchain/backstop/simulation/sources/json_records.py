"""Records of JSON files as rows of a table: a list of objects, or one object after another (JSON lines)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from backstop.errors import BackstopError
from backstop.files.json_nesting import is_nested_too_deep
from backstop.simulation.scenario.csv_table import CsvRow

_SPACE = re.compile(r"[ \t\r\n]*")
_MOST_BRACKETS = 1 << 28  # no bound for files: their size is one
_HINT = "a record for each position or price"


class RecordNumber(int):
    """Number of a record, counted from 1; its text also shows the line where the record begins."""

    line: int

    def __new__(cls, number: int, line: int = 0) -> RecordNumber:
        made = super().__new__(cls, number)
        made.line = line
        return made

    def __str__(self) -> str:
        return f"{int(self)} (line {self.line})"


def parse_json_records(text: str, name: str) -> tuple[list[str], list[CsvRow]]:
    """Return the columns and rows of a JSON file with a list of objects or with JSON lines.

    Nested objects become columns with dotted names (`reserve.symbol`). Numbers stay text, so that nothing
    passes through a float. Null and missing members are empty cells; a list is kept as its text. Raises
    BackstopError that names the record of an error.
    """
    if is_nested_too_deep(text.encode(), _MOST_BRACKETS):
        raise BackstopError(f"{name}: is nested too deep: write {_HINT}")
    found: list[tuple[RecordNumber, dict[str, str]]] = []
    columns: dict[str, None] = {}
    objects = list(_read_objects(text, name))
    if len(objects) == 1 and (lists := _list_list_columns(objects[0][1])):
        # Which of its lists is meant is not said; one of objects is likelier than one of figures.
        likely = [column for column, values in lists if values and isinstance(values[0], _PairList)]
        listed = ", ".join(repr(column) for column in likely or [column for column, _ in lists])
        which = "a list under {}: give that list" if "," not in listed else "lists under {}: give one of them"
        raise BackstopError(f"{name}: is one object with {which.format(listed)}, {_HINT}")
    for number, record in objects:
        cells: dict[str, str] = {}
        _add_cells(cells, "", record, f"{name}: row {number}")
        columns |= dict.fromkeys(cells)
        found.append((number, cells))
    if not columns:
        raise BackstopError(f"{name}: has no records: write {_HINT}")
    rows = [CsvRow(number, {column: cells.get(column, "") for column in columns}) for number, cells in found]
    return list(columns), rows


class _PairList(list[tuple[str, Any]]):
    """Members of a JSON object as ordered pairs, in which a name may occur twice."""


_DECODER = json.JSONDecoder(
    object_pairs_hook=_PairList, parse_float=str, parse_int=str, parse_constant=str, strict=True
)


def _read_objects(text: str, name: str) -> Iterator[tuple[RecordNumber, _PairList]]:
    """Yield each object with its record number; raise BackstopError for anything else or a cut-off file."""
    place = _skip_space(text, 0)
    in_list = text[place : place + 1] == "["
    place = _skip_space(text, place + 1) if in_list else place
    number, line, counted = 0, 1, 0
    if in_list and text[place : place + 1] == "]":
        _refuse_rest(text, place + 1, name)
        return
    while in_list or place < len(text):
        number += 1
        line, counted = line + text.count("\n", counted, place), place
        record = RecordNumber(number, line)
        value, place = _decode_value(text, place, f"{name}: row {record}")
        if not isinstance(value, _PairList):
            raise BackstopError(f"{name}: row {record}: is not an object: write {_HINT}")
        yield record, value
        place = _skip_space(text, place)
        if not in_list:
            continue
        sign = text[place : place + 1]
        if sign == "]":
            _refuse_rest(text, place + 1, name)
            return
        if sign != ",":
            what = (
                "a comma or the end of the list is missing"
                if sign
                else "the list does not end: it is cut off"
            )
            raise BackstopError(f"{name}: row {record}: after it {what}")
        place = _skip_space(text, place + 1)


def _decode_value(text: str, place: int, where: str) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, place)
    except json.JSONDecodeError as error:
        _raise_syntax_error(where, error)


def _raise_syntax_error(where: str, error: json.JSONDecodeError) -> NoReturn:
    cut = "; the file may be cut off" if error.pos >= len(error.doc.rstrip()) else ""
    raise BackstopError(
        f"{where}: is not JSON: line {error.lineno}, column {error.colno}: {error.msg.lower()}{cut}"
    ) from None


def _add_cells(cells: dict[str, str], prefix: str, members: _PairList, where: str) -> None:
    """Add an object's members to a record's cells; nested members get dotted names."""
    for key, value in members:
        column = f"{prefix}{key}".strip()
        if isinstance(value, _PairList):
            _add_cells(cells, f"{column}.", value, where)
        elif column in cells:
            raise BackstopError(f"{where}: the column {column!r} is there twice: remove one")
        else:
            cells[column] = _format_value(value)


def _format_value(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return value.strip() if isinstance(value, str) else json.dumps(value)


def _list_list_columns(members: _PairList, prefix: str = "") -> list[tuple[str, list[Any]]]:
    """Return the members of an object that are lists, by dotted name."""
    found: list[tuple[str, list[Any]]] = []
    for key, value in members:
        if isinstance(value, _PairList):
            found += _list_list_columns(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            found.append((f"{prefix}{key}", value))
    return found


def _refuse_rest(text: str, place: int, name: str) -> None:
    place = _skip_space(text, place)
    if place < len(text):
        line = text.count("\n", 0, place) + 1
        raise BackstopError(f"{name}: line {line}: something follows the list: write one list, {_HINT}")


def _skip_space(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place
