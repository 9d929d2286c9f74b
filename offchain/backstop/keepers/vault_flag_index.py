"""The flags of vaults, and the vaults with a wrong flag: carried from block to block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from backstop.keepers.ongoing_table_records import OngoingTableRecords
from backstop.keepers.vault_risk_index import Key, VaultRiskIndex
from backstop.keepers.vaults_below_ratio import VaultsBelowRatio
from backstop.model.interfaces import Vault


class WronglyFlaggedVaults(VaultsBelowRatio):
    """The vaults of one type beyond a line with a flag that differs from their normalized debt.

    `flagged` are the owners with a flag that is not their debt, or with a vault that is not beyond the line.
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
    """The flags of vaults that stand [wad of normalized debt], by type and owner.

    The index of vaults is made when it is of use: a list of the flags takes none.
    """

    def __init__(self, table: Mapping[Any, int], vaults: Callable[[], VaultRiskIndex]) -> None:
        super().__init__(table, bool)
        self._vaults = vaults

    def handle_written_record(self, key: Any) -> None:
        """Look again at a flag that was written."""
        super().handle_written_record(key)
        self._vaults().refresh_ratio_sides(key)

    def get_flagged_debt(self, collateral_type: int, owner: str) -> int:
        """Return a vault's flag [wad of normalized debt]; 0 without one."""
        return self._table.get((collateral_type, owner), 0)

    def list_flagged_owners(self, collateral_type: int) -> list[str]:
        """Return the owners of a type's flagged vaults, in the order in which they were first flagged."""
        return [owner for of, owner in self.sort_keys_by_first_write(self._keys) if of == collateral_type]

    def find_wrong_flags(self, collateral_type: int, collateral: int, debt: int) -> WronglyFlaggedVaults:
        """Return where flags are wrong, if they should be all of the debt of vaults beyond a line of risk.

        It is normalized debt over collateral above `collateral / debt`. It stands until the next answer.
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
