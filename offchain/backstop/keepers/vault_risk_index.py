"""An index of the vaults with debt, the riskiest first, so that a search by price need not look at all."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from backstop.keepers.vaults_below_ratio import VaultsBelowRatio
from backstop.model.interfaces import Vault

_SHIFT = 128

Key = tuple[int, str]
"""Collateral type and owner, as the engine's table has it."""


class VaultRiskIndex:
    """Index of a vault engine's vaults by risk, made from its table and updated after each write.

    Risk is normalized debt over locked collateral, rounded down to 128 binary digits.
    """

    def __init__(self, table: Mapping[Any, Vault]) -> None:
        self._table = table
        self._ranked: dict[int, list[tuple[int, str]]] = {}
        self._risks: dict[Key, int] = {}
        self._places = {key: place for place, key in enumerate(table)}
        self._locked: dict[int, int] = {}
        self._held: dict[Key, int] = {}
        self._called: dict[int, dict[str, None]] = {}
        self._under: dict[int, dict[Any, VaultsBelowRatio]] = {}
        for key, vault in table.items():
            self._index_vault(key, vault)
            if key in self._risks:
                self._ranked.setdefault(key[0], []).append((self._risks[key], key[1]))
        for ranked in self._ranked.values():
            ranked.sort()

    def handle_written_record(self, key: Key) -> None:
        """Update the index for a vault that was just written."""
        c, owner = key
        before = self._risks.pop(key, None)
        ranked = self._ranked.setdefault(c, [])
        if before is not None:
            del ranked[bisect_left(ranked, (before, owner))]
        self._places.setdefault(key, len(self._places))
        self._index_vault(key, self._table[key])
        if key in self._risks:
            insort(ranked, (self._risks[key], owner))
        self.refresh_ratio_sides(key)

    def refresh_ratio_sides(self, key: Key) -> None:
        """Update for one vault all kept sets of vaults below a collateral ratio."""
        c, owner = key
        for under in self._under.get(c, {}).values():
            under.add_replace_or_drop_vault(owner, self._table[key])

    def _index_vault(self, key: Key, vault: Vault) -> None:
        c, locked = key[0], vault.locked_collateral
        self._locked[c] = self._locked.get(c, 0) + locked - self._held.get(key, 0)
        self._held[key] = locked
        if vault.normalized_debt:
            self._risks[key] = (vault.normalized_debt << _SHIFT) // locked if locked else 1 << 512
        if vault.called_at and vault.normalized_debt:
            self._called.setdefault(c, {})[key[1]] = None
        elif c in self._called:
            self._called[c].pop(key[1], None)

    def get_locked_collateral(self, collateral_type: int) -> int:
        """Return the collateral locked in all vaults of a type [wad]."""
        return self._locked.get(collateral_type, 0)

    def list_indebted_owners(self, collateral_type: int) -> list[str]:
        """Return the owners of a type's vaults with debt, in the order in which the vaults were opened."""
        return self.sort_owners_by_opening(
            collateral_type, [owner for _, owner in self._ranked.get(collateral_type, ())]
        )

    def list_vaults_ever_called(self, collateral_type: int) -> list[str]:
        """Return the owners of indebted vaults with a recorded margin call, in the order of opening."""
        return self.sort_owners_by_opening(collateral_type, self._called.get(collateral_type, ()))

    def list_riskier_owners(self, collateral_type: int, collateral: int, debt: int) -> list[str]:
        """Return the owners of vaults with normalized debt over collateral above about a limit.

        The limit is `collateral / debt`. Risk is rounded, so the caller must check vaults at the limit. The
        least risky comes first.
        """
        ranked = self._ranked.get(collateral_type)
        if not ranked:
            return []
        first = bisect_left(ranked, ((collateral << _SHIFT) // debt, ""))
        return [owner for _, owner in ranked[first:]]

    def list_vaults_below_ratio(
        self,
        collateral_type: int,
        cache_key: Any,
        line_collateral: int,
        line_debt: int,
        build_empty_set: Callable[[], VaultsBelowRatio] = VaultsBelowRatio,
    ) -> VaultsBelowRatio:
        """Return the set of vaults with normalized debt over collateral above a limit, tested exactly.

        The limit is `line_collateral / line_debt`. The set is kept under `cache_key`, and each call updates
        only vaults between the old and the new limit. The next call with that key changes the returned
        object.
        """
        found = self._under.setdefault(collateral_type, {}).get(cache_key)
        if found is None:
            found = self._under[collateral_type][cache_key] = build_empty_set()
        risk, before = (line_collateral << _SHIFT) // line_debt, found.risk
        # Equal digits leave it open on which side of the line a vault is.
        lowest, highest = (risk, None) if before is None else (min(risk, before), max(risk, before))
        found.move_risk_line(
            risk,
            line_collateral,
            line_debt,
            self._iter_vaults_in_risk_range(collateral_type, lowest, highest),
        )
        return found

    def _iter_vaults_in_risk_range(
        self, collateral_type: int, lowest_risk: int, highest_risk: int | None
    ) -> Iterator[tuple[str, Vault]]:
        ranked, table = self._ranked.get(collateral_type, []), self._table
        first = bisect_left(ranked, (lowest_risk, ""))
        after = len(ranked) if highest_risk is None else bisect_left(ranked, (highest_risk + 1, ""))
        for i in range(first, after):
            owner = ranked[i][1]
            yield owner, table[collateral_type, owner]

    def sort_owners_by_opening(self, collateral_type: int, owners: Iterable[str]) -> list[str]:
        """Return the owners in the order in which their vaults of this type were opened."""
        return sorted(owners, key=lambda owner: self._places[collateral_type, owner])

    def __getitem__(self, key: Key) -> Vault:
        return self._table[key]
