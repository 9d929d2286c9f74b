"""Changes of a book's vaults by events: files as `fit-owners` reads them, in the scenario's stablecoins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS, RAY
from backstop.simulation.scenario import Scenario
from backstop.simulation.scenario.quantity_units import read_basis_points
from backstop.simulation.scenario.scenario_records import Vault
from backstop.simulation.sources.column_mapping import ColumnMapping, load_mapping
from backstop.simulation.sources.event_reader import AccountEvent, EventReader
from backstop.simulation.sources.symbol_to_scenario_name_mapping import map_symbols_to_scenario_names
from backstop.simulation.sources.table_reader import read_source_table

if TYPE_CHECKING:
    from backstop.simulation.sources.table_reader import Source


class VaultChange(NamedTuple):
    """Change of a vault's collateral and debt by an event [wad]; a decrease is negative."""

    time: int  # seconds of the epoch
    account: str
    is_liquidation: bool
    locked: int
    debt: int  # stablecoins, at the price that the debt's token has as the scenario begins


class EventTable(NamedTuple):
    """Events of one or several files in order of time, with the mapping of their columns."""

    name: str
    events: Sequence[AccountEvent]
    mapping: ColumnMapping


def read_event_tables(sources: Source | Sequence[Source], mapping: ColumnMapping, floats: bool) -> EventTable:
    """Read the events of one or several files that share a column mapping, in order of time.

    Of events in the same second, those of the file that begins first come first. Raises BackstopError for a
    file that is given twice, for one without events, and for times in blocks.
    """
    several = list(sources) if isinstance(sources, (list, tuple)) else [sources]
    if not several:
        raise BackstopError("a history is compared with what happened: give a file of events")
    names, found = list[str](), list[list[AccountEvent]]()
    for source in several:
        table = read_source_table(source)
        if isinstance(source, (str, Path)) and sum(str(each) == str(source) for each in several) > 1:
            raise BackstopError(f"{source}: is given twice: its events would count twice")
        events = EventReader(table, mapping.add_documented_columns(table.columns), floats).read_events()
        if not events:
            raise BackstopError(f"{table.name}: has no events: write a row for each under the header")
        if events[0].time.is_block:
            raise BackstopError(f"{table.name}: times are blocks: map `time` to a column of times")
        names.append(table.name)
        found.append(events)
    found.sort(key=lambda events: (events[0].time.value, events[-1].time.value))
    merged = sorted((each for events in found for each in events), key=lambda event: event.time.value)
    return EventTable(", ".join(names), merged, mapping)


def load_event_mapping(
    like: str | Path,
    columns: Mapping[str, str] | None,
    fixed: Mapping[str, str] | None,
    decimals: Mapping[str, str | int] | None,
    only: Mapping[str, str] | None,
    rename: Mapping[str, str] | None,
) -> ColumnMapping:
    """Return a column mapping of events, with the given fields overridden.

    Raises BackstopError for a mapping of positions.
    """
    mapping = load_mapping(like).override_fields(columns, fixed, decimals, only, rename)
    if mapping.form != "events":
        raise BackstopError(f"like: {str(like)!r} is of positions: name a mapping with `form: events`")
    return mapping


class VaultChangeReader:
    """Converter of events to changes of the vaults of one collateral type.

    A balance after an event becomes a change by subtraction of the previous balance. For vaults of the book
    that is the balance at the start, for other accounts the balance after earlier events. If an account has
    vaults of several types, only its liquidations change debts, as other events do not name the vault.
    """

    def __init__(self, day: Scenario, symbol: str, vaults: Sequence[Vault], table: EventTable) -> None:
        self.day, self.table = day, table
        assets = day.assets.get(symbol)
        self.collateral = symbol if assets is None else assets.collateral
        self.debt_token = "" if assets is None else assets.debt
        self.foreign_tokens = {each.debt for each in day.assets.values()} - {"", self.debt_token}
        self.accounts = {vault.owner for vault in vaults if vault.symbol == symbol and vault.debt}
        types: dict[str, set[str]] = {}
        for vault in vaults:
            types.setdefault(vault.owner, set()).add(vault.symbol)
        self.shared = {owner for owner, found in types.items() if len(found) > 1}
        self.locked: dict[str, int] = {}
        self.debts: dict[str, int] = {}
        for vault in vaults:
            if vault.owner in self.accounts:
                self.debts[vault.owner] = self.debts.get(vault.owner, 0) + vault.debt
                self.locked[vault.owner] = self.locked.get(vault.owner, 0) + (
                    vault.locked if vault.symbol == symbol else 0
                )
        self.prices: dict[str, int] = {}
        self.other_collateral: set[str] = set()
        self.unassigned = 0  # draws and repayments of owners of several types
        self.has_balances = False

    def list_changes(self) -> list[VaultChange]:
        """Return the changes by events until the scenario's end.

        Events of the book's accounts until the start are skipped, as the book contains their effect.
        """
        begin, end = self.day.start, self.day.start + self.day.duration
        names = self._name_symbols()
        found = []
        for event in self.table.events:
            if event.time.value > end or (event.account in self.accounts and event.time.value <= begin):
                continue
            change = self._build_change(event, names)
            if change is not None and event.time.value > begin:
                found.append(change)
        return found

    def list_remarks(self) -> list[str]:
        """Return sentences on events that were left out, and on interest in balances."""
        found = []
        if self.other_collateral:
            listed = ", ".join(sorted(self.other_collateral))
            found.append(f"Collateral of {listed} is of other types and left out.")
        if self.unassigned:
            found.append(
                f"{self.unassigned:,} draws and repayments of accounts with vaults of several types are left "
                "out: nothing says of which vault they are."
            )
        if self.has_balances:
            found.append("Balances after events hold interest: what it added since the last is drawn.")
        return found

    def _name_symbols(self) -> dict[str, str]:
        """Return the scenario's name of each token.

        Raises BackstopError if the events have other collateral than the type, or balances of several debt
        tokens.
        """
        changes = [change for event in self.table.events for change in event.changes]
        try:
            names = map_symbols_to_scenario_names(
                (change.symbol for change in changes), self.table.mapping.rename
            )
        except BackstopError as error:
            raise BackstopError(f"{self.table.name}: {error}") from None
        locked = dict.fromkeys(names[change.symbol] for change in changes if not change.is_debt)
        if locked and self.collateral not in locked:
            raise BackstopError(
                f"{self.table.name}: its collateral is {', '.join(locked)}, the scenario's "
                f"{self.collateral}: give --rename {next(iter(locked))}={self.collateral}"
            )
        owed = dict.fromkeys(
            names[change.symbol] for change in changes if change.is_debt and change.is_balance
        )
        counted = [token for token in owed if self._is_debt_counted(token)]
        if len(counted) > 1:
            raise BackstopError(
                f"{self.table.name}: debts after events are of {', '.join(counted)}, and have to be of one "
                "token: leave the others out with --only"
            )
        return names

    def _is_debt_counted(self, token: str) -> bool:
        """Return whether a token is the type's debt token.

        For a type without an own debt token, any token counts that is not the debt of another type.
        """
        return token == self.debt_token if self.debt_token else token not in self.foreign_tokens

    def _build_change(self, event: AccountEvent, names: Mapping[str, str]) -> VaultChange | None:
        """Return the change by an event, and store the balances after it.

        None if the type is unaffected.
        """
        is_liquidation, locked, debt = event.kind == "liquidation", 0, 0
        others = {names[each.symbol] for each in event.changes if not each.is_debt} - {self.collateral}
        self.other_collateral |= others
        for each in event.changes:
            token = names[each.symbol]
            if not each.is_debt:
                if token != self.collateral:
                    continue
                before = self.locked.get(each.account, 0)
                locked += each.amount - (before if each.is_balance else 0)
                self.locked[each.account] = before + locked
                continue
            if not self._is_debt_counted(token):
                continue
            amount = each.amount * self._get_debt_price(token) // RAY
            before = self.debts.get(each.account, 0)
            change = amount - (before if each.is_balance else 0)
            self.debts[each.account] = before + change
            self.has_balances = self.has_balances or each.is_balance
            if others:
                continue
            if each.account in self.shared and not is_liquidation:
                self.unassigned += bool(change)
                continue
            debt += change
        if not locked and not debt:
            return None
        return VaultChange(event.time.value, event.account, is_liquidation, locked, debt)

    def _get_debt_price(self, token: str) -> int:
        """Return the price of a debt token at the scenario's start [ray].

        A token without a price has the mapping's fixed price, by default 1.
        """
        if token not in self.prices:
            path = (self.day.asset_prices or self.day.prices).get(token)
            text = self.table.mapping.fixed.get("debt_price", "1")
            try:
                self.prices[token] = (
                    next(iter(path.points.values()))
                    if path is not None
                    else read_basis_points(f"{text} x") * RAY // BASIS_POINTS
                )
            except ValueError as error:
                raise BackstopError(f"fixed: debt_price: {error}") from None
        return self.prices[token]
