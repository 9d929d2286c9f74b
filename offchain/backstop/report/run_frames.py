"""Data frames of a run's tables: exact integers out, empty frames where the run ended early."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from backstop.model.arithmetic import RAY
from backstop.simulation.run_directory import Run


def get_table(run: Run, name: str) -> pd.DataFrame:
    """Return a table of the run; an empty one if the run ended before the table was written."""
    frame = run.frames.get(name)
    return pd.DataFrame() if frame is None else frame


def list_records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a DataFrame as dictionaries by column."""
    rows: list[dict[str, Any]] = frame.to_dict("records")  # type: ignore[assignment]
    return rows


def iter_rows_by_collateral_type(frame: pd.DataFrame) -> Iterator[tuple[int, str, pd.DataFrame]]:
    """Yield the number, symbol and rows of each collateral type."""
    if not frame.empty:
        for number, rows in frame.groupby("collateral_type", sort=True):
            yield int(str(number)), str(rows["symbol"].iloc[0]), rows


def get_first_value(rows: pd.DataFrame, column: str) -> int:
    """Return the column's value in the first row as an exact integer."""
    return int(rows[column].iloc[0])


def get_last_value(rows: pd.DataFrame, column: str) -> int:
    """Return the column's value in the last row as an exact integer."""
    return int(rows[column].iloc[-1])


def find_lowest_value_and_time(rows: pd.DataFrame, column: str) -> tuple[int, int]:
    """Return the column's lowest value and the first timestamp at which it was reached."""
    return min((int(v), int(t)) for v, t in zip(rows[column], rows["timestamp"], strict=True))


def list_take_and_market_prices(takes: pd.DataFrame) -> list[tuple[int, int]]:
    """Return pairs of price and market price [ray] of all purchases with a market price."""
    pairs = zip(takes["price_ray"], takes["market_price_ray"], strict=True)
    return [(int(price), int(market)) for price, market in pairs if int(market)]


def find_cheapest_take_and_market_price(takes: pd.DataFrame) -> tuple[int, int]:
    """Return the price and market price [ray] of the purchase with the lowest ratio of both."""
    return min(list_take_and_market_prices(takes), key=lambda pair: pair[0] * RAY // pair[1])


def find_dearest_take_and_market_price(takes: pd.DataFrame) -> tuple[int, int]:
    """Return the price and market price [ray] of the purchase with the highest ratio of both."""
    return max(list_take_and_market_prices(takes), key=lambda pair: pair[0] * RAY // pair[1])
