"""The flags of vaults, and where they are not what they should be: carried from block to block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from backstop.keepers.standing import Standing
from backstop.keepers.under import Under
from backstop.keepers.vaults import Key, Vaults
from backstop.model.interfaces import Vault


class Wrong(Under):
    """The vaults of one type beyond a line whose flag is not their normalized debt.

    `flagged` are the owners with a flag that is not their debt, or whose vault is not beyond the line.
    """

    def __init__(self, c: int, flags: Mapping[Key, int], flagged: Iterable[str]) -> None:
        super().__init__()
        self.flagged = set(flagged)
        self._c = c
        self._flags = flags

    def put(self, owner: str, vault: Vault) -> None:
        super().put(owner, vault)
        if self._flag(owner) and (owner in self._vaults or not self._beyond(vault)):
            self.flagged.add(owner)
        else:
            self.flagged.discard(owner)

    def _counts(self, owner: str, vault: Vault) -> bool:
        return self._beyond(vault) and self._flag(owner) != vault.normalized_debt

    def _has_passed(self, owner: str, vault: Vault) -> bool:
        return self._flag(owner) != 0 or super()._has_passed(owner, vault)

    def _flag(self, owner: str) -> int:
        return self._flags.get((self._c, owner), 0)


class Flags(Standing):
    """The flags of vaults that stand [wad of normalized debt], by type and owner.

    The index of vaults is made when it is of use: a list of the flags takes none.
    """

    def __init__(self, table: Mapping[Any, int], vaults: Callable[[], Vaults]) -> None:
        super().__init__(table, bool)
        self._vaults = vaults

    def update(self, key: Any) -> None:
        """Look again at a flag that was written."""
        super().update(key)
        self._vaults().look(key)

    def of(self, c: int, owner: str) -> int:
        """Return a vault's flag [wad of normalized debt]; 0 without one."""
        return self._table.get((c, owner), 0)

    def all(self, c: int) -> list[str]:
        """Return the owners of a type's flagged vaults, in the order in which they were first flagged."""
        return [owner for of, owner in self.sorted(self._keys) if of == c]

    def wrong(self, c: int, collateral: int, debt: int) -> Wrong:
        """Return where flags are wrong, if they should be all of the debt of vaults beyond a line of risk.

        It is normalized debt over collateral above `collateral / debt`. It stands until the next answer.
        """
        found = self._vaults().under(c, Wrong, collateral, debt, lambda: Wrong(c, self._table, self.all(c)))
        return cast(Wrong, found)
