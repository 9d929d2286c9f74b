"""Tables of strangers as text: CSV, JSON, Parquet, frames, also of object stores. Rows know their number."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from backstop.errors import BackstopError
from backstop.simulation.scenario.csv_table import CsvRow, parse_header_and_rows
from backstop.simulation.sources.json_records import parse_json_records

if TYPE_CHECKING:
    from typing import TypeAlias

    import pandas as pd

    Source: TypeAlias = str | Path | pd.DataFrame | pa.Table

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_NAME = re.compile(r"[\w. ]+")  # of a column; a header with other separators is one column
_SHOWN = 3
_PATIENCE = 20
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd"}
"""First bytes of compressed files."""


class FloatCell(str):
    """Text of a cell that was a float, in its shortest decimal form."""


class SourceTable(NamedTuple):
    """Table read as text: its name, its columns and its rows with their numbers."""

    name: str
    columns: tuple[str, ...]
    rows: list[CsvRow]


class TableFault(NamedTuple):
    """Fault in a table: its row (0 for the whole table), its column, and the problem."""

    row: int
    column: str
    problem: str

    def __str__(self) -> str:
        place = [f"row {self.row}"] if self.row else []
        place += [f"column {self.column}"] if self.column else []
        return f"{', '.join(place)}: {self.problem}" if place else self.problem


class TableFaultsError(BackstopError):
    """Raised with all faults of a table; its message shows the first three."""

    def __init__(self, name: str, faults: Sequence[TableFault]) -> None:
        self.name = name
        self.faults = tuple(faults)
        shown = "; ".join(str(fault) for fault in faults[:_SHOWN])
        more = f"; and {len(faults) - _SHOWN:,} more faults" if len(faults) > _SHOWN else ""
        super().__init__(f"{name}: {shown}{more}")


BAD_ROWS = ("refuse", "drop", "drop-any")
"""Treatments of unreadable rows: at most one in a hundred is left out, or any number."""
_MOST_PER_HUNDRED = 1


def count_droppable_rows(table: SourceTable, faults: Sequence[TableFault], bad_row_policy: str) -> int:
    """Return the number of rows that are dropped for their faults, if the policy allows this.

    Raises an error if the policy is `refuse`, if no row is valid, or if more than one row in a hundred is
    faulty and the policy is not `drop-any`.
    """
    dropped = len({fault.row for fault in faults})
    if dropped and bad_row_policy == "refuse":
        raise TableFaultsError(table.name, faults)
    if dropped and dropped == len(table.rows):
        raise BackstopError(f"{table.name}: none of its {dropped:,} rows can be read; the first: {faults[0]}")
    if bad_row_policy == "drop" and 100 * dropped > _MOST_PER_HUNDRED * len(table.rows):
        share = f"{100 * dropped / len(table.rows):.1f}%"
        raise BackstopError(
            f"{table.name}: {dropped:,} of {len(table.rows):,} rows ({share}) cannot be read, and 'drop' "
            f"leaves out {_MOST_PER_HUNDRED}% at most; the first: {faults[0]}; mend them, or give 'drop-any'"
        )
    return dropped


def check_bad_row_policy(bad_row_policy: str) -> None:
    """Raise BackstopError if the policy for faulty rows is unknown."""
    if bad_row_policy not in BAD_ROWS:
        raise BackstopError(f"bad_rows: {bad_row_policy!r} is not one of: {', '.join(BAD_ROWS)}")


def read_source_table(source: Source, filesystem: pafs.FileSystem | None = None) -> SourceTable:
    """Read a table from a path, an object store address, a DataFrame or an Arrow table.

    CSV, JSON and Parquet are recognised by content, and so is compression (gzip, zstd, bz2). `filesystem`, if
    given, resolves the path.
    """
    if isinstance(source, pa.Table):
        return _from_arrow("table", source)
    if not isinstance(source, str | Path):
        import pandas as pd

        if not isinstance(source, pd.DataFrame):
            kind = type(source).__name__
            raise BackstopError(f"a {kind} is not a table: give a path, a DataFrame or a pyarrow Table")
        return _build_source_table_from_frame(source)
    name, content = _read_file_name_and_bytes(str(source), filesystem)
    if content[:4] == b"PAR1":
        try:
            return _from_arrow(name, pq.read_table(io.BytesIO(content)))
        except (OSError, pa.ArrowException) as error:
            raise BackstopError(f"{name} is not a valid Parquet file: {_get_first_line(error)}") from None
    return _parse_csv_bytes(name, content)


def _read_file_name_and_bytes(path: str, filesystem: pafs.FileSystem | None) -> tuple[str, bytes]:
    """Return a file's name and its decompressed content."""
    given, name = path, path.rstrip("/").rsplit("/", 1)[-1]
    if not name:
        raise BackstopError("'' is not a file; expected a path")
    try:
        if filesystem is None and _URI.match(path):
            filesystem, path = pafs.FileSystem.from_uri(_append_retry_limit_to_gcs_url(path))
        filesystem = filesystem or pafs.LocalFileSystem()
        if filesystem.get_file_info(path).type == pafs.FileType.Directory:
            raise BackstopError(f"{given} is a directory: give a file in it")
        with filesystem.open_input_stream(path) as stream:
            content = stream.read()
    except FileNotFoundError:
        raise BackstopError(f"file {given} not found") from None
    except (OSError, pa.ArrowException) as error:
        unknown = "Unrecognized filesystem" in str(error)
        hint = ": give a file, s3://, gs://, abfs:// or hdfs://" if unknown else ""
        raise BackstopError(f"{given} cannot be read: {_get_first_line(error)}{hint}") from None
    return name, _decompress_bytes(name, content)


def _decompress_bytes(file_name: str, content: bytes) -> bytes:
    """Return the decompressed content; compression is recognised by the first bytes, not by the name."""
    kind = next((kind for begin, kind in _COMPRESSED.items() if content.startswith(begin)), None)
    if kind is None:
        return content
    try:
        return bytes(pa.CompressedInputStream(pa.BufferReader(content), kind).read())
    except (OSError, pa.ArrowException) as error:
        raise BackstopError(f"{file_name} is not a valid {kind} file: {_get_first_line(error)}") from None


def _append_retry_limit_to_gcs_url(storage_url: str) -> str:
    """Return a Google Cloud Storage URL with a retry limit; other URLs unchanged.

    Without the limit a failed access is retried for a quarter of an hour.
    """
    if not storage_url.startswith(("gs://", "gcs://")) or "retry_limit_seconds" in storage_url:
        return storage_url
    return f"{storage_url}{'&' if '?' in storage_url else '?'}retry_limit_seconds={_PATIENCE}"


def _get_first_line(error: Exception) -> str:
    """Return the first line of a library's error message, cut to 200 characters."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200].rstrip(". ")


def _parse_csv_bytes(file_name: str, content: bytes) -> SourceTable:
    if content[:2] == b"PK":
        raise BackstopError(f"{file_name} is a spreadsheet or an archive: save the sheet as CSV in UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BackstopError(f"{file_name} cannot be read: not UTF-8 text: save it as CSV in UTF-8") from None
    if text.lstrip()[:1] in ("{", "["):
        columns, records = parse_json_records(text, file_name)
        return SourceTable(file_name, tuple(columns), records)
    _, header, rows = parse_header_and_rows(io.StringIO(text, newline=""), file_name)
    if not header:
        raise BackstopError(f"{file_name}: row 1: is empty: write a header and rows under it")
    return SourceTable(file_name, tuple(header), rows)


def _from_arrow(name: str, table: pa.Table) -> SourceTable:
    _refuse_duplicate_columns(name, table.column_names)
    columns = [[_convert_cell_to_text(value) for value in column.to_pylist()] for column in table.columns]
    return _build_source_table(name, table.column_names, columns)


def _build_source_table_from_frame(frame: pd.DataFrame) -> SourceTable:
    names = [str(column) for column in frame.columns]
    _refuse_duplicate_columns("frame", names)
    columns = [
        [_convert_cell_to_text(value) for value in frame.iloc[:, i].tolist()] for i in range(len(names))
    ]
    return _build_source_table("frame", names, columns)


def _build_source_table(name: str, names: Sequence[str], columns: Sequence[Sequence[str]]) -> SourceTable:
    cells = zip(*columns, strict=True)
    rows = [CsvRow(number, dict(zip(names, row, strict=True))) for number, row in enumerate(cells, 1)]
    return SourceTable(name, tuple(names), rows)


def _refuse_duplicate_columns(name: str, names: Sequence[str]) -> None:
    for column in names:
        if list(names).count(column) > 1:
            raise BackstopError(f"{name}: the column {column!r} is there twice: remove one")


def _convert_cell_to_text(value: Any) -> str:
    """Return a cell as text: empty for a missing value, a FloatCell for a float."""
    if value is None or value != value:  # NaN and NaT are not themselves
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return FloatCell(repr(float(value)))  # numpy's floats show their type
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, datetime) else str(value).strip()


def require_columns(table: SourceTable, columns: Sequence[str], fail_hint: str) -> None:
    """Raise BackstopError if the table lacks one of these columns; the message lists those it has."""
    missing = [column for column in dict.fromkeys(columns) if column not in table.columns]
    if missing:
        _raise_missing_columns(table, missing, fail_hint)


def _raise_missing_columns(table: SourceTable, missing: Sequence[str], hint: str) -> NoReturn:
    listed = ", ".join(repr(column) for column in missing)
    there = ", ".join(table.columns[:20])
    is_joined = len(table.columns) == 1 and not _NAME.fullmatch(table.columns[0])
    commas = ", with commas between" if is_joined else ""
    are = "columns are" if len(missing) > 1 else "column is"
    raise BackstopError(f"{table.name}: the {are} missing: {listed}{commas}; there are {there}: {hint}")
