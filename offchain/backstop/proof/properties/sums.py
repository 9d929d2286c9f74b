"""Sums over long tables, carried along: what a property needs of them costs what changed, not what stands."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from backstop.errors import BackstopError

SUMMED = {("VaultEngine", "vaults"), ("LossWaterfall", "marks.of_vaults")}
"""Contract and path of the tables that grow with vaults; their keys begin with the collateral type."""


class Summed(dict[Any, Any]):
    """A table whose records are summed up, field by field, for each first part of the key."""

    def __init__(self) -> None:
        """Begin with no record."""
        super().__init__()
        self.sums: dict[Any, tuple[int, ...]] = {}

    def __setitem__(self, key: Any, value: Any) -> None:
        old = dict.get(self, key)
        dict.__setitem__(self, key, value)
        if old != value:
            change = _parts(value)
            if old is not None:
                change = tuple([new - before for new, before in zip(change, _parts(old), strict=True)])
            known = self.sums.get(key[0])
            if known is not None:
                change = tuple([a + b for a, b in zip(known, change, strict=True)])
            self.sums[key[0]] = change

    def recount(self) -> None:
        """Check the sums against a full count; raise BackstopError if they drifted."""
        if self.sums != count(self):
            raise BackstopError("sums carried along differ from a full count: a fault of this program")


def sums_of(table: Mapping[Any, Any]) -> Mapping[Any, tuple[int, ...]]:
    """Return the sums of the fields of a table's records, by the first part of their keys."""
    return table.sums if isinstance(table, Summed) else count(table)


def count(table: Mapping[Any, Any]) -> dict[Any, tuple[int, ...]]:
    """Sum up a whole table."""
    sums: dict[Any, list[int]] = {}
    for key, value in table.items():
        parts = _parts(value)
        total = sums.setdefault(key[0], [0] * len(parts))
        for i, part in enumerate(parts):
            total[i] += part
    return {key: tuple(total) for key, total in sums.items()}


def new_table(contract: str, path: str) -> dict[Hashable, Any]:
    """Return an empty table, summed up if it is one that grows."""
    return Summed() if (contract, path) in SUMMED else {}


def _parts(value: Any) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,)
