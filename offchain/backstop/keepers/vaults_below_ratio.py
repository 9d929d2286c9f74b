"""The vaults of one type beyond a line of risk, carried from block to block as the line moves."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable

from backstop.model.interfaces import Vault

_FEW = 16


def assign_keeper(owner: str, count: int) -> int:
    """Return the index of the keeper, from 0 to `count - 1`, that is responsible for an owner's vault."""
    return int(owner, 16) % count if count > 1 else 0


class VaultsBelowRatio:
    """Set of vaults below a collateral ratio, with the sums of their debt and collateral [wad].

    A vault belongs to the set if `normalized_debt * debt > locked_collateral * collateral`. `risk` is that
    limit as the risk index ranks it; None before the first limit is set.
    """

    def __init__(self) -> None:
        self.risk: int | None = None
        self.normalized_debt = 0
        self.locked = 0
        self._collateral = 0
        self._debt = 0
        self._vaults: dict[str, Vault] = {}
        # By the number of shares: sorted once somebody asks, and kept sorted from then on.
        self._sizes: dict[int, list[list[tuple[int, str]]]] = {}

    def __len__(self) -> int:
        return len(self._vaults)

    def list_vaults_by_falling_debt(
        self, share_count: int = 1, share_index: int = 0
    ) -> list[tuple[int, str]]:
        """Return pairs of negative normalized debt and owner, the largest debt first.

        Vaults are divided into `share_count` parts by the owner's address, and only part `share_index` is
        returned.
        """
        shares = self._sizes.get(share_count)
        if shares is None:
            shares = self._sizes[share_count] = [[] for _ in range(share_count)]
            for owner, vault in self._vaults.items():
                shares[assign_keeper(owner, share_count)].append((-vault.normalized_debt, owner))
            for each in shares:
                each.sort()
        return shares[share_index]

    def move_risk_line(
        self,
        risk: int,
        line_collateral: int,
        line_debt: int,
        possibly_crossing_vaults: Iterable[tuple[str, Vault]],
    ) -> None:
        """Change the collateral ratio that decides membership, and update the set.

        `possibly_crossing_vaults` must include every vault between the old and the new ratio.
        """
        if (line_collateral, line_debt) == (self._collateral, self._debt):
            return
        self.risk, self._collateral, self._debt = risk, line_collateral, line_debt
        moved = [each for each in possibly_crossing_vaults if self._may_have_crossed_ratio(*each)]
        if len(moved) > _FEW:
            self._sizes.clear()
        for owner, vault in moved:
            self.add_replace_or_drop_vault(owner, vault)

    def add_replace_or_drop_vault(self, owner: str, vault: Vault) -> None:
        """Add, replace or remove a vault according to its present ratio, and update the sums."""
        old = self._vaults.pop(owner, None)
        if old is not None:
            self._add_to_sums(owner, old, -1)
        if self._should_include_vault(owner, vault):
            self._vaults[owner] = vault
            self._add_to_sums(owner, vault, 1)

    def _may_have_crossed_ratio(self, owner: str, vault: Vault) -> bool:
        return self._should_include_vault(owner, vault) != (owner in self._vaults)

    def _should_include_vault(self, owner: str, vault: Vault) -> bool:
        return self._is_below_ratio(vault)

    def _is_below_ratio(self, vault: Vault) -> bool:
        return vault.normalized_debt * self._debt > vault.locked_collateral * self._collateral

    def _add_to_sums(self, owner: str, vault: Vault, sign: int) -> None:
        self.normalized_debt += sign * vault.normalized_debt
        self.locked += sign * vault.locked_collateral
        entry = -vault.normalized_debt, owner
        for count, shares in self._sizes.items():
            sizes = shares[assign_keeper(owner, count)]
            if sign > 0:
                insort(sizes, entry)
            else:
                del sizes[bisect_left(sizes, entry)]
