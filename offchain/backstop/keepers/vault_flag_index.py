"""The flags of vaults, and the vaults with a wrong flag: carried from block to block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from backstop.keepers.ongoing_table_records import OngoingTableRecords
from backstop.keepers.vault_risk_index import Key, VaultRiskIndex
from backstop.keepers.vaults_below_ratio import VaultsBelowRatio
from backstop.model.interfaces import Vault


class WronglyFlaggedVaults(VaultsBelowRatio):
    """Vaults of one type below a collateral ratio with a flag other than their normalized debt.

    `flagged` has the owners of other wrong flags. These are flags on vaults above the ratio, and flags with
    an amount that differs from the debt.
    """

    def __init__(self, collateral_type: int, flags: Mapping[Key, int], flagged: Iterable[str]) -> None:
        super().__init__()
        self.flagged = set(flagged)
        self._c = collateral_type
        self._flags = flags

    def add_replace_or_drop_vault(self, owner: str, vault: Vault) -> None:
        super().add_replace_or_drop_vault(owner, vault)
        if self._get_flagged_debt(owner) and (owner in self._vaults or not self._is_below_ratio(vault)):
            self.flagged.add(owner)
        else:
            self.flagged.discard(owner)

    def _should_include_vault(self, owner: str, vault: Vault) -> bool:
        return self._is_below_ratio(vault) and self._get_flagged_debt(owner) != vault.normalized_debt

    def _may_have_crossed_ratio(self, owner: str, vault: Vault) -> bool:
        return self._get_flagged_debt(owner) != 0 or super()._may_have_crossed_ratio(owner, vault)

    def _get_flagged_debt(self, owner: str) -> int:
        return self._flags.get((self._c, owner), 0)


class VaultFlagIndex(OngoingTableRecords):
    """Index of the flags that mark vaults' debt as doubtful [wad of normalized debt].

    Keys are collateral type and owner. The index of vaults is obtained only when needed, since listing flags
    does not need it.
    """

    def __init__(self, table: Mapping[Any, int], vaults: Callable[[], VaultRiskIndex]) -> None:
        super().__init__(table, bool)
        self._vaults = vaults

    def handle_written_record(self, key: Any) -> None:
        """Update the index for a flag that was just written."""
        super().handle_written_record(key)
        self._vaults().refresh_ratio_sides(key)

    def get_flagged_debt(self, collateral_type: int, owner: str) -> int:
        """Return the flagged normalized debt of a vault [wad]; 0 if the vault is not flagged."""
        return self._table.get((collateral_type, owner), 0)

    def list_flagged_owners(self, collateral_type: int) -> list[str]:
        """Return the owners of a type's flagged vaults, in the order of their first flag."""
        return [owner for of, owner in self.sort_keys_by_first_write(self._keys) if of == collateral_type]

    def find_wrong_flags(self, collateral_type: int, collateral: int, debt: int) -> WronglyFlaggedVaults:
        """Return the vaults with wrong flags, if exactly the vaults below a collateral ratio should have one.

        A vault is below the ratio if normalized debt over locked collateral exceeds `collateral / debt`. The
        next call changes the returned object.
        """
        found = self._vaults().list_vaults_below_ratio(
            collateral_type,
            WronglyFlaggedVaults,
            collateral,
            debt,
            lambda: WronglyFlaggedVaults(
                collateral_type, self._table, self.list_flagged_owners(collateral_type)
            ),
        )
        return cast(WronglyFlaggedVaults, found)
