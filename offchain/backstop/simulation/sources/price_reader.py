"""Prices from outside sources: any spacing, many assets, read exactly; irregularities are named."""

from __future__ import annotations

import csv
import io
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median_low
from typing import TYPE_CHECKING

import pyarrow.fs as pafs

from backstop.errors import BackstopError
from backstop.files.atomic_files import write_files
from backstop.model.arithmetic import RAY
from backstop.model.bounds import MAX_PRICE
from backstop.simulation.scenario import quantity_units
from backstop.simulation.scenario.csv_table import CsvRow
from backstop.simulation.scenario.isolated_prints import describe_isolated_print, list_isolated_prints
from backstop.simulation.scenario.parameters_yaml_writer import format_decimal
from backstop.simulation.scenario.scenario_records import TypeAssets
from backstop.simulation.sources.symbol_to_scenario_name_mapping import map_symbols_to_scenario_names
from backstop.simulation.sources.table_reader import (
    BAD_ROWS,
    SourceTable,
    TableFault,
    TableFaultsError,
    count_droppable_rows,
    read_source_table,
    require_columns,
)

if TYPE_CHECKING:
    import pandas as pd

    from backstop.simulation.sources.table_reader import Source

SPACINGS = (
    *(1, 2, 5, 10, 12, 15, 30, 60, 120, 300, 600, 900, 1_800),
    *(3_600, 7_200, 14_400, 21_600, 43_200, 86_400),
)
"""Spacings that a written file may have, seconds: whole numbers of blocks of five minutes, or less."""

DAY = 86_400
# Units of an epoch by their size: seconds till the year 5138, then thousandths, millionths, billionths.
_EPOCH = re.compile(r"([0-9]+)(?:\.[0-9]+)?")  # a fraction is of its last unit: rounded down
_EPOCHS = ((10**11, 1), (10**14, 10**3), (10**17, 10**6), (10**20, 10**9))
_GAP = 3
_FACTOR = 5
_NAMED_PRINTS = 3  # of an asset in a note


@dataclass(frozen=True)
class PriceSeries:
    """Prices of one asset [ray] with their times, in ascending order."""

    times: tuple[int, ...]  # seconds of the epoch, rising
    values: tuple[int, ...]  # ray

    def get_price(self, time: int) -> int:
        """Return the price in force at a time: the last one so far, or the first price before that."""
        return self.values[max(0, bisect_right(self.times, time) - 1)]


@dataclass(frozen=True)
class PriceHistory:
    """Prices that were read from a file, by symbol, with notes on irregularities."""

    name: str
    series: Mapping[str, PriceSeries]
    told: tuple[str, ...] = ()  # what was left out, held or kept, counted

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols in the order of the file."""
        return tuple(self.series)

    @property
    def first_common_time(self) -> int:
        """First time at which every asset has a price [seconds of the epoch]."""
        return max(each.times[0] for each in self.series.values())

    @property
    def last_common_time(self) -> int:
        """Last time until which every asset has prices [seconds of the epoch]."""
        return min(each.times[-1] for each in self.series.values())

    @property
    def every(self) -> int:
        """Interval between rows when the prices are written [seconds].

        It is the median interval of the prices, rounded down to an allowed one.
        """
        found = find_median_spacing(
            [time for each in self.series.values() for time in _list_steps(each.times)]
        )
        return max((each for each in SPACINGS if each <= found), default=1)

    @property
    def last_prices_by_symbol(self) -> dict[str, int]:
        """Price of each asset at the last common time [ray], by symbol."""
        return {symbol: each.get_price(self.last_common_time) for symbol, each in self.series.items()}

    def is_on_grid(self, begin: int) -> bool:
        """Return True if every price is at a whole number of intervals from `begin`."""
        return all((time - begin) % self.every == 0 for each in self.series.values() for time in each.times)

    def select_symbols(self, symbols: Sequence[str]) -> PriceHistory:
        """Return the history of these symbols only; raise BackstopError for a symbol without prices."""
        missing = [symbol for symbol in symbols if symbol not in self.series]
        if missing:
            there = ", ".join(self.series)
            raise BackstopError(
                f"{self.name}: has no prices of {', '.join(missing)}; there are {there}: say which column "
                f"has them, as --asset {missing[0]}=COLUMN"
            )
        return PriceHistory(self.name, {symbol: self.series[symbol] for symbol in symbols}, self.told)

    def select_assets(self, assets: Iterable[TypeAssets]) -> PriceHistory:
        """Return the history of the assets that types need; raise BackstopError for one without prices."""
        made = list(assets)
        names = dict.fromkeys(name for each in made for name in each if name)
        missing = [name for name in names if name not in self.series]
        debts = [name for name in missing if any(name == each.debt for each in made)]
        if debts:
            raise BackstopError(
                f"{self.name}: has no prices of {', '.join(debts)}, of which debts are; there are "
                f"{', '.join(self.series)}: add a column, or count such debts as dollars with --debts dollars"
            )
        return self.select_symbols(tuple(names))

    def to_frame(self) -> pd.DataFrame:
        """Return the prices [ray] at each time of the file as a DataFrame, one column per asset.

        Between its own times an asset keeps its last price.
        """
        import pandas as pd

        times = sorted({time for each in self.series.values() for time in each.times})
        held = {symbol: [each.get_price(time) for time in times] for symbol, each in self.series.items()}
        index = pd.Index(pd.to_datetime(times, unit="s", utc=True), name="time")
        return pd.DataFrame(held, index=index, dtype=object)

    def to_csv(self, begin: int | None = None, every: int = 0) -> str:
        """Return the prices as CSV text, one row every `every` seconds from `begin` on.

        By default rows start at the first common time, at the history's own interval. A price holds until the
        next one; prices between two rows are left out.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("time", *self.series))
        first = self.first_common_time if begin is None else begin
        for time in range(first, self.last_common_time + 1, every or self.every):
            stamp = datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            writer.writerow(
                (stamp, *(format_decimal(each.get_price(time), RAY) for each in self.series.values()))
            )
        return text.getvalue()

    def write_prices_csv(self, folder: str | Path, begin: int | None = None) -> Path:
        """Write the prices to `prices.csv` in a folder, and return the file's path.

        Raises BackstopError if the file cannot be written.
        """
        path = Path(folder)
        try:
            path.mkdir(parents=True, exist_ok=True)
            write_files(path, {"prices.csv": self.to_csv(begin)})
        except OSError as error:
            raise BackstopError(f"{path} cannot be written: {error.strerror or error}") from None
        return path / "prices.csv"


def read_prices(
    source: Source,
    *,
    time: str = "time",
    columns: Mapping[str, str] | Sequence[str] | None = None,
    symbol: str | None = None,
    price: str = "price",
    rename: Mapping[str, str] | None = None,
    duplicates: str = "refuse",
    splits: str = "refuse",
    prints: str = "refuse",
    bad_rows: str = "refuse",
    filesystem: pafs.FileSystem | None = None,
) -> PriceHistory:
    """Read prices in dollars from a CSV, JSON or Parquet file, a DataFrame or an Arrow table.

    See docs/how-to/own-data.md. A file has one column per asset (all but `time`, or `columns` by symbol), or
    one row per asset and time (`symbol` and `price` name columns). Times are epoch numbers (seconds to
    nanoseconds) or ISO 8601, by default in UTC.

    Two prices at one time are an error, unless `duplicates` is `first` or `last`. A step that looks like a
    split is an error, unless `splits` is `keep`. Isolated prints (`isolated_prints.list_isolated_prints`) are
    an error, unless `prints` is `keep`, or `drop`: then the price before holds.
    """
    for name, given, known in (
        ("duplicates", duplicates, ("refuse", "first", "last")),
        ("splits", splits, ("refuse", "keep")),
        ("prints", prints, ("refuse", "keep", "drop")),
        ("bad_rows", bad_rows, BAD_ROWS),
    ):
        if given not in known:
            raise BackstopError(f"{name}: {given!r} is not one of: {', '.join(known)}")
    if symbol is not None and columns is not None:
        raise BackstopError(
            f"columns: are for a file with a column for each asset; the assets of this one are in {symbol!r}"
        )
    table = read_source_table(source, filesystem)
    reading = _PriceReader(table, duplicates, splits, prints)
    if symbol is not None:
        require_columns(table, [time, symbol, price], "say which columns mean what: time, symbol, price")
        found = reading.read_long_table(time, symbol, price)
    else:
        wide = _map_price_columns_by_symbol(table, time, columns)
        require_columns(
            table, [time, *wide.values()], "say which columns mean what: time, and one for each asset"
        )
        found = reading.read_wide_table(time, wide)
    return reading.build_price_history(found, rename or {}, bad_rows)


def _map_price_columns_by_symbol(
    table: SourceTable, time: str, columns: Mapping[str, str] | Sequence[str] | None
) -> dict[str, str]:
    """Return the price columns of a file with one column per asset, by symbol."""
    if columns is None:
        columns = [column for column in table.columns if column != time]
        if not columns:
            raise BackstopError(f"{table.name}: has no column of prices beside {time!r}")
    return dict(columns) if isinstance(columns, Mapping) else {column: column for column in columns}


class _PriceQuote:
    """Price at a time, with its row and column in the file."""

    __slots__ = ("column", "row", "time", "value")

    def __init__(self, row: int, column: str, time: int, value: int) -> None:
        self.row, self.column, self.time, self.value = row, column, time, value


class _PriceReader:
    """Reader of one table of prices into a price history."""

    def __init__(self, table: SourceTable, duplicates: str, splits: str, prints: str) -> None:
        self.table = table
        self.duplicates = duplicates
        self.splits = splits
        self.prints = prints
        self.faults: list[TableFault] = []
        self.told: list[str] = []
        self.told_of: dict[str, list[str]] = {}  # symbols by what is told of them

    def read_wide_table(self, time: str, columns: Mapping[str, str]) -> dict[str, list[_PriceQuote]]:
        """Read quotes from a table with one column per asset; empty cells are counted and skipped."""
        found: dict[str, list[_PriceQuote]] = {symbol: [] for symbol in columns}
        missing = 0
        for row in self.table.rows:
            at = self._read_time(row, time)
            for symbol, column in columns.items():
                if row.cells[column]:
                    self._add_quote(found[symbol], row, column, at)
                else:
                    missing += 1
        if missing:
            self.told.append(f"Empty cells, where the price before holds: {missing:,}.")
        return found

    def read_long_table(self, time: str, symbol: str, price: str) -> dict[str, list[_PriceQuote]]:
        """Read quotes from a table with one row per asset and time."""
        found: dict[str, list[_PriceQuote]] = {}
        for row in self.table.rows:
            at = self._read_time(row, time)
            if row.cells[symbol]:
                self._add_quote(found.setdefault(row.cells[symbol], []), row, price, at)
            else:
                self.faults.append(TableFault(row.number, symbol, "is empty: name the asset"))
        return found

    def _read_time(self, row: CsvRow, column: str) -> int | None:
        try:
            return parse_time(row.cells[column])
        except ValueError as error:
            self.faults.append(TableFault(row.number, column, str(error)))
            return None

    def _add_quote(self, quotes: list[_PriceQuote], row: CsvRow, column: str, at: int | None) -> None:
        text = row.cells[column]
        try:
            digits, below = quantity_units.read_numerator_and_denominator(text, "a price", "195.21")
            value = digits * RAY // below
            if digits <= 0 or not value:
                raise ValueError(f"{text!r} is not a price: write a number above 0, as 195.21")
            if value > MAX_PRICE:
                raise ValueError(f"{text!r} is more than a feed takes: give dollars for a whole coin")
        except ValueError as error:
            self.faults.append(TableFault(row.number, column, str(error)))
            return
        if at is not None:
            quotes.append(_PriceQuote(row.number, column, at, value))

    # ------------------------------------------------------------------- series

    def build_price_history(
        self, quotes_by_symbol: Mapping[str, list[_PriceQuote]], rename: Mapping[str, str], bad_rows: str
    ) -> PriceHistory:
        """Return the price history of all quotes, sorted by time, with irregularities noted.

        Raises BackstopError for irregularities that are not allowed, or without a common time of all assets.
        """
        name = self.table.name
        if count_droppable_rows(self.table, self.faults, bad_rows):
            self.told.append(f"{len(self.faults):,} cells cannot be read, and are left out.")
            self.faults = []
        quotes_by_symbol = {symbol: quotes for symbol, quotes in quotes_by_symbol.items() if quotes}
        if not quotes_by_symbol:
            raise BackstopError(f"{name}: has no prices: write rows under the header")
        unordered = sum(b.time < a.time for quotes in quotes_by_symbol.values() for a, b in pairwise(quotes))
        if unordered:
            self.told.append(f"{unordered:,} prices are not in the order of their times, and were sorted.")
        try:
            names = map_symbols_to_scenario_names(quotes_by_symbol, rename)
        except BackstopError as error:
            raise BackstopError(f"{name}: {error}") from None
        other = [f"{symbol!r} is called {new}" for symbol, new in names.items() if symbol != new]
        if other:
            self.told.append(f"{', '.join(other)}.")
        series = {
            names[symbol]: self._build_sorted_series(names[symbol], quotes)
            for symbol, quotes in quotes_by_symbol.items()
        }
        if self.faults:
            raise TableFaultsError(name, self.faults)
        told = [f"{', '.join(symbols)}: {text}" for text, symbols in self.told_of.items()]
        prices = PriceHistory(name, series, (*self.told, *told))
        if prices.last_common_time <= prices.first_common_time:
            raise BackstopError(f"{name}: {_describe_missing_common_time(series)}")
        return prices

    def _build_sorted_series(self, symbol: str, quotes: list[_PriceQuote]) -> PriceSeries:
        quotes = sorted(quotes, key=lambda quote: quote.time)
        kept: list[_PriceQuote] = []
        twice = 0
        for quote in quotes:
            if kept and kept[-1].time == quote.time:
                twice += 1
                if kept[-1].value != quote.value:
                    self._apply_duplicate_policy(kept, quote)
            else:
                kept.append(quote)
        if twice:
            self._note_oddity(symbol, f"prices of a time that has one already: {twice:,}.")
        kept = self._resolve_prints(symbol, kept)
        self._note_price_gaps(symbol, kept)
        self._report_suspected_splits(symbol, kept)
        return PriceSeries(tuple(quote.time for quote in kept), tuple(quote.value for quote in kept))

    def _note_oddity(self, symbol: str, text: str) -> None:
        """Record a note on an asset's prices; equal notes of several assets are joined."""
        self.told_of.setdefault(text, []).append(symbol)

    def _apply_duplicate_policy(self, kept_quotes: list[_PriceQuote], quote: _PriceQuote) -> None:
        """Keep the first or last of two quotes at one time, or record a fault if neither is chosen."""
        if self.duplicates == "refuse":
            problem = (
                f"another price of that time is in row {kept_quotes[-1].row}: say whether "
                "the first or last counts"
            )
            self.faults.append(TableFault(quote.row, quote.column, problem))
        elif self.duplicates == "last":
            kept_quotes[-1] = quote

    def _resolve_prints(self, symbol: str, quotes: list[_PriceQuote]) -> list[_PriceQuote]:
        """Return the quotes after isolated prints are refused, kept or dropped, as chosen.

        A refused print is dropped as well, so that it is not also reported as a split.
        """
        isolated: list[_PriceQuote] = []
        for first, length, usual in list_isolated_prints([quote.value for quote in quotes]):
            before, after = quotes[first - 1], quotes[first + length]
            for quote in quotes[first : first + length]:
                isolated.append(quote)
                if self.prints == "refuse":
                    problem = _describe_print(quote, before, after, usual)
                    self.faults.append(TableFault(quote.row, quote.column, problem))
        if not isolated:
            return quotes
        if self.prints != "refuse":
            listed = ", ".join(
                f"{format_decimal(each.value, RAY)} at {format_utc_time(each.time)}"
                for each in isolated[:_NAMED_PRINTS]
            )
            more = ", ..." if len(isolated) > _NAMED_PRINTS else ""
            what = "kept" if self.prints == "keep" else "left out, where the price before holds"
            self._note_oddity(symbol, f"isolated prints, {what}: {len(isolated):,} ({listed}{more}).")
        left_out = {quote.time for quote in isolated} if self.prints != "keep" else set()
        return [quote for quote in quotes if quote.time not in left_out]

    def _note_price_gaps(self, symbol: str, quotes: Sequence[_PriceQuote]) -> None:
        usual = find_median_spacing(_list_steps([quote.time for quote in quotes]))
        gaps = [(b.time - a.time, a) for a, b in pairwise(quotes) if b.time - a.time > _GAP * usual]
        if gaps:
            longest, before = max(gaps, key=lambda gap: gap[0])
            self._note_oddity(
                symbol,
                f"gaps: {len(gaps):,}, the longest of {quantity_units.format_duration_text(longest)} from "
                f"{format_utc_time(before.time)} "
                "on; the price before holds.",
            )

    def _report_suspected_splits(self, symbol: str, quotes: Sequence[_PriceQuote]) -> None:
        """Record a fault for each step that looks like a split, a unit change or a misplaced point.

        If splits are kept, their number is recorded as a note instead.
        """
        found = [(a, b) for a, b in pairwise(quotes) if _is_suspected_price_split(a.value, b.value)]
        if not found:
            return
        if self.splits == "keep":
            self._note_oddity(symbol, f"steps that look like splits, and are kept: {len(found):,}.")
            return
        for a, b in found:
            of = f"from {format_decimal(a.value, RAY)} to {format_decimal(b.value, RAY)} in one step"
            problem = f"{of} looks like a split or a slip: mend it, or say that splits are to be kept"
            self.faults.append(TableFault(b.row, b.column, problem))


def parse_time(text: str) -> int:
    """Read a time in epoch units or ISO 8601 as seconds of the epoch, rounded down.

    A time without a zone is in UTC. Raises ValueError for any other text.
    """
    if epoch := _EPOCH.fullmatch(text):
        value = int(epoch[1])
        scale = next((scale for most, scale in _EPOCHS if value < most), None)
        if scale is not None and value >= 10**8 * scale:
            return value // scale
        raise ValueError(
            f"{text!r} is not a time of the epoch: write e.g. '1710201600' or '2024-03-12T00:00Z'"
        )
    try:
        parsed = datetime.fromisoformat(text.removesuffix(" UTC"))
    except ValueError:
        raise ValueError(f"{text!r} is not a time: write e.g. '2024-03-12T00:00Z' or '1710201600'") from None
    zoned = parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)
    return int(zoned.timestamp() // 1)


def find_median_spacing(steps: Sequence[int]) -> int:
    """Return the median interval between prices [seconds]; 1 without intervals."""
    return median_low(steps) if steps else 1


def format_utc_time(timestamp: int) -> str:
    """Format a timestamp as `2024-03-12T08:00Z`."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%MZ")


def _list_steps(times: Sequence[int]) -> list[int]:
    return [after - before for before, after in pairwise(times)]


def _describe_print(quote: _PriceQuote, before: _PriceQuote, after: _PriceQuote, usual: int) -> str:
    """Return an error message for an isolated print, with the options to keep or drop it."""
    what = describe_isolated_print(
        quote.value, [(each.value, each.row) for each in (before, after)], usual, _format_price
    )
    value, _, rest = what.partition(" ")
    return (
        f"{value} at {format_utc_time(quote.time)} {rest}: keep all with --prints keep, or leave them out "
        "with --prints drop"
    )


def _format_price(value: int) -> str:
    return format_decimal(value, RAY)


def _is_suspected_price_split(price_before: int, price_after: int) -> bool:
    """Return True if a price changes by a factor of five or more, or by about 2, 3 or 4 (within 1%)."""
    large, small = max(price_before, price_after), min(price_before, price_after)
    if large >= _FACTOR * small:
        return True
    return any(100 * abs(large - n * small) <= n * small for n in range(2, _FACTOR))


def _describe_missing_common_time(series: Mapping[str, PriceSeries]) -> str:
    if len({time for each in series.values() for time in each.times}) == 1:
        return "has a single time: prices move between two or more"
    late = max(series, key=lambda symbol: series[symbol].times[0])
    early = min(series, key=lambda symbol: series[symbol].times[-1])
    return (
        f"{early} ends {format_utc_time(series[early].times[-1])}, {late} begins "
        f"{format_utc_time(series[late].times[0])}: "
        "all assets need a time in common"
    )
