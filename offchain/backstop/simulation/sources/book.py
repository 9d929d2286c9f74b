"""Books of strangers: positions of a file or a frame, read exactly into vaults."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pyarrow.fs as pafs

from backstop.errors import BackstopError
from backstop.files.atomic_files import write_files
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD, div_up
from backstop.simulation.scenario import units
from backstop.simulation.scenario.book import COLUMNS
from backstop.simulation.scenario.rows import Row
from backstop.simulation.scenario.schema import Vault
from backstop.simulation.scenario.table import Row as TableRow
from backstop.simulation.scenario.writer import decimal
from backstop.simulation.sources.accounts import Pooled, Position, pool
from backstop.simulation.sources.cells import (
    Fault,
    Faults,
    Inexact,
    Table,
    need_columns,
    read_cells,
)
from backstop.simulation.sources.mapping import Columns, load_mapping
from backstop.simulation.sources.symbols import called

if TYPE_CHECKING:
    import pandas as pd

    from backstop.simulation.sources.cells import Source

MOST_DECIMALS = 77  # of an integer of 256 bits
_MEND = "say which columns mean what, by a mapping or by names of columns"


@dataclass(frozen=True)
class Book:
    """Positions that were read: rows of vaults, and what their file says of each type."""

    name: str
    rows: tuple[Row, ...]
    decimals: Mapping[str, int]  # by symbol, of its token
    prices: Mapping[str, int] = field(default_factory=dict)  # ray, by symbol, where the file has prices
    ratios: Mapping[str, int] = field(
        default_factory=dict
    )  # basis points: liquidation ratios, from thresholds
    told: tuple[str, ...] = ()  # what was left out, split or rounded, counted

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols in the order of their debt, the largest first."""
        debts: dict[str, int] = {}
        for _, vault in self.rows:
            debts[vault.symbol] = debts.get(vault.symbol, 0) + vault.debt
        return tuple(sorted(debts, key=lambda symbol: (-debts[symbol], symbol)))

    @property
    def debt(self) -> int:
        """Debt of all rows, wad."""
        return sum(vault.debt for _, vault in self.rows)

    def frame(self) -> pd.DataFrame:
        """Return a row for each vault: `row` of the source, and integers of wad."""
        import pandas as pd

        rows = [(number, vault.owner, vault.symbol, vault.locked, vault.debt) for number, vault in self.rows]
        frame = pd.DataFrame(rows, columns=["row", "owner", "collateral", "locked_wad", "debt_wad"])
        return frame.astype({"locked_wad": object, "debt_wad": object})

    def csv(self) -> str:
        """Return the book as scenarios read it."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for _, vault in self.rows:
            writer.writerow((vault.owner, vault.symbol, decimal(vault.locked, WAD), decimal(vault.debt, WAD)))
        return text.getvalue()

    def write(self, folder: str | Path) -> Path:
        """Write `book.csv` into a folder, which scenarios read."""
        path = Path(folder)
        try:
            path.mkdir(parents=True, exist_ok=True)
            write_files(path, {"book.csv": self.csv()})
        except OSError as error:
            raise BackstopError(f"{path} cannot be written: {error.strerror or error}") from None
        return path / "book.csv"


def read_book(
    source: Source,
    *,
    like: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    fixed: Mapping[str, str] | None = None,
    decimals: Mapping[str, str | int] | None = None,
    only: Mapping[str, str] | None = None,
    rename: Mapping[str, str] | None = None,
    accounts: str | None = None,
    prices: Mapping[str, int] | None = None,
    floats: bool = False,
    bad_rows: str = "refuse",
    filesystem: pafs.FileSystem | None = None,
) -> Book:
    """Read positions of a CSV or Parquet file, a DataFrame or an Arrow table; docs/do/own-data.md.

    `like` names a mapping or its file; the others say it anew, field by field. Figures are exact: floats are
    refused unless `floats`, collateral is then rounded down and debt up to 18 digits. All faults are found
    before the first is raised (`Faults.faults`); `bad_rows="drop"` leaves such rows out and counts them.
    `prices` (ray, by symbol) stand in where debt has to be split and the file has none.
    """
    if bad_rows not in ("refuse", "drop"):
        raise BackstopError(f"bad_rows: {bad_rows!r} is not one of: refuse, drop")
    mapping = load_mapping(like).over(columns, fixed, decimals, only, rename, accounts)
    reading = _Reading(read_cells(source, filesystem), mapping, floats)
    return reading.book(prices or {}, bad_rows == "drop")


class _Reading:
    """One table on its way to a book."""

    def __init__(self, table: Table, mapping: Columns, floats: bool) -> None:
        self.table = table
        self.mapping = mapping
        self.floats = floats
        self.faults: list[Fault] = []
        self.told: list[str] = []
        self.rounded = 0
        self._cells: Mapping[str, str] = {}
        self._number = 0

    def book(self, prices: Mapping[str, int], drop: bool) -> Book:
        mapping, table = self.mapping, self.table
        used = [column for name in _fields(mapping) if (column := mapping.column(name)) is not None]
        used += [column for column in mapping.decimals.values() if not column.isdigit()]
        need_columns(table, [*used, *mapping.only], _MEND)
        rows = [row for row in table.rows if self._counts(row)]
        if len(rows) < len(table.rows):
            wanted = ", ".join(f"{column} {'|'.join(cells)}" for column, cells in mapping.only.items())
            self.told.append(f"{len(table.rows) - len(rows):,} rows are not {wanted}, and are left out.")
        positions = [each for row in rows if (each := self._position(row)) is not None]
        if self.faults and not drop:
            raise Faults(table.name, self.faults)
        if self.faults:
            count = len({fault.row for fault in self.faults})
            self.told.append(f"{count:,} rows cannot be read, and are left out.")
        full = [each for each in positions if each.locked or each.debt]
        if len(full) < len(positions):
            count = len(positions) - len(full)
            self.told.append(f"{count:,} rows lock nothing and owe nothing, and are left out.")
        names = self._symbols(full, prices)
        vaults = self._vaults(full, {names.get(symbol, symbol): price for symbol, price in prices.items()})
        if not vaults:
            raise BackstopError(f"{table.name}: has no positions: write a row for each under the header")
        if self.rounded:
            self.told.append(
                f"{self.rounded:,} figures had more than 18 digits behind the point: collateral was rounded "
                "down, debt up."
            )
        held = [each for each in reversed(full) if each.symbol]  # of several the first row counts
        thresholds = self._thresholds(held)
        return Book(
            name=table.name,
            rows=tuple(vaults),
            decimals={each.symbol: each.decimals for each in held},
            prices={each.symbol: each.price for each in held if each.price},
            ratios={
                symbol: div_up(BASIS_POINTS * BASIS_POINTS, least) for symbol, least in thresholds.items()
            },
            told=tuple(self.told),
        )

    def _thresholds(self, held: list[Position]) -> dict[str, int]:
        """Return the lowest threshold of each symbol, and say which have several."""
        found: dict[str, set[int]] = {}
        for each in held:
            if each.threshold:
                found.setdefault(each.symbol, set()).add(each.threshold)
        several = sorted(symbol for symbol, values in found.items() if len(values) > 1)
        if several:
            self.told.append(f"{', '.join(several)} have several thresholds: the lowest counts for all.")
        return {symbol: min(values) for symbol, values in found.items()}

    # --------------------------------------------------------------------- rows

    def _counts(self, row: TableRow) -> bool:
        return all(row.cells[column] in cells for column, cells in self.mapping.only.items())

    def _position(self, row: TableRow) -> Position | None:
        """Read a row; None if something is wrong with it, which is noted."""
        self._number, self._cells = row.number, row.cells
        before, mapping = len(self.faults), self.mapping
        owner = self._text("owner")
        if mapping.has("position"):
            owner = self._text("position") or owner
        if not owner:
            self._fault("position" if mapping.has("position") else "owner", "is empty: name the owner")
        symbol, pooled = self._text("collateral"), mapping.accounts == "pooled"
        locked = self._amount("locked", down=True, empty=pooled)
        if mapping.has("counts") and not self._yes("counts"):
            locked = 0
        debt = self._amount("debt", down=False, empty=pooled)
        if mapping.has("rate") and debt:
            debt = div_up(debt * self._amount("rate", down=False, scale=RAY), RAY)
        if mapping.has("repaid"):
            debt = max(0, debt - self._amount("repaid", down=True, empty=True))
        if not symbol and (locked or not pooled):
            self._fault("collateral", "is empty: name the collateral")
        price = self._amount("price", down=True, scale=RAY, empty=True) if mapping.has("price") else 0
        threshold = self._threshold() if locked and mapping.has("threshold") else 0
        priced = False
        if debt and mapping.has("debt_price"):
            of = self._amount("debt_price", down=False, scale=RAY)
            debt, priced = div_up(debt * of, RAY), of != RAY
        elif debt and mapping.has("debt_token") and not mapping.has("debt_price"):
            self._fault("debt_token", "has no price beside it: map a column to `debt_price`, or leave it out")
        if len(self.faults) > before:
            return None
        return Position(
            number=row.number,
            account=owner,
            symbol=symbol if locked or not pooled else "",
            locked=locked,
            debt=debt,
            price=price,
            threshold=threshold,
            decimals=min(18, self._places("locked") or 18),
            priced=priced,
        )

    def _fault(self, name: str, problem: str) -> None:
        self.faults.append(Fault(self._number, self.mapping.column(name) or name, problem))

    def _text(self, name: str) -> str:
        if name in self.mapping.fixed:
            return self.mapping.fixed[name]
        column = self.mapping.column(name)
        return "" if column is None else self._cells[column]

    def _yes(self, name: str) -> bool:
        text = self._text(name).lower()
        if text not in ("true", "false", "1", "0", "yes", "no"):
            self._fault(name, f"{text!r} is neither true nor false")
        return text in ("true", "1", "yes")

    def _places(self, name: str) -> int:
        """Return how many digits of a field's integer are behind the point; 0 if it is in whole coins."""
        said = self.mapping.decimals.get(name, "0")
        text = said if said.isdigit() else self._cells[said]
        if text.isascii() and text.isdigit() and int(text) <= MOST_DECIMALS:
            return int(text)
        self.faults.append(Fault(self._number, said, f"{text!r} is no number of decimals: write e.g. '18'"))
        return 0

    def _amount(self, name: str, *, down: bool, scale: int = WAD, empty: bool = False) -> int:
        """Read a figure times scale, exactly; what is finer is refused, or rounded where it was a float."""
        text = self._text(name)
        if not text and empty:
            return 0
        if isinstance(text, Inexact) and not self.floats:
            self._fault(name, f"{text} is a float: give text or integers, or ask for floats")
            return 0
        try:
            digits, below = units.fraction(text, "an amount", "12.5")
        except ValueError as error:
            self._fault(name, str(error))
            return 0
        if digits < 0:
            self._fault(name, f"{text!r} is negative")
            return 0
        value, rest = divmod(digits * scale, below * 10 ** self._places(name))
        if rest:
            if not self.floats:
                most = len(str(scale)) - 1
                self._fault(name, f"{text!r} is finer than {most} decimals: round it, or ask for floats")
                return 0
            self.rounded += 1
            value += 0 if down else 1
        return value

    def _threshold(self) -> int:
        """Read a liquidation threshold (debt over collateral), basis points, rounded down."""
        text = self._text("threshold")
        if not text:
            return 0
        try:
            digits, below = units.fraction(text, "a threshold", "0.825")
        except ValueError as error:
            self._fault("threshold", str(error))
            return 0
        value = digits * BASIS_POINTS // (below * 10 ** self._places("threshold"))
        if not 0 < value <= BASIS_POINTS:
            problem = f"{text!r} is no threshold: the share of collateral that may be owed, up to 1"
            self._fault("threshold", problem)
        return value

    # ------------------------------------------------------------------- vaults

    def _symbols(self, positions: list[Position], prices: Mapping[str, int]) -> dict[str, str]:
        """Call each symbol as scenarios can, and say which are called otherwise."""
        try:
            names = called((each.symbol for each in positions if each.symbol), self.mapping.rename)
        except BackstopError as error:
            raise BackstopError(f"{self.table.name}: {error}") from None
        for each in positions:
            each.symbol = names.get(each.symbol, each.symbol)
        other = [f"{symbol!r} is called {name}" for symbol, name in names.items() if symbol != name]
        if other:
            self.told.append(f"{', '.join(other)}.")
        return names

    def _vaults(self, positions: list[Position], prices: Mapping[str, int]) -> list[Row]:
        priced = sum(each.priced for each in positions)
        if priced:
            self.told.append(
                f"{priced:,} debts are of other tokens, and count at their price, in stablecoins."
            )
        if self.mapping.accounts == "apart":
            return [
                Row(each.number, Vault(each.account, each.symbol, each.locked, each.debt))
                for each in positions
            ]
        found: Pooled = pool(positions, prices, self._fail)
        if found.split:
            self.told.append(
                f"{found.split:,} accounts have several collaterals: their debt is split by what each is "
                f"worth, into {found.parts:,} vaults."
            )
        if found.bare:
            owed = f"{(found.bare_debt + WAD // 2) // WAD:,}"
            self.told.append(
                f"{found.bare:,} accounts owe {owed} stablecoins and lock nothing: they are left out, and "
                "what they owe is bad debt already."
            )
        return found.rows

    def _fail(self, number: int, problem: str) -> NoReturn:
        raise Faults(self.table.name, [Fault(number, "", problem)])


def _fields(mapping: Columns) -> list[str]:
    """List the fields that a mapping reads."""
    return list(dict.fromkeys((*COLUMNS, *mapping.columns)))
