"""A run directory: its files, and how each is written and read (docs/reference/data.md).

Equal runs give equal files, but for meta.json. Integers that may pass 64 bits are decimal strings; nothing is
ever a float.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstop.errors import BackstopError
from backstop.files.atomic_files import replace_file
from backstop.files.installation import format_command_as_started
from backstop.files.old_names import load_rename_table

if TYPE_CHECKING:
    import pandas as pd
    from pyarrow.parquet import ParquetWriter

    from backstop.proof.replayable_trace import ProtocolTrace

SCHEMA_VERSION = 2
_OLD_NAMES = 1
"""The schema version with the names that contracts, methods and figures had before 0.2."""

ROW_GROUP = 10_000
"""Rows that are converted to columns at once, so that the memory does not grow with the run."""

# Table -> column -> what it holds: "int" fits 64 bits, "big" is a decimal string, "text", "bool", "json".
TABLES: dict[str, dict[str, str]] = {
    "actions": {
        "step": "int",
        "timestamp": "int",
        "contract": "text",
        "method": "text",
        "args": "json",
        "sender": "text",
        "sender_name": "text",
        "ok": "bool",
        "reason": "text",
        "gas": "int",
    },
    "events": {
        "step": "int",
        "timestamp": "int",
        "contract": "text",
        "event": "text",
        "values": "json",
    },
    "state": {
        "timestamp": "int",
        "collateral_type": "int",
        "symbol": "text",
        "market_price_ray": "big",
        "pool_price_ray": "big",
        "current_ray": "big",
        "next_ray": "big",
        "locked_wad": "big",
        "performing_rad": "big",
        "in_auction_rad": "big",
        "deficit_rad": "big",
        "buffer_rad": "big",
        "ratio_bps": "int",
        "unsafe_vaults": "int",
        "debt_ceiling": "int",
    },
    "system": {
        "timestamp": "int",
        "supply_wad": "big",
        "reserve_rad": "big",
        "buffers_rad": "big",
        "savings_wad": "big",
        "gas_price_wei": "int",
        "pending": "int",
        "open_auctions": "int",
        "mode": "int",
        "shortfall_rad": "big",
    },
    "auctions": {
        "auction_id": "int",
        "collateral_type": "int",
        "symbol": "text",
        "owner": "text",
        "started_at": "int",
        "ended_at": "int",
        "lot_wad": "big",
        "sold_wad": "big",
        "returned_wad": "big",
        "principal_rad": "big",
        "target_rad": "big",
        "raised_wad": "big",
        "principal_lost_rad": "big",
        "resets": "int",
        "ended_by": "text",
    },
    "takes": {
        "step": "int",
        "timestamp": "int",
        "auction_id": "int",
        "symbol": "text",
        "taker": "text",
        "taker_name": "text",
        "slice_wad": "big",
        "paid_wad": "big",
        "price_ray": "big",
        "market_price_ray": "big",
    },
    "waterfall": {
        "step": "int",
        "timestamp": "int",
        "collateral_type": "int",
        "symbol": "text",
        "epoch": "int",
        "kind": "text",
        "stage": "text",
        "amount_rad": "big",
    },
    "calls": {
        "collateral_type": "int",
        "symbol": "text",
        "owner": "text",
        "called_at": "int",
        "due_at": "int",
        "expires_at": "int",
        "ended_at": "int",
        "ended_by": "text",
    },
    "workouts": {
        "workout_id": "int",
        "collateral_type": "int",
        "symbol": "text",
        "owner": "text",
        "entered_at": "int",
        "ended_at": "int",
        "ended_by": "text",
        "lot_wad": "big",
        "principal_rad": "big",
        "owed_wad": "big",
        "paid_wad": "big",
        "instalments": "int",
    },
    "margin_closings": {
        "step": "int",
        "timestamp": "int",
        "symbol": "text",
        "owner": "text",
        "owner_name": "text",
        "lots": "int",
        "whole_lots": "int",
        "price_wei": "big",
    },
    "margin_payments": {
        "step": "int",
        "timestamp": "int",
        "kind": "text",
        "payer": "text",
        "payer_name": "text",
        "paid_wad": "big",
    },
    "margin_liquidations": {
        "step": "int",
        "timestamp": "int",
        "symbol": "text",
        "owner": "text",
        "owner_name": "text",
        "liquidator": "text",
        "liquidator_name": "text",
        "lots": "int",
        "price_wad": "big",
        "reward_wad": "big",
        "fee_wad": "big",
    },
    "keepers": {
        "name": "text",
        "role": "text",
        "sent": "int",
        "included": "int",
        "dropped": "int",
        "failed": "int",
        "profit_wad": "big",
        "gas_cost_wad": "big",
    },
}

Row = Sequence[Any]


@dataclass(frozen=True)
class Run:
    """Finished run read from its directory, with one DataFrame for each table."""

    path: Path
    summary: dict[str, Any]
    meta: dict[str, Any]
    frames: dict[str, pd.DataFrame]


def transpose_table_rows(tables: Mapping[str, Sequence[Row]], table_name: str) -> dict[str, list[Any]]:
    """Return the rows of a table as lists by column name.

    A table without rows gives empty lists.
    """
    rows = tables.get(table_name, ())
    return {name: [row[i] for row in rows] for i, name in enumerate(TABLES[table_name])}


def to_json_value(value: Any) -> Any:
    """Convert a value to JSON types: large integers and bytes become strings, records become lists.

    Integers are large if they do not fit a signed 64-bit integer.
    """
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else str(value)
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, Mapping):
        return {str(name): to_json_value(item) for name, item in value.items()}
    return [to_json_value(item) for item in value]


def format_single_line_json(value: Any) -> str:
    """Return a value as one line of JSON, converted with `to_json_value`."""
    return json.dumps(to_json_value(value), separators=(",", ":"))


def write_run(
    directory: Path,
    summary: Mapping[str, Any],
    meta: Mapping[str, Any],
    tables: Mapping[str, Sequence[Row]],
    trace: ProtocolTrace | None,
) -> None:
    """Write a run directory: all tables, trace, summary and metadata, but not the report page.

    Rows hold Python integers; the column definitions decide how they are stored. Raises BackstopError if a
    file cannot be written.
    """
    from backstop.proof.replayable_trace import write_trace_json

    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name in TABLES:
            _write_table(directory, name, tables.get(name, ()))
        if trace is not None:
            write_trace_json(trace, directory / "trace.json")
        _write_text(directory / "summary.json", json.dumps(summary, indent=2, sort_keys=True) + "\n")
        _write_text(directory / "meta.json", json.dumps(meta, indent=2, sort_keys=True) + "\n")
    except OSError as error:
        raise BackstopError(f"{directory} cannot be written: {error.strerror or error}") from None


def hash_run_files(directory: Path) -> str | None:
    """Return the SHA-256 hash of a run's files in hex; None if a file is missing.

    `meta.json` must be valid but is not hashed, because it may differ between equal runs.
    """
    found = hashlib.sha256()
    try:
        json.loads((directory / "meta.json").read_text(encoding="utf-8"))
        for name in (*(f"{table}.parquet" for table in TABLES), "summary.json", "trace.json"):
            found.update(hashlib.sha256((directory / name).read_bytes()).digest())
    except (OSError, ValueError):
        return None
    return found.hexdigest()


def load_run(directory: str | Path) -> Run:
    """Read a run directory, including one of an interrupted run.

    Names of an older schema version are translated. Raises BackstopError if the directory is no valid run.
    """
    import pandas as pd

    directory = Path(directory)
    if not directory.is_dir():
        raise BackstopError(
            f"run directory {directory} not found: run `{format_command_as_started('simulate')}` first"
        )
    documents: list[dict[str, Any]] = []
    for name in ("summary.json", "meta.json"):
        path = directory / name
        try:
            documents.append(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise BackstopError(f"{directory} is not a run directory: it has no {name}") from None
        except (OSError, ValueError) as error:
            raise BackstopError(f"{path} cannot be read: {error}") from None
        version = documents[-1].get("schema_version")
        if version not in (SCHEMA_VERSION, _OLD_NAMES):
            raise BackstopError(f"{path} has schema version {version}, this program reads {SCHEMA_VERSION}")
    frames: dict[str, pd.DataFrame] = {}
    for name in TABLES:
        path = directory / f"{name}.parquet"
        if not path.is_file():
            raise BackstopError(f"{directory} is not a valid run: it has no {path.name}")
        try:
            frames[name] = pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise BackstopError(f"{path} cannot be read: {error}") from None
    if documents[0]["schema_version"] == _OLD_NAMES:
        documents[0] = load_rename_table().translate_summary(documents[0])
        frames |= {name: _translate_old_names(frames[name]) for name in ("actions", "events")}
    return Run(directory, documents[0], documents[1], frames)


def _translate_old_names(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table of actions or events with names from before version 0.2 replaced."""
    table = load_rename_table()
    found = frame.assign(contract=frame["contract"].map(partial(table.translate_name, "contracts")))
    if "event" in found:
        return found.assign(event=found["event"].map(partial(table.translate_name, "events")))
    methods = [table.translate_method(*pair) for pair in zip(found["contract"], found["method"], strict=True)]
    return found.assign(
        method=methods, reason=found["reason"].map(table.translate_reason, na_action="ignore")
    )


class TableSpool(list[Row]):
    """List of table rows that writes each full row group to a Parquet file, to bound memory.

    The list holds only rows that are not written yet. Equal rows give equal bytes.
    """

    def __init__(self, directory: Path, table: str) -> None:
        super().__init__()
        self._path = directory / f"{table}.parquet"
        self._part = self._path.with_suffix(".part")
        self._columns = TABLES[table]
        self._writer: ParquetWriter | None = None

    def append(self, row: Row) -> None:
        """Add a row, and write a row group to the file once it is full."""
        super().append(row)
        if len(self) == ROW_GROUP:
            self._write_group()

    def finish_file(self) -> None:
        """Write the remaining rows, and move the finished file to its final name."""
        if self or self._writer is None:
            self._write_group()
        assert self._writer is not None
        self._writer.close()
        replace_file(self._part, self._path)
        self._writer = None

    def discard_file(self) -> None:
        """Delete the temporary file of a table that was not finished."""
        if self._writer is not None:
            self._writer.close()
            self._part.unlink(missing_ok=True)

    def _write_group(self) -> None:
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter

        kinds = {"int": pa.int64(), "bool": pa.bool_()}
        schema = pa.schema(
            [pa.field(name, kinds.get(kind, pa.string())) for name, kind in self._columns.items()]
        )
        arrays = [
            pa.array([_convert_to_column_value(row[i], kind) for row in self], field.type)
            for i, (kind, field) in enumerate(zip(self._columns.values(), schema, strict=True))
        ]
        try:
            if self._writer is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._writer = ParquetWriter(self._part, schema, compression="zstd")
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
        except OSError as error:
            raise BackstopError(f"{self._path} cannot be written: {error.strerror or error}") from None
        self.clear()


def _write_table(directory: Path, table: str, rows: Sequence[Row]) -> None:
    """Write the rows of one table to its Parquet file; a spool only writes its remaining rows."""
    spool = rows if isinstance(rows, TableSpool) else TableSpool(directory, table)
    if spool is not rows:
        for row in rows:
            spool.append(row)
    spool.finish_file()


def _convert_to_column_value(value: Any, column_kind: str) -> Any:
    if column_kind == "big":
        return None if value is None else str(value)
    return format_single_line_json(value) if column_kind == "json" else value


def _write_text(path: Path, text: str) -> None:
    temporary = path.with_suffix(".part")
    temporary.write_text(text, encoding="utf-8")
    replace_file(temporary, path)
