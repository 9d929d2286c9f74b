"""Depths from outside sources: the loss of a sale by size and venue, read like tables of prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.errors import BackstopError
from backstop.simulation.scenario import quantity_units
from backstop.simulation.scenario.csv_table import CsvRow
from backstop.simulation.sources.price_reader import parse_time
from backstop.simulation.sources.symbol_to_scenario_name_mapping import map_symbols_to_scenario_names
from backstop.simulation.sources.table_reader import (
    TableFault,
    check_bad_row_policy,
    count_droppable_rows,
    read_source_table,
    require_columns,
)

if TYPE_CHECKING:
    from backstop.simulation.sources.table_reader import Source

FIELDS = ("asset", "venue", "size", "impact")
MICRO = 10**6
BILLIONTH = 10**9


@dataclass(frozen=True)
class DepthQuote:
    """Loss of a sale of a given size on one venue: average over the sale, fees included."""

    symbol: str
    venue: str
    time: int  # seconds of the epoch; 0 where the file has no times
    size: int  # micro dollars at the price before the sale
    impact: int  # billionths of that price


@dataclass(frozen=True)
class DepthQuotes:
    """Depth quotes of a file, in the order of their times."""

    name: str
    quotes: tuple[DepthQuote, ...]
    told: tuple[str, ...] = ()  # what was left out, counted

    def get_quotes(self, symbol: str) -> tuple[DepthQuote, ...]:
        """Return the quotes of one asset, in the order of their times."""
        return tuple(quote for quote in self.quotes if quote.symbol == symbol)


def read_depth(
    source: Source,
    *,
    columns: Mapping[str, str] | None = None,
    rename: Mapping[str, str] | None = None,
    bad_rows: str = "refuse",
) -> DepthQuotes:
    """Read the price impact of sales by asset, venue and size, as depth quotes.

    `size` is in dollars. `impact` is the average loss as a share, so that a sale brings `size` times one
    minus `impact`. `columns` maps fields to columns; `time` is optional. All faults are collected before an
    error is raised; `bad_rows="drop"` drops and counts faulty rows, up to one in a hundred, `"drop-any"` any
    number.
    """
    check_bad_row_policy(bad_rows)
    table = read_source_table(source)
    names = {field: field for field in (*FIELDS, "time")} | dict(columns or {})
    unknown = sorted(set(names) - {*FIELDS, "time"})
    if unknown:
        raise BackstopError(f"columns: {unknown[0]!r} is not one of: {', '.join((*FIELDS, 'time'))}")
    timed = names["time"] in table.columns or "time" in (columns or {})
    needed = [names[field] for field in FIELDS] + ([names["time"]] if timed else [])
    require_columns(table, needed, "say which columns mean what: asset, venue, size, impact")
    faults: list[TableFault] = []
    quotes = [
        quote for row in table.rows if (quote := _read_depth_quote(row, names, timed, faults)) is not None
    ]
    dropped = count_droppable_rows(table, faults, bad_rows)
    if not quotes:
        raise BackstopError(f"{table.name}: has no depths: write rows under the header")
    symbols = map_symbols_to_scenario_names(
        list(dict.fromkeys(quote.symbol for quote in quotes)), rename or {}
    )
    ordered = sorted(quotes, key=lambda quote: quote.time)
    return DepthQuotes(
        table.name,
        tuple(DepthQuote(symbols[q.symbol], q.venue, q.time, q.size, q.impact) for q in ordered),
        (f"{dropped:,} rows of {table.name} cannot be read, and are left out.",) if dropped else (),
    )


def _read_depth_quote(
    row: CsvRow, names: Mapping[str, str], timed: bool, faults: list[TableFault]
) -> DepthQuote | None:
    """Read a row as a depth quote; None if it has faults, which are added to `faults`."""
    cells, found = row.cells, dict.fromkeys(("time", "size", "impact"), 0)
    before = len(faults)
    for field, most, unit in (("size", 10**15, MICRO), ("impact", 1, BILLIONTH)):
        try:
            digits, below = quantity_units.read_numerator_and_denominator(
                cells[names[field]], f"a {field}", "0.004"
            )
            if not 0 < digits < most * below:
                raise ValueError(
                    f"{cells[names[field]]!r} is not a valid {field}: write dollars, and a share under 1"
                )
            found[field] = digits * unit // below
        except ValueError as error:
            faults.append(TableFault(row.number, names[field], str(error)))
    if timed:
        try:
            found["time"] = parse_time(cells[names["time"]])
        except ValueError as error:
            faults.append(TableFault(row.number, names["time"], str(error)))
    if not cells[names["asset"]]:
        faults.append(TableFault(row.number, names["asset"], "is empty: name the asset"))
    if len(faults) > before:
        return None
    return DepthQuote(cells[names["asset"]], cells[names["venue"]], **found)
