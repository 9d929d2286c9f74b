"""Sums over long tables, carried along: what a property needs of them costs what changed, not what stands."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

from backstop.errors import BackstopError
from backstop.model.arithmetic import RAY
from backstop.model.collateral_auction import Top
from backstop.model.workouts import Sums
from backstop.system import Snapshot

MICRO_RAD = 10**39

Figures = Callable[..., tuple[int, tuple[int, ...]]]
"""The collateral type that records under one key belong to, and what is added up of them; absent ones are
None. The first one is there.
"""


def _of_vault(key: Any, vault: Any) -> tuple[int, tuple[int, ...]]:
    return key[0], (vault.locked_collateral, vault.normalized_debt)


def _of_flag(key: Any, debt: int) -> tuple[int, tuple[int, ...]]:
    return key[0], (debt,)


def _of_auction(key: Any, lot: Any, top: Any) -> tuple[int, tuple[int, ...]]:
    top = top or Top()
    return lot.collateral_type, (lot.lot, principal_left(lot.target, top.penalty, top.excess))


def _of_workout(key: Any, balance: Any, sums: Any) -> tuple[int, tuple[int, ...]]:
    sums = sums or Sums()
    principal = principal_left(balance.left, sums.premium, sums.excess)
    return balance.collateral_type, (balance.lot, principal, principal if balance.flagged else 0)


def principal_left(left: int, premium: int, excess: int) -> int:
    """Return what is left of a principal, which is repaid before what a target holds besides [rad]."""
    return max(0, left * RAY - premium * MICRO_RAD - excess)


CARRIED: Mapping[str, Mapping[tuple[str, ...], Figures]] = {
    "VaultEngine": {("vaults",): _of_vault},
    "LiquidationEngine": {("doubt.of_vaults",): _of_flag},
    "CollateralAuction": {("lots", "tops"): _of_auction},
    "Workouts": {("balances", "sums"): _of_workout},
}
"""By contract, tables that grow with the book; those that are added up together have the same keys."""


class Summed(dict[Any, Any]):
    """A table of which sums are carried along."""

    def __init__(self, carried: Carried) -> None:
        """Begin with no record."""
        super().__init__()
        self.carried = carried

    def __setitem__(self, key: Any, value: Any) -> None:
        if dict.get(self, key) != value:
            dict.__setitem__(self, key, value)
            self.carried.post(key)


class Carried:
    """The sums of some tables with the same keys, by collateral type."""

    def __init__(self, paths: tuple[str, ...], figures: Figures) -> None:
        self.tables = {path: Summed(self) for path in paths}
        self.sums: dict[int, tuple[int, ...]] = {}
        self._figures = figures
        self._posted: dict[Hashable, tuple[int, tuple[int, ...]]] = {}

    def post(self, key: Hashable) -> None:
        """Add up what the records under a key are now, in place of what they were."""
        first, *others = (dict.get(table, key) for table in self.tables.values())
        if first is None:
            return
        new, old = self._figures(key, first, *others), self._posted.get(key)
        if new == old:
            return
        if old is not None:
            self._add(old[0], tuple([-part for part in old[1]]))
        self._add(*new)
        self._posted[key] = new

    def _add(self, group: int, parts: tuple[int, ...]) -> None:
        known = self.sums.get(group)
        self.sums[group] = (
            parts if known is None else tuple([a + b for a, b in zip(known, parts, strict=True)])
        )

    def recount(self) -> None:
        """Check the sums against a full count; raise BackstopError if they drifted."""
        counted = count(self._figures, *self.tables.values())
        if _without_zeros(self.sums) != _without_zeros(counted):
            raise BackstopError("sums carried along differ from a full count: a fault of this program")


def sums_of(snapshot: Snapshot, contract: str, *paths: str) -> Mapping[int, tuple[int, ...]]:
    """Return the sums over tables of one contract, by collateral type; none if nothing was written."""
    tables = [snapshot.get(contract, {}).get(path, {}) for path in paths]
    if isinstance(tables[0], Summed):
        return tables[0].carried.sums
    return count(CARRIED[contract][paths], *tables)


def count(figures: Figures, *tables: Mapping[Any, Any]) -> dict[int, tuple[int, ...]]:
    """Add up whole tables."""
    first, *others = tables
    sums: dict[int, list[int]] = {}
    for key, record in first.items():
        group, parts = figures(key, record, *(table.get(key) for table in others))
        total = sums.setdefault(group, [0] * len(parts))
        for i, part in enumerate(parts):
            total[i] += part
    return {group: tuple(total) for group, total in sums.items()}


def new_table(contract: str, path: str, beside: Mapping[str, Mapping[Hashable, Any]]) -> dict[Hashable, Any]:
    """Return an empty table, to stand `beside` others of the contract; summed up if it is one that grows."""
    for paths, figures in CARRIED.get(contract, {}).items():
        if path in paths:
            there = next((beside[each] for each in paths if each in beside), None)
            carried = there.carried if isinstance(there, Summed) else Carried(paths, figures)
            return carried.tables[path]
    return {}


def copy_snapshot(snapshot: Snapshot) -> dict[str, dict[str, dict[Hashable, Any]]]:
    """Return a copy of a state, with sums of its own."""
    copy: dict[str, dict[str, dict[Hashable, Any]]] = {}
    for contract, tables in snapshot.items():
        copied = copy[contract] = {}
        for path, table in tables.items():
            copied[path] = new_table(contract, path, copied)
            if isinstance(table, Summed):
                for key, value in table.items():
                    copied[path][key] = value
            else:
                copied[path].update(table)
    return copy


def carried(snapshot: Snapshot) -> Iterator[Carried]:
    """Yield all that is carried along in a state."""
    for contract, definitions in CARRIED.items():
        for paths in definitions:
            table = snapshot.get(contract, {}).get(paths[0])
            if isinstance(table, Summed):
                yield table.carried


def _without_zeros(sums: Mapping[int, tuple[int, ...]]) -> dict[int, tuple[int, ...]]:
    return {group: parts for group, parts in sums.items() if any(parts)}
