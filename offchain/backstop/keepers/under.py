"""The vaults of one type beyond a line of risk, carried from block to block as the line moves."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable

from backstop.model.interfaces import Vault

_FEW = 16


class Under:
    """Vaults with `normalized_debt*debt > locked_collateral*collateral`, and their sums [wad].

    `risk` is the line as the index ranks it; None before the first.
    """

    def __init__(self) -> None:
        self.risk: int | None = None
        self.normalized_debt = 0
        self.locked = 0
        self._collateral = 0
        self._debt = 0
        self._vaults: dict[str, Vault] = {}
        # Sorted once somebody asks, and kept sorted from then on.
        self._sizes: list[tuple[int, str]] | None = None

    def __len__(self) -> int:
        return len(self._vaults)

    def largest(self) -> list[tuple[int, str]]:
        """Return the vaults by normalized debt under zero, then owner: the largest debt first."""
        if self._sizes is None:
            self._sizes = sorted([(-vault.normalized_debt, owner) for owner, vault in self._vaults.items()])
        return self._sizes

    def move(self, risk: int, collateral: int, debt: int, between: Iterable[tuple[str, Vault]]) -> None:
        """Move the line; `between` has every vault that it may have passed."""
        if (collateral, debt) == (self._collateral, self._debt):
            return
        self.risk, self._collateral, self._debt = risk, collateral, debt
        moved = [each for each in between if self._has_passed(*each)]
        if len(moved) > _FEW:
            self._sizes = None
        for owner, vault in moved:
            self.put(owner, vault)

    def put(self, owner: str, vault: Vault) -> None:
        """Take a vault in, replace it or let it go."""
        old = self._vaults.pop(owner, None)
        if old is not None:
            self._count(owner, old, -1)
        if self._counts(owner, vault):
            self._vaults[owner] = vault
            self._count(owner, vault, 1)

    def _has_passed(self, owner: str, vault: Vault) -> bool:
        return self._counts(owner, vault) != (owner in self._vaults)

    def _counts(self, owner: str, vault: Vault) -> bool:
        return self._beyond(vault)

    def _beyond(self, vault: Vault) -> bool:
        return vault.normalized_debt * self._debt > vault.locked_collateral * self._collateral

    def _count(self, owner: str, vault: Vault, sign: int) -> None:
        self.normalized_debt += sign * vault.normalized_debt
        self.locked += sign * vault.locked_collateral
        if self._sizes is None:
            return
        entry = -vault.normalized_debt, owner
        if sign > 0:
            insort(self._sizes, entry)
        else:
            del self._sizes[bisect_left(self._sizes, entry)]
