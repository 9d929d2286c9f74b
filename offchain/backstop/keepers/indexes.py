"""The indexes of a deployment's long tables: keepers look at what stands, not at all that ever was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

from backstop.keepers.flags import Flags
from backstop.keepers.lots import Lots
from backstop.keepers.standing import Standing
from backstop.keepers.vaults import Vaults
from backstop.model.state import Written
from backstop.system import Snapshot


class Indexes:
    """Indexes of a state, each made when first asked for and kept up to date from what was written."""

    def __init__(self, state: Snapshot) -> None:
        self._state = state
        self._made: dict[tuple[str, str], Any] = {}

    def update(self, written: Iterable[Written]) -> None:
        """Look again at records that were written, in the order of writing."""
        made = self._made
        for contract, path, key in written:
            index = made.get((contract, path))
            if index is not None:
                index.update(key)

    @property
    def vaults(self) -> Vaults:
        """Vaults by their risk."""
        found: Vaults = self._index("VaultEngine", ("vaults",), lambda tables: Vaults(tables["vaults"]))
        return found

    @property
    def lots(self) -> Lots:
        """Open auctions of collateral."""
        found: Lots = self._index("CollateralAuction", Lots.TABLES, Lots)
        return found

    @property
    def flags(self) -> Flags:
        """Flags of vaults, by type and owner."""
        path = "doubt.of_vaults"
        found: Flags = self._index(
            "LiquidationEngine", (path,), lambda tables: Flags(tables.get(path, {}), lambda: self.vaults)
        )
        return found

    @property
    def workouts(self) -> Standing:
        """Balances of open workouts."""
        path, left = "balances", attrgetter("left")
        found: Standing = self._index(
            "Workouts", (path,), lambda tables: Standing(tables.get(path, {}), left)
        )
        return found

    def _index(self, contract: str, paths: Sequence[str], make: Callable[[Any], Any]) -> Any:
        """Return the index of a contract's tables; of one that is not deployed it is empty."""
        found = self._made.get((contract, paths[0]))
        if found is None:
            found = make(self._state.get(contract, {}))
            self._made |= {(contract, path): found for path in paths}
        return found
