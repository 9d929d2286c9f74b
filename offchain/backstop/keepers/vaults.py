"""An index of the vaults with debt, the riskiest first, so that a search by price need not look at all."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping
from typing import Any

from backstop.model.interfaces import Vault

_SHIFT = 128

Key = tuple[int, str]
"""Collateral type and owner, as the engine's table has it."""


class Vaults:
    """An index of the engine's vaults, made from its table and kept up to date from what was written.

    The risk of a vault is normalized debt over collateral, of which the index keeps 128 binary digits.
    """

    def __init__(self, table: Mapping[Any, Vault]) -> None:
        self._table = table
        self._ranked: dict[int, list[tuple[int, str]]] = {}
        self._risks: dict[Key, int] = {}
        self._places = {key: place for place, key in enumerate(table)}
        self._locked: dict[int, int] = {}
        self._held: dict[Key, int] = {}
        for key, vault in table.items():
            self._note(key, vault)
            if key in self._risks:
                self._ranked.setdefault(key[0], []).append((self._risks[key], key[1]))
        for ranked in self._ranked.values():
            ranked.sort()

    def update(self, written: Iterable[Any]) -> None:
        """Look again at vaults that were written."""
        for key in written:
            before = self._risks.pop(key, None)
            ranked = self._ranked.setdefault(key[0], [])
            if before is not None:
                del ranked[bisect_left(ranked, (before, key[1]))]
            self._places.setdefault(key, len(self._places))
            self._note(key, self._table[key])
            if key in self._risks:
                insort(ranked, (self._risks[key], key[1]))

    def _note(self, key: Key, vault: Vault) -> None:
        c, locked = key[0], vault.locked_collateral
        self._locked[c] = self._locked.get(c, 0) + locked - self._held.get(key, 0)
        self._held[key] = locked
        if vault.normalized_debt:
            self._risks[key] = (vault.normalized_debt << _SHIFT) // locked if locked else 1 << 512

    def locked(self, c: int) -> int:
        """Return the collateral in all vaults of a type [wad]."""
        return self._locked.get(c, 0)

    def all(self, c: int) -> list[str]:
        """Return the owners of vaults with debt, in the order in which they were opened."""
        return self.sorted(c, [owner for _, owner in self._ranked.get(c, ())])

    def riskier(self, c: int, collateral: int, debt: int) -> list[str]:
        """Return the owners whose normalized debt over collateral is above `collateral / debt`.

        There may be one too many at the edge, so check each. The least risky comes first.
        """
        ranked = self._ranked.get(c)
        if not ranked:
            return []
        first = bisect_left(ranked, ((collateral << _SHIFT) // debt, ""))
        return [owner for _, owner in ranked[first:]]

    def sorted(self, c: int, owners: Iterable[str]) -> list[str]:
        """Return the owners in the order in which their vaults were opened."""
        return sorted(owners, key=lambda owner: self._places[c, owner])

    def __getitem__(self, key: Key) -> Vault:
        return self._table[key]
