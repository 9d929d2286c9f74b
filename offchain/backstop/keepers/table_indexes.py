"""The indexes of a deployment's long tables: keepers read the ongoing records, not all past ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

from backstop.contract_base import Written
from backstop.keepers.ongoing_table_records import OngoingTableRecords
from backstop.keepers.open_auctions import OpenAuctionIndex
from backstop.keepers.vault_flag_index import VaultFlagIndex
from backstop.keepers.vault_risk_index import VaultRiskIndex
from backstop.system import Snapshot


class TableIndexes:
    """Indexes over the long tables of a deployment's state, for fast queries by keepers.

    Each index is made at its first use and then updated with every write.
    """

    def __init__(self, state: Snapshot) -> None:
        self._state = state
        self._made: dict[tuple[str, str], Any] = {}

    def apply_writes(self, written: Iterable[Written]) -> None:
        """Update the existing indexes for records that were written, in the order of the writes."""
        made = self._made
        for contract, path, key in written:
            index = made.get((contract, path))
            if index is not None:
                index.handle_written_record(key)

    @property
    def vaults(self) -> VaultRiskIndex:
        """Index of vaults by risk (debt over collateral)."""
        found: VaultRiskIndex = self._get_index(
            "VaultEngine", ("vaults",), lambda tables: VaultRiskIndex(tables["vaults"])
        )
        return found

    @property
    def open_auction_index(self) -> OpenAuctionIndex:
        """Index of open collateral auctions."""
        found: OpenAuctionIndex = self._get_index(
            "CollateralAuction", OpenAuctionIndex.TABLES, OpenAuctionIndex
        )
        return found

    @property
    def flags(self) -> VaultFlagIndex:
        """Index of flagged vaults (vaults with doubtful debt), by collateral type and owner."""
        path = "vault_flags.of_vaults"
        found: VaultFlagIndex = self._get_index(
            "LiquidationEngine",
            (path,),
            lambda tables: VaultFlagIndex(tables.get(path, {}), lambda: self.vaults),
        )
        return found

    @property
    def open_workout_balances(self) -> OngoingTableRecords:
        """Index of the balances of open workouts (called vaults repaid in instalments)."""
        path, left = "balances", attrgetter("left")
        found: OngoingTableRecords = self._get_index(
            "Workouts", (path,), lambda tables: OngoingTableRecords(tables.get(path, {}), left)
        )
        return found

    def _get_index(self, contract: str, paths: Sequence[str], make: Callable[[Any], Any]) -> Any:
        """Return the index of a contract's tables, and make it if necessary.

        The index is empty if the contract is not deployed.
        """
        found = self._made.get((contract, paths[0]))
        if found is None:
            found = make(self._state.get(contract, {}))
            self._made |= {(contract, path): found for path in paths}
        return found
