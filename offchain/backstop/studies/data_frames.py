"""Rows as frames and frames as rows: exact amounts keep all their digits, missing values stay missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def build_frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return rows as a table; exact columns (`_wad`, `_rad`) have integers of any size."""
    import pandas as pd

    frame = pd.DataFrame(rows, dtype=object)
    small = [name for name in frame.columns if not name.endswith(("_wad", "_rad"))]
    return frame.assign(**{name: frame[name].convert_dtypes() for name in small})


def list_records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table's rows for JSON: exact amounts as text, None for missing values."""
    found = []
    for row in frame.to_dict("records"):
        cells = {}
        for name, value in row.items():
            cell = value.item() if hasattr(value, "item") else value
            missing = cell is None or not isinstance(cell, str | int | float) or cell != cell
            exact = str(name).endswith(("_wad", "_rad"))
            cells[str(name)] = None if missing else str(cell) if exact else cell
        found.append(cells)
    return found
