"""Incremental sums over long tables: the cost grows with the changed records, not with the table."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

from backstop.errors import BackstopError
from backstop.model.arithmetic import RAY
from backstop.model.collateral_auction import AuctionStart
from backstop.model.workouts import WorkoutBalances
from backstop.system import Snapshot

MICRO_RAD = 10**39

Figures = Callable[..., tuple[int, tuple[int, ...]]]
"""Function of a key and a record: returns the key's collateral type and the amounts to sum.

Absent records are None. The first one is present.
"""


def _extract_vault_amounts(key: Any, vault: Any) -> tuple[int, tuple[int, ...]]:
    return key[0], (vault.locked_collateral, vault.normalized_debt)


def _extract_type_and_flagged_debt(flag_key: Any, flagged_debt: int) -> tuple[int, tuple[int, ...]]:
    return flag_key[0], (flagged_debt,)


def _extract_lot_collateral_and_principal(
    key: Any, lot: Any, auction_start: Any
) -> tuple[int, tuple[int, ...]]:
    auction_start = auction_start or AuctionStart()
    return lot.collateral_type, (
        lot.lot,
        compute_unraised_principal(lot.target, auction_start.penalty, auction_start.excess),
    )


def _extract_workout_collateral_and_principal(
    key: Any, workout: Any, premium_and_excess: Any
) -> tuple[int, tuple[int, ...]]:
    premium_and_excess = premium_and_excess or WorkoutBalances()
    principal = compute_unraised_principal(
        workout.left, premium_and_excess.premium, premium_and_excess.excess
    )
    return workout.collateral_type, (workout.lot, principal, principal if workout.flagged else 0)


def compute_unraised_principal(target_left: int, penalty: int, excess: int) -> int:
    """Return the principal that is still to be raised [rad], if principal is repaid first.

    The target is the principal plus the penalty [millionths of a stablecoin] plus a rounding excess [rad].
    """
    return max(0, target_left * RAY - penalty * MICRO_RAD - excess)


CARRIED: Mapping[str, Mapping[tuple[str, ...], Figures]] = {
    "VaultEngine": {("vaults",): _extract_vault_amounts},
    "LiquidationEngine": {("vault_flags.of_vaults",): _extract_type_and_flagged_debt},
    "CollateralAuction": {("lots", "tops"): _extract_lot_collateral_and_principal},
    "Workouts": {("balances", "sums"): _extract_workout_collateral_and_principal},
}
"""By contract, tables that grow with the book; those that are added up together have the same keys."""


class SummedTable(dict[Any, Any]):
    """Dictionary of a storage table that updates incremental sums on each write."""

    def __init__(self, carried: IncrementalSum) -> None:
        """Create an empty table that reports its writes to `carried`."""
        super().__init__()
        self.carried = carried

    def __setitem__(self, key: Any, value: Any) -> None:
        if dict.get(self, key) != value:
            dict.__setitem__(self, key, value)
            self.carried.update_record(key)


class IncrementalSum:
    """Incremental sums per collateral type over storage tables that share their keys."""

    def __init__(self, paths: tuple[str, ...], figures: Figures) -> None:
        self.tables = {path: SummedTable(self) for path in paths}
        self.sums: dict[int, tuple[int, ...]] = {}
        self._figures = figures
        self._posted: dict[Hashable, tuple[int, tuple[int, ...]]] = {}

    def update_record(self, key: Hashable) -> None:
        """Replace a record's old amounts by its current amounts in the sums of its collateral type.

        Nothing happens if the first table has no record of this key.
        """
        first, *others = (dict.get(table, key) for table in self.tables.values())
        if first is None:
            return
        new, old = self._figures(key, first, *others), self._posted.get(key)
        if new == old:
            return
        if old is not None:
            self._add_parts(old[0], tuple([-part for part in old[1]]))
        self._add_parts(*new)
        self._posted[key] = new

    def _add_parts(self, group: int, parts: tuple[int, ...]) -> None:
        known = self.sums.get(group)
        self.sums[group] = (
            parts if known is None else tuple([a + b for a, b in zip(known, parts, strict=True)])
        )

    def check_full_count(self) -> None:
        """Compare the incremental sums with a full count; raise BackstopError if they differ."""
        counted = sum_tables_by_group(self._figures, *self.tables.values())
        if _drop_zero_sums(self.sums) != _drop_zero_sums(counted):
            raise BackstopError("sums carried along differ from a full count: a fault of this program")


def get_table_sums(snapshot: Snapshot, contract: str, *paths: str) -> Mapping[int, tuple[int, ...]]:
    """Return the sums over tables of one contract, by collateral type.

    Incremental sums are used where the snapshot keeps them, and a full count otherwise. The result is empty
    if nothing was written.
    """
    tables = [snapshot.get(contract, {}).get(path, {}) for path in paths]
    if isinstance(tables[0], SummedTable):
        return tables[0].carried.sums
    return sum_tables_by_group(CARRIED[contract][paths], *tables)


def sum_tables_by_group(record_figures: Figures, *tables: Mapping[Any, Any]) -> dict[int, tuple[int, ...]]:
    """Return the sums of all records' amounts, by collateral type, from a full count.

    `record_figures` maps a key and its records to the collateral type and the amounts.
    """
    first, *others = tables
    sums: dict[int, list[int]] = {}
    for key, record in first.items():
        group, parts = record_figures(key, record, *(table.get(key) for table in others))
        total = sums.setdefault(group, [0] * len(parts))
        for i, part in enumerate(parts):
            total[i] += part
    return {group: tuple(total) for group, total in sums.items()}


def create_summed_or_plain_table(
    contract: str, path: str, sibling_tables: Mapping[str, Mapping[Hashable, Any]]
) -> dict[Hashable, Any]:
    """Return an empty storage table, with incremental sums if it is one of the long tables.

    Tables that are summed together share their sums with those in `sibling_tables`.
    """
    for paths, figures in CARRIED.get(contract, {}).items():
        if path in paths:
            there = next((sibling_tables[each] for each in paths if each in sibling_tables), None)
            carried = there.carried if isinstance(there, SummedTable) else IncrementalSum(paths, figures)
            return carried.tables[path]
    return {}


def copy_snapshot(snapshot: Snapshot) -> dict[str, dict[str, dict[Hashable, Any]]]:
    """Return a copy of a state snapshot, with incremental sums of its own."""
    copy: dict[str, dict[str, dict[Hashable, Any]]] = {}
    for contract, tables in snapshot.items():
        copied = copy[contract] = {}
        for path, table in tables.items():
            copied[path] = create_summed_or_plain_table(contract, path, copied)
            if isinstance(table, SummedTable):
                for key, value in table.items():
                    copied[path][key] = value
            else:
                copied[path].update(table)
    return copy


def iter_snapshot_incremental_sums(snapshot: Snapshot) -> Iterator[IncrementalSum]:
    """Yield each group of incremental sums that a state snapshot keeps."""
    for contract, definitions in CARRIED.items():
        for paths in definitions:
            table = snapshot.get(contract, {}).get(paths[0])
            if isinstance(table, SummedTable):
                yield table.carried


def _drop_zero_sums(sums: Mapping[int, tuple[int, ...]]) -> dict[int, tuple[int, ...]]:
    return {group: parts for group, parts in sums.items() if any(parts)}
