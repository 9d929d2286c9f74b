"""Books of strangers: positions of a file or a frame, read exactly into vaults."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pyarrow.fs as pafs

from backstop.errors import BackstopError
from backstop.files.atomic_files import write_files
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD, div_up
from backstop.simulation.scenario import quantity_units
from backstop.simulation.scenario.book_repairs import BookRow
from backstop.simulation.scenario.csv_table import CsvRow as TableRow
from backstop.simulation.scenario.parameters_yaml_writer import format_decimal
from backstop.simulation.scenario.scenario_records import TypeAssets, Vault
from backstop.simulation.scenario.vault_books import COLUMNS
from backstop.simulation.sources.account_to_vault_splitting import AccountPosition, convert_accounts_to_vaults
from backstop.simulation.sources.book_changes import (
    COUNTED_AS_DOLLARS,
    LEFT_OUT,
    READ,
    SPLIT,
    BookChange,
)
from backstop.simulation.sources.column_mapping import ColumnMapping, load_mapping
from backstop.simulation.sources.event_reader import EventReader
from backstop.simulation.sources.imported_collateral_types import build_type_table, get_position_type
from backstop.simulation.sources.row_reader import RowReader
from backstop.simulation.sources.symbol_to_scenario_name_mapping import map_symbols_to_scenario_names
from backstop.simulation.sources.table_reader import (
    SourceTable,
    TableFault,
    TableFaultsError,
    check_bad_row_policy,
    count_droppable_rows,
    read_source_table,
)

if TYPE_CHECKING:
    import pandas as pd

    from backstop.simulation.sources.table_reader import Source

DOLLAR = 300
"""Basis points from a dollar within which a debt asset's price is one, and its debts are of dollars."""
DEBTS = ("assets", "dollars")
"""Treatment of debts of another asset: as debts of that asset, or of dollars at its price."""
UNNAMED = "?"
"""Debt asset of a row that has a price of its debt and no token."""


@dataclass(frozen=True)
class VaultBook:
    """Imported vault book: its vaults, terms of each collateral type, and notes on the import."""

    name: str
    rows: tuple[BookRow, ...]
    decimals: Mapping[str, int]  # by symbol, of its token
    prices: Mapping[str, int] = field(default_factory=dict)  # ray, by symbol, where the file has prices
    ratios: Mapping[str, int] = field(
        default_factory=dict
    )  # basis points: liquidation ratios, from thresholds
    assets: Mapping[str, TypeAssets] = field(default_factory=dict)  # by symbol: what its price is made of
    has_accounts: bool = False  # vaults of one owner are parts of one account
    system: str = ""  # whose liquidation terms hold where the file has no threshold
    told: tuple[str, ...] = ()  # what was left out, split or rounded, counted
    changes: tuple[BookChange, ...] = ()  # the same of rows, with the debt of each
    read_columns: tuple[str, ...] = ()  # of the file, in its order
    ignored_columns: tuple[str, ...] = ()

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols of the collateral types, the largest debt first."""
        debts: dict[str, int] = {}
        for _, vault in self.rows:
            debts[vault.symbol] = debts.get(vault.symbol, 0) + vault.debt
        return tuple(sorted(debts, key=lambda symbol: (-debts[symbol], symbol)))

    @property
    def debt(self) -> int:
        """Total debt of the book [wad]."""
        return sum(vault.debt for _, vault in self.rows)

    def to_frame(self) -> pd.DataFrame:
        """Return the book as a DataFrame with one row per vault; amounts are Python integers [wad]."""
        import pandas as pd

        rows = [(number, vault.owner, vault.symbol, vault.locked, vault.debt) for number, vault in self.rows]
        frame = pd.DataFrame(rows, columns=["row", "owner", "collateral", "locked_wad", "debt_wad"])
        return frame.astype({"locked_wad": object, "debt_wad": object})

    def to_csv(self) -> str:
        """Return the book as CSV text in the form that scenarios read."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for _, vault in self.rows:
            writer.writerow(
                (
                    vault.owner,
                    vault.symbol,
                    format_decimal(vault.locked, WAD),
                    format_decimal(vault.debt, WAD),
                )
            )
        return text.getvalue()

    def write_csv(self, folder: str | Path) -> Path:
        """Write the book to `book.csv` in a folder, and return the file's path.

        Raises BackstopError if the file cannot be written.
        """
        path = Path(folder)
        try:
            path.mkdir(parents=True, exist_ok=True)
            write_files(path, {"book.csv": self.to_csv()})
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
    debts: str = "assets",
    bad_rows: str = "refuse",
    at: str | int | None = None,
    filesystem: pafs.FileSystem | None = None,
) -> VaultBook:
    """Read a vault book from a CSV, JSON or Parquet file, a DataFrame or an Arrow table.

    See docs/how-to/own-data.md. `like` names a column mapping or its file; the following parameters override
    parts of it. Amounts are read exactly. Floats are refused unless `floats`; then collateral is rounded down
    and debt up, at 18 digits.

    All faults are collected before TableFaultsError is raised. `bad_rows="drop"` drops and counts faulty
    rows, up to one in a hundred, `"drop-any"` any number.

    `prices` [ray, by symbol] apply where a price is needed and the file has none. A debt in another asset
    makes a collateral type priced in that asset; with `debts="dollars"` it counts as dollars at its price. A
    mapping of the form `events` sums deposits and draws up to the time or block `at`.
    """
    check_bad_row_policy(bad_rows)
    if debts not in DEBTS:
        raise BackstopError(f"debts: {debts!r} is not one of: {', '.join(DEBTS)}")
    mapping = load_mapping(like).override_fields(columns, fixed, decimals, only, rename, accounts)
    table = read_source_table(source, filesystem)
    if like is None or mapping.form == "events":
        mapping = mapping.add_documented_columns(table.columns)
    if mapping.form != "events":
        if at is not None:
            raise BackstopError("at: is for events: give --like events, or a mapping with `form: events`")
        return _BookReader(table, mapping, floats, debts == "dollars", prices or {}).build_book(bad_rows)
    events = EventReader(table, mapping, floats)
    table, mapping = events.build_position_table(prices or {}, at, bad_rows)
    book = _BookReader(table, mapping, floats, debts == "dollars", prices or {}).build_book(bad_rows)
    return replace(
        book,
        told=(*events.told, *book.told),
        changes=(*events.changes, *book.changes),
        read_columns=events.read_columns,
        ignored_columns=events.ignored_columns,
    )


class _BookReader(RowReader):
    """Reader of one table of positions into a vault book."""

    def __init__(
        self,
        table: SourceTable,
        mapping: ColumnMapping,
        floats: bool,
        in_dollars: bool,
        prices: Mapping[str, int],
    ) -> None:
        super().__init__(table, mapping, floats)
        self.in_dollars = in_dollars
        self.prices = prices  # ray, by symbol, of a file of prices
        self.priced = self.priced_debt = 0  # debts of other assets that count as dollars; wad

    def build_book(self, bad_rows: str) -> VaultBook:
        mapping, table, prices = self.mapping, self.table, self.prices
        rows = self.select_rows()
        positions = [each for row in rows if (each := self._read_vault_position(row)) is not None]
        self._add_change(READ, "rows", len(table.rows), sum(each.debt for each in positions))
        self._add_change(LEFT_OUT, "rows that --only does not name", len(table.rows) - len(rows), None)
        if dropped := count_droppable_rows(table, self.faults, bad_rows):
            self._add_change(LEFT_OUT, "rows that cannot be read", dropped, None)
            self.told.append(f"{dropped:,} rows cannot be read, and are left out.")
        full = [each for each in positions if each.locked or each.debt]
        if len(full) < len(positions):
            count = len(positions) - len(full)
            self._add_change(LEFT_OUT, "rows that lock nothing and owe nothing", count, 0)
            self.told.append(f"{count:,} rows lock nothing and owe nothing, and are left out.")
        names = self._rename_symbols_and_map_names(full)
        held = self._pool_positions(
            full, {names.get(symbol, symbol): price for symbol, price in prices.items()}
        )
        if not held:
            raise BackstopError(f"{table.name}: has no positions: write a row for each under the header")
        if self.rounded:
            self.told.append(
                f"{self.rounded:,} figures had more than 18 digits behind the point: collateral was rounded "
                "down, debt up."
            )
        types = build_type_table(held)
        self.told += types.notes
        self.changes += types.changes
        called = [(each, types.names[get_position_type(each)]) for each in held]
        return VaultBook(
            name=table.name,
            rows=tuple(
                BookRow(each.number, Vault(each.account, name, each.locked, each.debt))
                for each, name in called
            ),
            # Of several the first row counts.
            decimals={name: each.decimals for each, name in reversed(called)},
            prices={name: each.price for each, name in reversed(called) if each.price},
            ratios=types.ratios,
            assets=types.assets,
            has_accounts=mapping.accounts == "pooled",
            system=mapping.system,
            told=tuple(self.told),
            changes=tuple(self.changes),
            read_columns=self.read_columns,
            ignored_columns=self.ignored_columns,
        )

    # --------------------------------------------------------------------- rows

    def _read_vault_position(self, row: TableRow) -> AccountPosition | None:
        """Read a row as a position; None if it has a fault, which is recorded."""
        self._number, self._cells = row.number, row.cells
        before, mapping = len(self.faults), self.mapping
        owner = self._get_text_or_empty("owner")
        if "position" in self.fields:
            owner = self._get_text_or_empty("position") or owner
        symbol, pooled = self._read_symbol_or_empty("collateral"), mapping.accounts == "pooled"
        locked = self._read_amount("locked", rounds_down=True, allows_empty=pooled)
        if "counts" in self.fields and not self._read_boolean("counts"):
            locked = 0
        debt = self._read_amount("debt", rounds_down=False, allows_empty=pooled)
        if "rate" in self.fields and debt:
            debt = div_up(debt * self._read_amount("rate", rounds_down=False, scale=RAY), RAY)
        if "repaid" in self.fields:
            debt = max(0, debt - self._read_amount("repaid", rounds_down=True, allows_empty=True))
        # An empty slot, as of a closed vault, is nobody's: it is counted with the rows of nothing.
        is_empty = not locked and not debt and len(self.faults) == before
        if not owner and not is_empty:
            self._add_fault("position" if "position" in self.fields else "owner", "is empty: name the owner")
        if not symbol and (locked or not pooled) and not is_empty:
            self._add_fault("collateral", "is empty: name the collateral")
        price = (
            self._read_amount("price", rounds_down=True, scale=RAY, allows_empty=True)
            if "price" in self.fields
            else 0
        )
        threshold = self._read_threshold() if locked and "threshold" in self.fields else 0
        debt_asset = ""
        if debt and ("debt_price" in self.fields or "debt_token" in self.fields):
            of = self._read_debt_price()
            debt = div_up(debt * of, RAY)
            if abs(of - RAY) * BASIS_POINTS > DOLLAR * RAY:
                if self.in_dollars:
                    self.priced, self.priced_debt = self.priced + 1, self.priced_debt + debt
                debt_asset = "" if self.in_dollars else self._read_symbol_or_empty("debt_token") or UNNAMED
        if len(self.faults) > before:
            return None
        return AccountPosition(
            number=row.number,
            account=owner,
            symbol=symbol if locked or not pooled else "",
            locked=locked,
            debt=debt,
            price=price,
            threshold=threshold,
            decimals=min(18, self._read_decimal_places("locked") or 18),
            debt_asset=debt_asset,
        )

    def _read_debt_price(self) -> int:
        """Return the price of a row's debt asset [ray], rounded up.

        It comes from the row's own column, else from the given prices of the token, else from the fixed
        value. The fixed value comes last, so that it does not apply to tokens with a known price, such as
        ether.
        """
        if "debt_price" not in self.mapping.columns and "debt_token" in self.fields:
            token = self._read_symbol_or_empty("debt_token")
            name = self._map_symbols([token])[token] if token else ""
            if name in self.prices:
                return self.prices[name]
            if "debt_price" not in self.fields:
                self._add_fault(
                    "debt_token",
                    "has no price beside it: map a column to `debt_price`, give --prices with a column of "
                    f"{token!r}, or `--fixed debt_price=1` if it is a dollar",
                )
                return RAY
        return self._read_amount("debt_price", rounds_down=False, scale=RAY)

    def _read_threshold(self) -> int:
        """Read a liquidation threshold (largest debt over collateral) [basis points], rounded down.

        0 if the cell is empty.
        """
        text = self._get_text_or_empty("threshold")
        if not text:
            return 0
        try:
            digits, below = quantity_units.read_numerator_and_denominator(text, "a threshold", "0.825")
        except ValueError as error:
            self._add_fault("threshold", str(error))
            return 0
        value = digits * BASIS_POINTS // (below * 10 ** self._read_decimal_places("threshold"))
        if not 0 < value <= BASIS_POINTS:
            problem = f"{text!r} is not a threshold: the share of collateral that may be owed, up to 1"
            self._add_fault("threshold", problem)
        return value

    # ------------------------------------------------------------------- vaults

    def _rename_symbols_and_map_names(self, positions: list[AccountPosition]) -> dict[str, str]:
        """Rename the symbols of positions to valid scenario names, and return the names by symbol.

        Changed names are recorded as a note.
        """
        symbols = [each.symbol for each in positions if each.symbol]
        symbols += [each.debt_asset for each in positions if each.debt_asset not in ("", UNNAMED)]
        names = self._map_symbols(symbols)
        for each in positions:
            each.symbol = names.get(each.symbol, each.symbol)
            each.debt_asset = names.get(each.debt_asset, each.debt_asset)
        other = [f"{symbol!r} is called {name}" for symbol, name in names.items() if symbol != name]
        if other:
            self.told.append(f"{', '.join(other)}.")
        return names

    def _map_symbols(self, symbols: Sequence[str]) -> dict[str, str]:
        """Return the scenario name of each symbol; raise BackstopError for names that would clash."""
        try:
            return map_symbols_to_scenario_names(symbols, self.mapping.rename)
        except BackstopError as error:
            raise BackstopError(f"{self.table.name}: {error}") from None

    def _pool_positions(
        self, positions: list[AccountPosition], prices: Mapping[str, int]
    ) -> list[AccountPosition]:
        """Return positions that have one collateral and one debt asset each.

        Unless accounts are kept apart, the rows of an account are merged and split.
        """
        if self.priced:
            self._add_change(COUNTED_AS_DOLLARS, "debts of other tokens", self.priced, self.priced_debt)
            self.told.append(
                f"{self.priced:,} debts are of other tokens, and count at their price, as dollars."
            )
        unnamed = [each for each in positions if each.debt_asset == UNNAMED]
        if unnamed:
            unnamed_debt = sum(each.debt for each in unnamed)
            self._add_change(COUNTED_AS_DOLLARS, "debts of tokens without a name", len(unnamed), unnamed_debt)
            self.told.append(
                f"{len(unnamed):,} debts are of tokens without a name, and count at their price, as dollars: "
                "map a column to `debt_token`."
            )
        for each in unnamed:
            each.debt_asset = ""
        if self.mapping.accounts == "apart":
            return positions
        found = convert_accounts_to_vaults(positions, prices, self._raise_fault)
        if found.split:
            self._add_change(SPLIT, "accounts of several collaterals or debts", found.split, found.split_debt)
            self.told.append(
                f"{found.split:,} accounts have several collaterals or debts: their debt of "
                f"{found.split_debt // WAD:,} is split by what each collateral is worth, into "
                f"{found.parts:,} vaults."
            )
        if found.bare:
            self._add_change(LEFT_OUT, "accounts that lock nothing", found.bare, found.bare_debt)
            owed = f"{(found.bare_debt + WAD // 2) // WAD:,}"
            self.told.append(
                f"{found.bare:,} accounts owe {owed} stablecoins and lock nothing: they are left out, and "
                "what they owe is bad debt already."
            )
        return found.positions

    def _raise_fault(self, number: int, problem: str) -> NoReturn:
        raise TableFaultsError(self.table.name, [TableFault(number, "", problem)])
