"""Rows of a table by a mapping: cells by field, exact figures, and the errors of each."""

from __future__ import annotations

import re
from collections.abc import Mapping

from backstop.errors import BackstopError
from backstop.model.arithmetic import WAD
from backstop.simulation.scenario import quantity_units
from backstop.simulation.scenario.csv_table import CsvRow as TableRow
from backstop.simulation.sources.book_changes import BookChange
from backstop.simulation.sources.column_mapping import ColumnMapping
from backstop.simulation.sources.table_reader import FloatCell, SourceTable, TableFault, require_columns

MOST_DECIMALS = 77  # of an integer of 256 bits
_MEND = "say which columns mean what, by a mapping or by names of columns"
_TOKENS = {
    **dict.fromkeys(("amount", "locked_after"), "symbol"),
    **dict.fromkeys(("debt_amount", "debt_after"), "debt_symbol"),
} | dict.fromkeys(("debt", "repaid", "rate", "debt_price"), "debt_token")
"""The field that names the token of another field's figures; of the others it is `collateral`."""
_LIST = re.compile(r"[,;]|:\s*[\d.]|^[\[{]")
"""Pattern of a cell with several tokens or amounts: `ETH: 0.45, DAI: 2.5`, `[["ETH", ...`."""
_LIST_SHOWN = 40


class RowReader:
    """Reader of table rows through a column mapping, which collects all faults."""

    def __init__(self, table: SourceTable, mapping: ColumnMapping, floats: bool) -> None:
        self.table = table
        self.mapping = mapping
        self.columns = {name: mapping.get_column(name) for name in mapping.list_fields()}
        self.fields = frozenset((*mapping.list_fields(), *mapping.fixed))
        self.floats = floats
        self.token_decimals = {
            name: _parse_token_decimals(name, said)
            for name, said in mapping.decimals.items()
            if ":" in said and said not in table.columns
        }
        self.faults: list[TableFault] = []
        self.told: list[str] = []
        self.changes: list[BookChange] = []
        self.rounded = 0
        self.used_columns: list[str] = []
        self._cells: Mapping[str, str] = {}
        self._number = 0

    def select_rows(self) -> list[TableRow]:
        """Return the rows that pass the mapping's filters.

        Raises BackstopError if the table lacks a column of the mapping.
        """
        mapping, table = self.mapping, self.table
        used = [column for name in mapping.list_fields() if (column := mapping.get_column(name)) is not None]
        used += [
            column
            for name, column in mapping.decimals.items()
            if not column.isdigit() and name not in self.token_decimals
        ]
        self.used_columns = [*used, *mapping.only]
        require_columns(table, self.used_columns, _MEND)
        rows = [row for row in table.rows if self._is_selected(row)]
        if len(rows) < len(table.rows):
            wanted = ", ".join(f"{column} {'|'.join(cells)}" for column, cells in mapping.only.items())
            self.told.append(f"{len(table.rows) - len(rows):,} rows are not {wanted}, and are left out.")
        return rows

    @property
    def read_columns(self) -> tuple[str, ...]:
        """Columns that the mapping reads, in the order of the file."""
        return tuple(column for column in self.table.columns if column in self.used_columns)

    @property
    def ignored_columns(self) -> tuple[str, ...]:
        """Columns that the mapping does not read, in the order of the file."""
        return tuple(column for column in self.table.columns if column not in self.used_columns)

    def _add_change(self, outcome: str, subject: str, number: int, debt: int | None) -> None:
        """Record a count of rows with the same outcome, if it is not 0."""
        if number:
            self.changes.append(BookChange(outcome, subject, number, debt))

    def _is_selected(self, row: TableRow) -> bool:
        return all(row.cells[column] in cells for column, cells in self.mapping.only.items())

    def _add_fault(self, field_name: str, problem: str) -> None:
        self.faults.append(TableFault(self._number, self.columns.get(field_name) or field_name, problem))

    def _get_text_or_empty(self, field_name: str) -> str:
        if field_name in self.mapping.fixed:
            return self.mapping.fixed[field_name]
        column = self.columns.get(field_name)
        return "" if column is None else self._cells[column]

    def _read_symbol_or_empty(self, field_name: str) -> str:
        """Return the symbol in a field; a list of tokens is recorded as a fault."""
        text = self._get_text_or_empty(field_name)
        if _LIST.search(text):
            shown = f"{text[:_LIST_SHOWN]}..." if len(text) > _LIST_SHOWN else repr(text)
            self._add_fault(field_name, f"{shown} is a list, and no symbol: write a row for each token")
        return text

    def _read_boolean(self, field_name: str) -> bool:
        text = self._get_text_or_empty(field_name).lower()
        if text not in ("true", "false", "1", "0", "yes", "no"):
            self._add_fault(field_name, f"{text!r} is neither true nor false")
        return text in ("true", "1", "yes")

    def _read_decimal_places(self, field_name: str) -> int:
        """Return the number of decimal places in a field's integers; 0 if amounts are in whole coins."""
        said = self.mapping.decimals.get(field_name)
        if said is None:
            return 0
        if field_name in self.token_decimals:
            return self._get_token_decimals(field_name)
        text = said if said.isdigit() else self._cells[said]
        if text.isascii() and text.isdigit() and int(text) <= MOST_DECIMALS:
            return int(text)
        self.faults.append(
            TableFault(self._number, said, f"{text!r} is not a number of decimals: write e.g. '18'")
        )
        return 0

    def _get_token_decimals(self, field_name: str) -> int:
        """Return the decimals of the token of a field; an unknown token is recorded as a fault."""
        token_field = _TOKENS.get(field_name, "collateral")
        symbol = self._get_text_or_empty(token_field)
        found = self.token_decimals[field_name].get(symbol)
        if found is None and (symbol or token_field != "collateral"):  # no collateral is a fault of its own
            problem = f"{symbol!r} has no decimals: add {symbol or 'SYMBOL'}:N to those of {field_name}"
            self._add_fault(token_field, problem)
        return found or 0

    def _read_amount(
        self, field_name: str, *, rounds_down: bool, scale: int = WAD, allows_empty: bool = False
    ) -> int:
        """Read an amount as an exact integer multiple of 1 / scale.

        An amount with finer digits is a fault; if floats are allowed, it is rounded instead, and counted.
        """
        text = self._get_text_or_empty(field_name)
        if not text and allows_empty:
            return 0
        if isinstance(text, FloatCell) and not self.floats:
            self._add_fault(field_name, f"{text} is a float: give text or integers, or give --floats")
            return 0
        try:
            digits, below = quantity_units.read_numerator_and_denominator(text, "an amount", "12.5")
        except ValueError as error:
            self._add_fault(field_name, str(error))
            return 0
        if digits < 0:
            self._add_fault(field_name, f"{text!r} is negative")
            return 0
        value, rest = divmod(digits * scale, below * 10 ** self._read_decimal_places(field_name))
        if rest:
            if not self.floats:
                most = len(str(scale)) - 1
                self._add_fault(
                    field_name, f"{text!r} is finer than {most} decimals: round it, or give --floats"
                )
                return 0
            self.rounded += 1
            value += 0 if rounds_down else 1
        return value


def _parse_token_decimals(field_name: str, text: str) -> dict[str, int]:
    """Parse the decimals of tokens from a text such as `ETH:18|USDC:6`.

    Raises BackstopError for an invalid or repeated part.
    """
    found: dict[str, int] = {}
    for part in text.split("|"):
        symbol, _, digits = (each.strip() for each in part.rpartition(":"))
        if not (symbol and digits.isascii() and digits.isdigit() and int(digits) <= MOST_DECIMALS):
            raise BackstopError(f"decimals: {field_name}: {part!r} is not SYMBOL:N, as ETH:18")
        if symbol in found:
            raise BackstopError(f"decimals: {field_name}: {symbol} is there twice: remove one")
        found[symbol] = int(digits)
    return found
