"""Events of accounts (deposits, draws, liquidations), added up into positions at a time or a block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from backstop.errors import BackstopError
from backstop.model.arithmetic import RAY, WAD
from backstop.simulation.scenario.csv_table import CsvRow
from backstop.simulation.scenario.parameters_yaml_writer import format_decimal
from backstop.simulation.sources.book_changes import LEFT_OUT
from backstop.simulation.sources.column_mapping import BALANCES, KINDS, ColumnMapping
from backstop.simulation.sources.price_reader import format_utc_time, parse_time
from backstop.simulation.sources.row_reader import RowReader
from backstop.simulation.sources.symbol_to_scenario_name_mapping import map_symbols_to_scenario_names
from backstop.simulation.sources.table_reader import SourceTable, TableFault, TableFaultsError

_COLUMNS = ("owner", "collateral", "locked", "decimals", "debt", "debt_token", "debt_price")
_FIRST_TIME = 10**8
"""Smallest number that is a time of the epoch, in seconds; a smaller one is a block's."""


class Moment(NamedTuple):
    """Time of an event: seconds of the epoch, or a block number."""

    is_block: bool
    value: int


class BalanceChange(NamedTuple):
    """Change of one balance of an account by an event [wad]; the balance is of collateral or debt."""

    row: int
    column: str  # of the amount
    account: str
    symbol: str
    is_debt: bool
    amount: int  # added; below zero: it takes that much away
    is_balance: bool = False  # the amount is the balance after the event


class AccountEvent(NamedTuple):
    """Event of an account: its time, kind and owner, and the balance changes."""

    row: int
    time: Moment
    kind: str
    owner: str
    account: str
    changes: tuple[BalanceChange, ...]


class AccountBalance:
    """Account's collateral and debt of one token [wad], and the row of its last event."""

    __slots__ = ("debt", "locked", "row")

    def __init__(self) -> None:
        self.locked = self.debt = self.row = 0


class EventReader(RowReader):
    """Reader of a table of events, such as deposits and draws, that sums them into positions."""

    def __init__(self, table: SourceTable, mapping: ColumnMapping, floats: bool) -> None:
        super().__init__(table, mapping, floats)
        self.decimals: dict[str, int] = {}  # of each token

    def build_position_table(
        self, prices: Mapping[str, int], at: str | int | None, bad_rows: str
    ) -> tuple[SourceTable, ColumnMapping]:
        """Return the positions of all accounts at a time or block as a table, with its column mapping.

        Events up to and including `at` count, all events if it is None; later ones are counted and left out.
        Rows are in the order of events. A balance below 0 is a fault, since earlier events or interest are
        missing; with floats, a rounding difference counts as 0. A debt's price is that of its token in
        `prices` [ray], or the fixed `debt_price`. Rounding of floats favours the protocol: less collateral,
        more debt.
        """
        name = self.table.name
        if bad_rows != "refuse":
            raise BackstopError(
                f"bad_rows: {bad_rows!r}: no event may be left out: a balance is the sum of all of them"
            )
        try:
            moment = None if at is None else parse_moment(str(at))
        except ValueError as error:
            raise BackstopError(f"at: {error}") from None
        events = self.read_events(like=moment)
        counted = [each for each in events if moment is None or each.time.value <= moment.value]
        balances: dict[tuple[str, str], AccountBalance] = {}
        for each in counted:
            self.apply_event(balances, each)
        if self.faults:
            raise TableFaultsError(name, self.faults)
        if not counted:
            until = "" if at is None else f" until {at}: give a later --at"
            raise BackstopError(f"{name}: has no events{until}")
        last, late = counted[-1].time, len(events) - len(counted)
        later = f"; {late:,} later ones are left out" if late else ""
        self._add_change(LEFT_OUT, "events after that time or block", late, None)
        until = format_moment(last if moment is None else moment)
        self.told.append(
            f"{len(counted):,} events until {until} are added up, the last of {format_moment(last)}{later}."
        )
        table = self._build_rows(balances, prices)
        if self.faults:
            raise TableFaultsError(name, self.faults)
        if self.rounded:
            self.told.append(
                f"{self.rounded:,} amounts had more than 18 digits behind the point: what adds collateral or "
                "repays was rounded down, the rest up."
            )
        return table, ColumnMapping(
            columns={each: each for each in _COLUMNS if each != "decimals"},
            decimals={"locked": "decimals"},
            rename=self.mapping.rename,
            accounts="pooled",
            system=self.mapping.system,
        )

    # ------------------------------------------------------------------- events

    def read_events(self, like: Moment | None = None) -> list[AccountEvent]:
        """Return all events in the order of their times.

        Raises TableFaultsError with all faults. Times must be of the same kind (time or block) as `like`, or
        as the first event's.
        """
        if self.mapping.has_balances:
            lacking = [
                name for name in BALANCES if name not in {**self.mapping.columns, **self.mapping.fixed}
            ]
            if lacking:
                raise BackstopError(
                    f"{self.table.name}: {' and '.join(BALANCES)} belong together: say which column is "
                    f"{lacking[0]}"
                )
        found: list[AccountEvent] = []
        before: tuple[int, Moment] | None = None
        for row in self.select_rows():
            self._number, self._cells = row.number, row.cells
            time = self._read_moment(like or (before[1] if before else None))
            kind, changes = self._read_event()
            if time is None:
                continue
            if before is not None and time.value < before[1].value:
                self._add_fault(
                    "time",
                    f"{self._get_text_or_empty('time')!r} is before the time of row {before[0]}: "
                    "sort the events as "
                    "they happened",
                )
            before = row.number, time
            owner = self._get_text_or_empty("account")
            found.append(AccountEvent(row.number, time, kind, owner, self._get_account(), changes))
        if self.faults:  # a sum without an event would add faults that are none
            raise TableFaultsError(self.table.name, self.faults)
        return found

    def _get_account(self) -> str:
        """Return the account's name: the position's if the file has one, else the owner's."""
        return self._get_text_or_empty("position") or self._get_text_or_empty("account")

    def _read_moment(self, like: Moment | None) -> Moment | None:
        """Read the time or block of a row; it must be of the same kind as `like`.

        None if it has a fault, which is recorded.
        """
        text = self._get_text_or_empty("time")
        try:
            found = parse_moment(text)
            if like is not None and found.is_block != like.is_block:
                kinds = ("a block", "a time") if like.is_block else ("a time", "a block")
                raise ValueError(f"{text!r} is {kinds[1]}, where {kinds[0]} is expected: give one of the two")
        except ValueError as error:
            self._add_fault("time", str(error))
            return None
        return found

    def _read_event(self) -> tuple[str, tuple[BalanceChange, ...]]:
        """Return the kind of a row's event and its balance changes; faults are recorded."""
        faults = len(self.faults)
        said = self._get_text_or_empty("kind")
        kind = self.mapping.kinds.get(said, said)
        if kind not in KINDS:
            known = ", ".join(KINDS)
            self._add_fault(
                "kind",
                f"{said!r} is not one of: {known}: name it under `kinds` of a mapping, or leave it out with "
                "--only",
            )
            return kind, ()
        if not self._get_text_or_empty("account"):
            self._add_fault("account", "is empty: name the account")
        if self.mapping.has_balances:
            found = [
                self._read_balance("symbol", "locked_after"),
                self._read_balance("debt_symbol", "debt_after"),
            ]
            return kind, tuple(found) if len(self.faults) == faults else ()
        is_debt, is_less = kind in ("draw", "repayment"), kind in ("withdrawal", "repayment", "liquidation")
        found = [self._read_change("symbol", "amount", is_debt, is_less)]
        if kind == "liquidation":
            found.append(self._read_change("debt_symbol", "debt_amount", True, True))
        elif self._get_text_or_empty("debt_amount").strip("0."):
            self._add_fault("debt_amount", f"is of liquidations alone, and this is a {kind}: empty it")
        return kind, tuple(found) if len(self.faults) == faults else ()

    def _read_balance(self, symbol_field: str, field: str) -> BalanceChange:
        """Read an account's balance after an event; collateral is rounded down, debt up."""
        is_debt = field == "debt_after"
        change = self._read_change(symbol_field, field, is_debt, False, rounds_down=not is_debt)
        return change._replace(is_balance=True)

    def _read_change(
        self, symbol_field: str, field: str, is_debt: bool, is_less: bool, rounds_down: bool | None = None
    ) -> BalanceChange:
        """Read the change of a balance by an amount of a token.

        Unless `rounds_down` says otherwise, deposits and repayments are rounded down, other amounts up.
        """
        account, symbol, faults = (
            self._get_account(),
            self._read_symbol_or_empty(symbol_field),
            len(self.faults),
        )
        if not symbol:
            self._add_fault(symbol_field, "is empty: name the token")
        amount = self._read_amount(
            field, rounds_down=is_debt == is_less if rounds_down is None else rounds_down
        )
        decimals = 18
        if field in self.mapping.decimals and len(self.faults) == faults:
            decimals = min(18, self._read_decimal_places(field))
        if len(self.faults) == faults and self.decimals.setdefault(symbol, decimals) != decimals:
            self._add_fault(
                symbol_field,
                f"{symbol} has {decimals} decimals here and {self.decimals[symbol]} before: mend one",
            )
        column = self.mapping.get_column(field) or field
        return BalanceChange(self._number, column, account, symbol, is_debt, -amount if is_less else amount)

    # ----------------------------------------------------------------- balances

    def apply_event(self, balances: dict[tuple[str, str], AccountBalance], event: AccountEvent) -> None:
        """Apply an event to the balances, by account and token.

        An event that takes more than the balance is recorded as a fault.
        """
        for each in event.changes:
            balance = balances.setdefault((each.account, each.symbol), AccountBalance())
            balance.row = each.row
            there = balance.debt if each.is_debt else balance.locked
            after = each.amount if each.is_balance else there + each.amount
            if after < -self.rounded:  # a wei for each figure that was rounded
                what = "debt" if each.is_debt else "collateral"
                missing = "interest as draws, or the events before" if each.is_debt else "the events before"
                problem = (
                    f"takes {format_decimal(-each.amount, WAD)} {each.symbol} from the {what} of "
                    f"{each.account}, which is {format_decimal(there, WAD)}: add {missing}"
                )
                self.faults.append(TableFault(each.row, each.column, problem))
            if each.is_debt:
                balance.debt = max(0, after)
            else:
                balance.locked = max(0, after)

    def _build_rows(
        self, balances: Mapping[tuple[str, str], AccountBalance], prices: Mapping[str, int]
    ) -> SourceTable:
        """Return the table of positions; a debt token without a price is recorded as a fault."""
        try:
            names = map_symbols_to_scenario_names(
                dict.fromkeys(symbol for _, symbol in balances), self.mapping.rename
            )
        except BackstopError as error:
            raise BackstopError(f"{self.table.name}: {error}") from None
        rows, unpriced = [], set()
        for (account, symbol), balance in balances.items():
            if not balance.locked and not balance.debt:
                continue
            price = self.mapping.fixed.get("debt_price", "")
            if names[symbol] in prices:
                price = format_decimal(prices[names[symbol]], RAY)
            if balance.debt and not price and symbol not in unpriced:
                unpriced.add(symbol)
                problem = (
                    f"debts of {symbol} have no price: give --prices with a column of it, or "
                    "--fixed debt_price=1 if they are dollars"
                )
                self.faults.append(TableFault(balance.row, "", problem))
            decimals = self.decimals[symbol]
            cells = (
                account,
                symbol,
                str(balance.locked // 10 ** (18 - decimals)),
                str(decimals),
                format_decimal(balance.debt, WAD),
                symbol,
                price,
            )
            rows.append(CsvRow(balance.row, dict(zip(_COLUMNS, cells, strict=True))))
        return SourceTable(self.table.name, _COLUMNS, rows)


def parse_moment(text: str) -> Moment:
    """Read a time (ISO 8601 or seconds of the epoch) or a block number.

    A whole number under a hundred million is a block number.
    """
    if text.isascii() and text.isdigit() and int(text) < _FIRST_TIME:
        return Moment(True, int(text))
    return Moment(False, parse_time(text))


def format_moment(moment: Moment) -> str:
    """Format a time as `2024-03-12T08:00Z`, a block as `block 19,000,000`."""
    return f"block {moment.value:,}" if moment.is_block else format_utc_time(moment.value)
