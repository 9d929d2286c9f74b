"""Owners of vaults hour by hour: each vault's distance from liquidation, and its owner's next act.

A file of events is played over the initial vaults. Every vault with enough debt has a row at each full hour;
the owner's changes within the hour after are one act, or none. Changes by a liquidation are no act.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow.fs as pafs

from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD
from backstop.simulation.scenario.owner_behavior import ADD, DRAW, REPAY, SELL, WITHDRAW
from backstop.simulation.scenario.parameters_yaml_writer import format_decimal
from backstop.simulation.scenario.quantity_units import read_basis_points
from backstop.simulation.sources.book_reader import VaultBook
from backstop.simulation.sources.column_mapping import load_mapping
from backstop.simulation.sources.event_reader import AccountBalance, AccountEvent, EventReader
from backstop.simulation.sources.liquidation_terms import read_liquidation_terms
from backstop.simulation.sources.price_reader import PriceHistory, format_utc_time, parse_time
from backstop.simulation.sources.symbol_to_scenario_name_mapping import map_symbols_to_scenario_names
from backstop.simulation.sources.table_reader import TableFault, TableFaultsError, read_source_table

if TYPE_CHECKING:
    from backstop.simulation.sources.table_reader import Source

HOUR = 3_600
DAY = 86_400
LEAST_CHANGE = 30
"""Least change of a ratio that is an act, basis points: 0.3%."""
NEAR = 1_000
"""Distance under which a vault is near liquidation, basis points: 10%."""


class OwnerAct(NamedTuple):
    """Change that an owner made to a vault within an hour."""

    way: str  # of DEFENCES or RELEASES
    size: float  # part of the debt
    distance_after: int | None  # basis points, at the price of the hour's beginning; None: it owes nothing


class VaultHour(NamedTuple):
    """State of a vault at a full hour, and its owner's act within the next hour (None for no act)."""

    owner: int  # place among the owners
    time: int  # seconds of the epoch
    distance: (
        int  # basis points: collateral at market over liquidation ratio times debt, less 1; rounded down
    )
    fall: int  # basis points that the price has fallen over a day; 0 if it rose
    debt: int  # wad
    act: OwnerAct | None


@dataclass(frozen=True)
class OwnerHistory:
    """Vaults of an event file at each full hour, with their owners' acts."""

    name: str
    first: int  # full hour, seconds of the epoch
    last: int
    owners: tuple[str, ...]
    near_hours: tuple[int, ...]  # of each owner: full hours in which its vaults, left alone, had been near
    hours: tuple[VaultHour, ...]
    vaults: int  # that were looked at
    liquidated: int  # vaults
    told: tuple[str, ...]  # what was left out, held or kept, counted


class _Vault:
    """State of a vault, and its owner's changes since the last full hour."""

    __slots__ = ("account", "added", "debt", "drawn", "is_liquidated", "locked", "owner", "symbol", "token")

    def __init__(self, account: str, owner: str) -> None:
        self.account, self.owner = account, owner
        self.symbol = self.token = ""
        self.locked = self.debt = self.added = self.drawn = 0
        self.is_liquidated = False


def read_owner_history(
    events: Source,
    prices: PriceHistory,
    book: VaultBook | None = None,
    *,
    like: str | Path = "events",
    columns: Mapping[str, str] | None = None,
    fixed: Mapping[str, str] | None = None,
    decimals: Mapping[str, str | int] | None = None,
    only: Mapping[str, str] | None = None,
    rename: Mapping[str, str] | None = None,
    floats: bool = False,
    ratios: Mapping[str, str] | None = None,
    begin: str | int | None = None,
    until: str | int | None = None,
    floor: int = 2_000,
    filesystem: pafs.FileSystem | None = None,
) -> OwnerHistory:
    """Read the acts of vault owners, hour by hour, from a file of events (docs/how-to/owners.md).

    - `events`: file or table of events on vaults.
    - `prices`: history of prices of the collateral, and of debt tokens that are not dollars.
    - `book`: vaults at `begin`, to which later events are added. Without it, the vaults at `begin` are
      the sum of all events until then.
    - `like`: name or file of a column mapping of the form `events`.
    - `columns`, `fixed`, `decimals`, `only`, `rename`: fields that override those of the mapping.
    - `floats`: whether amounts may be floating-point numbers, which are refused by default.
    - `ratios`: liquidation ratios by symbol, for example "130%". They override those of `book` and of the
      mapping's system.
    - `begin`, `until`: first and last full hour. By default all hours with events and prices.
    - `floor`: debt in dollars under which a vault is left out of an hour.
    - `filesystem`: PyArrow file system that holds `events`.

    The result has these fields:

    - `name`, `first`, `last`: name of the file, and the period in seconds since the Unix epoch.
    - `owners`: name of each owner. `near_hours`: for each owner, the hours in which a vault without any
      act would have come within 10% of liquidation.
    - `hours`: a record for each vault and full hour. It has `owner` (index), `time`, the `distance` from
      liquidation and the `fall` of the price over a day [bps], `debt` [wad] and `act` (None for no act).
    - `vaults`, `liquidated`: number of vaults, and of vaults that were liquidated.
    - `told`: remarks on data that were left out.

    Raises BackstopError. For unreadable values it lists all faults of the file at once.
    """
    mapping = load_mapping(like).override_fields(columns, fixed, decimals, only, rename)
    if mapping.form != "events":
        raise BackstopError(f"like: {str(like)!r} is of positions: name a mapping with `form: events`")
    table = read_source_table(events, filesystem)
    reader = EventReader(table, mapping.add_documented_columns(table.columns), floats)
    found = reader.read_events()
    if not found:
        raise BackstopError(f"{table.name}: has no events: write a row for each under the header")
    if found[0].time.is_block:
        raise BackstopError(
            f"{table.name}: times are blocks, which have no hours: map `time` to a column of times"
        )
    building = _HistoryBuilder(table.name, reader, found, prices, mapping.fixed.get("debt_price", ""))
    building.set_period(begin, until, book is not None)
    building.open_vaults(book)
    building.set_ratios(ratios or {}, book, mapping.system)
    return building.build_history(floor * WAD)


class _HistoryBuilder:
    """Builder that applies the events of a file, and records vaults hour by hour."""

    def __init__(
        self,
        name: str,
        reader: EventReader,
        events: Sequence[AccountEvent],
        prices: PriceHistory,
        debt_price: str,
    ) -> None:
        self.name, self.reader, self.prices = name, reader, prices
        self.has_fixed_debt_price = bool(debt_price)
        self.debt_price = self._read_debt_price(debt_price)
        symbols = dict.fromkeys(change.symbol for event in events for change in event.changes)
        try:
            names = map_symbols_to_scenario_names(symbols, reader.mapping.rename)
        except BackstopError as error:
            raise BackstopError(f"{name}: {error}") from None
        self.events = [
            event._replace(changes=tuple(each._replace(symbol=names[each.symbol]) for each in event.changes))
            for event in events
        ]
        self.balances: dict[tuple[str, str], AccountBalance] = {}
        self.vaults: dict[str, _Vault] = {}
        self.ratios: dict[str, int] = {}
        self.told = list(reader.told)
        self.first = self.last = 0
        self.next_event = 0

    def _read_debt_price(self, text: str) -> int:
        try:
            return RAY if not text else int(read_basis_points(f"{text} x") * RAY // BASIS_POINTS)
        except ValueError as error:
            raise BackstopError(f"fixed: debt_price: {error}") from None

    def set_period(self, begin: str | int | None, until: str | int | None, has_book: bool) -> None:
        """Set the first and the last full hour; raise BackstopError if prices do not cover them."""
        there = self.prices.first_common_time, self.prices.last_common_time
        first_event, last_event = self.events[0].time.value, self.events[-1].time.value
        earliest = first_event - first_event % HOUR if has_book else -(-first_event // HOUR) * HOUR
        self.first = _read_full_hour("from", begin, max(earliest, -(-there[0] // HOUR) * HOUR))
        self.last = _read_full_hour("until", until, min(-(-last_event // HOUR), there[1] // HOUR) * HOUR)
        if self.first >= self.last:
            raise BackstopError(
                f"{self.name}: {_format_span(self.first, self.last)} has no full hour: its events are of "
                f"{_format_span(first_event, last_event)}, prices of {_format_span(*there)}: give --from and "
                "--until"
            )
        if self.first < there[0] or self.last > there[1] + HOUR:
            raise BackstopError(
                f"{self.prices.name}: has prices of {_format_span(*there)}, not of all hours of "
                f"{_format_span(self.first, self.last)}: give others, or another --from and --until"
            )
        if self.first - there[0] < DAY:
            self.told.append(
                f"Prices begin {format_utc_time(there[0])}: a fall within the first day is that since then."
            )

    def open_vaults(self, book: VaultBook | None) -> None:
        """Create the vaults of the first hour, from a book or from all events until then."""
        early = sum(event.time.value <= self.first for event in self.events)
        if book is None:
            self._play_events(self.first)
        else:
            self._open_book(book)
            self.next_event = early
            if early:
                self.told.append(
                    f"{early:,} events until {format_utc_time(self.first)}, when the book was, are left out."
                )
        for vault in self.vaults.values():
            vault.added = vault.drawn = 0
            vault.is_liquidated = False

    def _open_book(self, book: VaultBook) -> None:
        tokens = dict.fromkeys(
            change.symbol for event in self.events for change in event.changes if change.is_debt
        )
        if len(tokens) > 1:
            listed = ", ".join(tokens)
            raise BackstopError(
                f"{self.name}: debts are of {listed}, those of {book.name} of one token: leave the others "
                "out with --only"
            )
        token = next(iter(tokens), "")
        for number, each in book.rows:
            if (each.owner, each.symbol) in self.balances:
                problem = (
                    f"is the second position of {each.owner} in {each.symbol}: map `position` to a column"
                )
                raise TableFaultsError(book.name, [TableFault(number, "", problem)])
            self.balances[each.owner, each.symbol] = balance = AccountBalance()
            balance.locked = each.locked
            debt = self.balances.setdefault((each.owner, token), AccountBalance())
            debt.debt += each.debt
            vault = self.vaults.setdefault(each.owner, _Vault(each.owner, each.owner))
            self._note_tokens(vault, each.symbol, token)
            vault.locked, vault.debt = each.locked, debt.debt

    def _note_tokens(self, vault: _Vault, symbol: str, token: str) -> None:
        """Record a vault's collateral and debt token; `?` stands for several tokens."""
        if symbol and vault.symbol != symbol:
            vault.symbol = "?" if vault.symbol else symbol
        if token and vault.token != token:
            vault.token = "?" if vault.token else token

    def set_ratios(self, given: Mapping[str, str], book: VaultBook | None, system: str) -> None:
        """Set the liquidation ratio of each collateral.

        Raises BackstopError if a collateral has no ratio or no price.
        """
        used = dict.fromkeys(
            [vault.symbol for vault in self.vaults.values() if vault.symbol not in ("", "?")]
            + [change.symbol for event in self.events for change in event.changes if not change.is_debt]
        )
        for symbol in given:
            if symbol not in used:
                raise BackstopError(
                    f"ratio: {symbol!r} is not a collateral of {self.name}: {', '.join(used)}"
                )
        terms = read_liquidation_terms(system)
        for symbol in used:
            try:
                if symbol in given:
                    self.ratios[symbol] = read_basis_points(given[symbol])
                elif book is not None and symbol in book.ratios:
                    self.ratios[symbol] = book.ratios[symbol]
                elif symbol in terms:
                    self.ratios[symbol] = terms[symbol].ratio
                else:
                    raise ValueError(f"has no liquidation ratio: give --ratio {symbol}=130%")
            except ValueError as error:
                raise BackstopError(f"{self.name}: {symbol}: {error}") from None
            if self.ratios[symbol] <= BASIS_POINTS:
                raise BackstopError(f"ratio: {symbol}: {given.get(symbol)!r} is not above 100%")
        self.prices.select_symbols(tuple(used))
        listed = ", ".join(f"{each} {format_decimal(self.ratios[each], 100)}%" for each in used)
        self.told.append(f"Liquidation ratio of {listed}.")

    # -------------------------------------------------------------------- hours

    def build_history(self, floor: int) -> OwnerHistory:
        """Return the history: a record for each vault with enough debt at each full hour.

        `floor` is the least debt [wad]. Raises BackstopError if no vault has that debt.
        """
        hours: list[VaultHour] = []
        owners: dict[str, int] = {}
        near: list[int] = []
        seen: dict[str, tuple[_Vault, int, int]] = {}  # as first seen: what it has locked and owes
        liquidated: set[str] = set()
        for time in range(self.first, self.last, HOUR):
            before = [
                (each.locked, each.debt, each)
                for each in self.vaults.values()
                if self._is_counted(each, time, floor)
            ]
            for vault in self.vaults.values():
                vault.added = vault.drawn = 0
                vault.is_liquidated = False
            self._play_events(time + HOUR)
            liquidated.update(each.account for each in self.vaults.values() if each.is_liquidated)
            for locked, debt, vault in before:
                if (place := owners.setdefault(vault.owner, len(owners))) == len(near):
                    near.append(0)
                seen.setdefault(vault.account, (vault, locked, debt))
                hours.append(self._build_hour(place, time, locked, debt, vault))
            for vault, locked, debt in seen.values():
                price = self._get_relative_price(vault, time)
                near[owners[vault.owner]] += (
                    compute_distance(locked, debt, price, self.ratios[vault.symbol]) < NEAR
                )
        if self.reader.faults:
            raise TableFaultsError(self.name, self.reader.faults)
        if not hours:
            raise BackstopError(
                f"{self.name}: no vault owes {format_decimal(floor, WAD)} dollars or more of "
                f"{_format_span(self.first, self.last)}: give another --from, or --floor"
            )
        mixed = sum("?" in (vault.symbol, vault.token) for vault in self.vaults.values())
        if mixed:
            self.told.append(f"{mixed:,} accounts have several collaterals or debts, and are left out.")
        late = len(self.events) - self.next_event
        if late:
            self.told.append(f"{late:,} events after {format_utc_time(self.last)} are left out.")
        return OwnerHistory(
            *(self.name, self.first, self.last, tuple(owners), tuple(near), tuple(hours), len(seen)),
            liquidated=len(liquidated),
            told=(*self.told, *self.prices.told),
        )

    def _is_counted(self, vault: _Vault, time: int, floor: int) -> bool:
        if not vault.debt or "?" in (vault.symbol, vault.token) or not vault.symbol:
            return False
        return vault.debt * self._get_debt_price(vault, time) >= floor * RAY

    def _get_debt_price(self, vault: _Vault, time: int) -> int:
        """Return the price of a vault's debt token [ray], from the price file or the fixed price.

        Raises BackstopError if there is neither.
        """
        if vault.token in self.prices.series:
            return self.prices.series[vault.token].get_price(time)
        if not self.has_fixed_debt_price:
            raise BackstopError(
                f"{self.name}: debts of {vault.token or 'the book'} have no price: give --prices with a "
                "column of it, or --fixed debt_price=1 if they are dollars"
            )
        return self.debt_price

    def _get_relative_price(self, vault: _Vault, time: int) -> int:
        """Return the price of a vault's collateral in its debt token [ray], rounded down."""
        return self.prices.series[vault.symbol].get_price(time) * RAY // self._get_debt_price(vault, time)

    def _play_events(self, until: int) -> None:
        """Apply the events until a time, and add up the changes that owners made themselves."""
        while self.next_event < len(self.events) and self.events[self.next_event].time.value <= until:
            event = self.events[self.next_event]
            self.next_event += 1
            self.reader.apply_event(self.balances, event)
            vault = self.vaults.setdefault(event.account, _Vault(event.account, event.owner))
            vault.owner = event.owner
            for each in event.changes:
                self._note_tokens(
                    vault, "" if each.is_debt else each.symbol, each.symbol if each.is_debt else ""
                )
            if "?" in (vault.symbol, vault.token):
                continue
            locked, debt = vault.locked, vault.debt
            vault.locked = _get_balance(self.balances, event.account, vault.symbol).locked
            vault.debt = _get_balance(self.balances, event.account, vault.token).debt
            if event.kind == "liquidation":
                vault.is_liquidated = True
            elif not vault.is_liquidated:
                vault.added += vault.locked - locked
                vault.drawn += vault.debt - debt

    def _build_hour(self, owner: int, time: int, locked: int, debt: int, vault: _Vault) -> VaultHour:
        series, price = self.prices.series[vault.symbol], self._get_relative_price(vault, time)
        earlier = series.get_price(time - DAY)
        act = classify_owner_act(locked, debt, vault.added, vault.drawn, price, self.ratios[vault.symbol])
        return VaultHour(
            owner=owner,
            time=time,
            distance=compute_distance(locked, debt, price, self.ratios[vault.symbol]),
            fall=max(0, (earlier - series.get_price(time)) * BASIS_POINTS // earlier),
            debt=debt * self._get_debt_price(vault, time) // RAY,
            act=act,
        )


def _get_balance(
    balances: Mapping[tuple[str, str], AccountBalance], account: str, symbol: str
) -> AccountBalance:
    return balances.get((account, symbol)) or AccountBalance()


def compute_distance(locked: int, debt: int, price: int, ratio: int) -> int:
    """Return a vault's distance from liquidation [bps], rounded down.

    An unsafe vault is below 0. `price` is that of the collateral in the debt token [ray], and `ratio` is in
    basis points.
    """
    return locked * price * BASIS_POINTS * BASIS_POINTS // (debt * ratio * RAY) - BASIS_POINTS


def classify_owner_act(
    locked: int, debt: int, added: int, drawn: int, price: int, ratio: int
) -> OwnerAct | None:
    """Return an owner's changes within an hour as one act.

    None if the ratio moved by less than 0.3%. `added` is the change of collateral, `drawn` the change of
    debt. A defence raises the ratio. It is a sale if collateral left while debt was repaid. Otherwise it is a
    deposit or a repayment, whichever is worth more. Its size is that amount over the debt, and 1 if no debt
    is left. A release lowers the ratio. It is a draw or a withdrawal, whichever is larger. Its size is that
    of a single draw or withdrawal with the same effect on the ratio.
    """
    after_locked, after_debt = locked + added, debt + drawn
    worth = added * price // RAY
    if after_debt <= 0:
        way = SELL if added < 0 else REPAY
        return OwnerAct(way, 1.0, None)
    before, after = locked * after_debt, after_locked * debt  # ratios over a common denominator
    if after * BASIS_POINTS >= before * (BASIS_POINTS + LEAST_CHANGE) and after > before:
        distance = compute_distance(after_locked, after_debt, price, ratio)
        if drawn < 0 and added < 0:
            return OwnerAct(SELL, -drawn / debt, distance)
        if worth >= -drawn:
            return OwnerAct(ADD, min(1.0, (worth - max(0, drawn)) / debt), distance)
        return OwnerAct(REPAY, -drawn / debt, distance)
    if after * (BASIS_POINTS + LEAST_CHANGE) <= before * BASIS_POINTS and after < before:
        distance = compute_distance(after_locked, after_debt, price, ratio)
        if drawn >= -worth:
            return OwnerAct(DRAW, min(1.0, before / after - 1) if after > 0 else 1.0, distance)
        lowered = (before - after) * price // (RAY * after_debt)
        return OwnerAct(WITHDRAW, min(1.0, lowered / debt), distance)
    return None


def _format_span(first: int, last: int) -> str:
    return f"{format_utc_time(first)} to {format_utc_time(last)}"


def _read_full_hour(option: str, given: str | int | None, default: int) -> int:
    if given is None:
        return default
    try:
        found = parse_time(str(given))
    except ValueError as error:
        raise BackstopError(f"{option}: {error}") from None
    if found % HOUR:
        raise BackstopError(f"{option}: {given!r} is not a full hour: owners are looked at each full hour")
    return found
