"""Frames as tables on stdout and as CSV: a column's name ends with its unit, by which it is rounded here.

CSV and JSON keep the integers as they are.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstop.errors import BackstopError
from backstop.files.atomic_files import write_files
from backstop.model.arithmetic import BASIS_POINTS, RAD, WAD
from backstop.report.amounts import format_duration_text, format_fixed, format_percent
from backstop.simulation.loss_bearers import NOBODY

if TYPE_CHECKING:
    import pandas as pd

MICRO = 10**6

_UNITS: Mapping[str, Callable[[Any], str]] = {
    "wad": lambda value: format_fixed(int(value), WAD, 0),
    "rad": lambda value: format_fixed(int(value), RAD, 0),
    "micro": lambda value: format_fixed(int(value), MICRO, 0),
    "bps": lambda value: format_percent(int(value), BASIS_POINTS),
    "seconds": lambda value: format_duration_text(int(value)),
    "share": lambda value: f"{100 * value:.4g}%",
    "dollars": lambda value: f"{value:,.0f}",
    "days": lambda value: f"{value:.4g}",
}


def get_column_unit(column: str) -> str:
    """Return the unit suffix of a column's name, such as wad or seconds; empty if it has none."""
    ending = column.rpartition("_")[2]
    return ending if ending in _UNITS else ""


def format_console_cell(value: Any, unit: str) -> str:
    """Format a cell in its unit, rounded; a dash for a missing value."""
    if value is None or value != value:
        return "–"
    if unit:
        return _UNITS[unit](value)
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:,.4g}"
    return f"{value:,}" if type(value) is int else str(value)


def print_frame(frame: pd.DataFrame, title: str, omitted_columns: tuple[str, ...] = ()) -> None:
    """Print a DataFrame to stdout as a table; headings omit the unit suffix."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    columns = [column for column in frame.columns if column not in omitted_columns]
    for column in columns:
        numbers = (
            get_column_unit(column) or frame[column].map(lambda cell: isinstance(cell, int | float)).all()
        )
        name = column.removesuffix(f"_{get_column_unit(column)}") if get_column_unit(column) else column
        table.add_column(name.replace("_", " "), justify="right" if numbers else "left", no_wrap=True)
    for row in frame[columns].to_dict("records"):
        table.add_row(
            *(
                format_console_cell(_to_python_number(row[column]), get_column_unit(column))
                for column in columns
            )
        )
    # As wide as its text: a reader's pager or file may be wider than this terminal.
    Console(file=sys.stdout, highlight=False, width=40 + 24 * len(columns)).print(table)


def _to_python_number(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


_TITLES = {
    "at-risk": "Bad debt at risk, stablecoins",
    "falls": "Liquidatable debt and shortfall of its collateral, stablecoins",
    "figures": "Now and proposed on the same paths, stablecoins",
    "usage": "Lending against expected shortfall by setting, stablecoins",
    "alone": "Each change alone: expected shortfall of all bad debt",
    "sensitivity": "In other worlds: expected shortfall of all bad debt",
    "payers": "Payers, stablecoins on average",
    "owners": "The largest owners, stablecoins",
    "ceiling": "Sizes that were tried, stablecoins",
    "history": "Record and outcome of the paths: the average, and the range of 95% of them",
    "episodes": "Effect of each episode on this book: averages of the paths, stablecoins",
    "days": "Liquidated and repaid from the start to the end of each day, stablecoins",
}


def print_answer(summary: Mapping[str, Any], directory: Path) -> None:
    """Print the tables and the sentence of an answer to stdout, and the paths of its files."""
    import pandas as pd

    for name, title in _TITLES.items():
        if rows := summary["tables"].get(name):
            frame = pd.DataFrame(rows, columns=summary["columns"][name], dtype=object)
            print_frame(frame.replace(to_replace={"payer": {"holders": NOBODY}}), title)
            print()
    print(summary["sentence"])
    for line in (*summary.get("besides", ()), *filter(None, [summary.get("measure_says")])):
        print(line)
    for file in ("report.html", "summary.json"):
        if (directory / file).is_file():
            print(directory / file)


def write_answer_files(folder: Path, summary: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
    """Write an answer's summary, metadata and tables to a folder, as JSON and CSV files."""
    import pandas as pd

    tables = {
        name: pd.DataFrame(rows, columns=summary["columns"][name], dtype=object)
        for name, rows in summary["tables"].items()
        if rows
    }
    write_frames(folder, tables, summary=summary, meta=meta)


def write_frames(folder: Path, frames: Mapping[str, pd.DataFrame], **documents: Any) -> None:
    """Write DataFrames as CSV and other documents as JSON to a folder, all or none.

    Raises BackstopError if a file cannot be written.
    """
    files = {f"{name}.csv": frame.to_csv(index=False, lineterminator="\n") for name, frame in frames.items()}
    for name, document in documents.items():
        files[f"{name}.json"] = json.dumps(document, indent=2, sort_keys=True) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_files(folder, files)
    except OSError as error:
        raise BackstopError(f"{folder} cannot be written: {error.strerror or error}") from None
