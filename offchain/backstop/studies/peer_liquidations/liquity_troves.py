"""Troves of Liquity v1 and v2: stakes, redistribution to other troves, and the pools of collateral and debt.

Both versions share these rules: github.com/liquity/dev, packages/contracts/contracts/TroveManager.sol (MIT),
commit 39f1f7f, and github.com/liquity/bold, contracts/src/TroveManager.sol (BUSL-1.1), commit 405f912. They
are written here anew. Amounts and ratios are in wad, sums for one unit of stake too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.studies.peer_liquidations.vector_case import PeerRefusalError


@dataclass
class Trove:
    """Vault of Liquity: amounts, stake, and the global sums at the last change.

    The amounts exclude redistributions since that change.
    """

    collateral: int
    debt: int
    stake: int
    collateral_sum: int
    debt_sum: int


@dataclass(frozen=True)
class TroveSplit:
    """Parts of a liquidated trove: for the stability pool, other troves, the caller and the owner."""

    offset_debt: int
    pool_collateral: int
    spread_debt: int
    spread_collateral: int
    compensation: int
    surplus: int


class OffsetPool(Protocol):
    """Stability pool that takes over debt for collateral (interface of both versions)."""

    def offset_debt(self, debt: int, collateral: int) -> None: ...


@dataclass
class TroveBook:
    """All troves of a Liquity system, with the collateral and debt of its pools."""

    troves: dict[str, Trove] = field(default_factory=dict)
    surplus: dict[str, int] = field(default_factory=dict)
    collateral_sum: int = 0
    debt_sum: int = 0
    collateral_error: int = 0
    debt_error: int = 0
    total_stakes: int = 0
    stakes_snapshot: int = 0
    collateral_snapshot: int = 0
    active_collateral: int = 0
    active_debt: int = 0
    default_collateral: int = 0
    default_debt: int = 0

    def open_trove(self, owner: str, collateral: int, debt: int) -> None:
        """Add a trove with its stake.

        The stake is scaled, rounded down, as if the trove had taken its part in all redistributions.
        """
        stake = collateral
        if self.collateral_snapshot:
            stake = collateral * self.stakes_snapshot // self.collateral_snapshot
        self.troves[owner] = Trove(collateral, debt, stake, self.collateral_sum, self.debt_sum)
        self.total_stakes += stake
        self.active_collateral += collateral
        self.active_debt += debt

    def add_collateral(self, owner: str, collateral: int) -> None:
        """Add collateral to an owner's trove, apply its pending redistributions, and renew its stake."""
        trove, pending = self.troves[owner], self.get_pending(owner)
        self.default_collateral -= pending[0]
        self.default_debt -= pending[1]
        self.active_collateral -= trove.collateral
        self.active_debt -= trove.debt
        self.total_stakes -= trove.stake
        self.open_trove(owner, trove.collateral + pending[0] + collateral, trove.debt + pending[1])

    def get_totals(self) -> tuple[int, int]:
        """Return the collateral and the debt of all troves [wad]."""
        return (
            self.active_collateral + self.default_collateral,
            self.active_debt + self.default_debt,
        )

    def get_pending(self, owner: str) -> tuple[int, int]:
        """Return collateral and debt that redistributions added to a trove [wad], each rounded down."""
        trove = self.troves[owner]
        return (
            trove.stake * (self.collateral_sum - trove.collateral_sum) // WAD,
            trove.stake * (self.debt_sum - trove.debt_sum) // WAD,
        )

    def get_entire(self, owner: str) -> tuple[int, int]:
        """Return the collateral and debt of a trove with pending redistributions [wad]."""
        trove, (collateral, debt) = self.troves[owner], self.get_pending(owner)
        return trove.collateral + collateral, trove.debt + debt

    def compute_ratio(self, owner: str, price: int) -> int:
        """Return the ratio of a trove's collateral to its debt [wad], rounded down."""
        return compute_collateral_ratio(*self.get_entire(owner), price)

    def close_trove(self, owner: str, only_trove_reason: str) -> None:
        """Remove a liquidated trove and its stake, and move its redistributions to the active pool.

        Raises PeerRefusalError with `only_trove_reason` for the last trove.
        """
        if len(self.troves) == 1:
            raise PeerRefusalError(only_trove_reason)
        collateral, debt = self.get_pending(owner)
        self.default_collateral -= collateral
        self.default_debt -= debt
        self.active_collateral += collateral
        self.active_debt += debt
        self.total_stakes -= self.troves.pop(owner).stake

    def redistribute_trove(self, collateral: int, debt: int) -> None:
        """Redistribute collateral and debt to the remaining troves, in proportion to their stakes.

        Rounding errors are carried over to the next redistribution.
        """
        if debt == 0:
            return
        collateral_part, self.collateral_error = divmod(
            collateral * WAD + self.collateral_error, self.total_stakes
        )
        debt_part, self.debt_error = divmod(debt * WAD + self.debt_error, self.total_stakes)
        self.collateral_sum += collateral_part
        self.debt_sum += debt_part
        self.active_collateral -= collateral
        self.active_debt -= debt
        self.default_collateral += collateral
        self.default_debt += debt

    def pay_surplus(self, owner: str, collateral: int) -> None:
        """Set collateral aside for an owner to claim."""
        if collateral:
            self.surplus[owner] = self.surplus.get(owner, 0) + collateral
            self.active_collateral -= collateral

    def pay_compensation(self, collateral: int) -> None:
        """Pay collateral to the caller, and take the snapshots that scale stakes of later troves."""
        self.active_collateral -= collateral
        self.stakes_snapshot = self.total_stakes
        self.collateral_snapshot = self.active_collateral + self.default_collateral

    def book_liquidation(self, pool: OffsetPool, splits: Sequence[TroveSplit]) -> int:
        """Apply the splits of liquidated troves, and return the collateral paid to the caller.

        The stability pool takes its part first, other troves the rest.
        """
        offset_debt = sum(split.offset_debt for split in splits)
        pool_collateral = sum(split.pool_collateral for split in splits)
        if offset_debt:
            pool.offset_debt(offset_debt, pool_collateral)
            self.active_debt -= offset_debt
            self.active_collateral -= pool_collateral
        self.redistribute_trove(
            sum(split.spread_collateral for split in splits), sum(split.spread_debt for split in splits)
        )
        compensation = sum(split.compensation for split in splits)
        self.pay_compensation(compensation)
        return compensation


def compute_collateral_ratio(collateral: int, debt: int, price: int) -> int:
    """Return the worth of collateral over debt [wad], rounded down.

    Without debt it is the largest uint256.
    """
    return collateral * price // debt if debt else MAX_UINT256


@dataclass(frozen=True)
class DepositSnapshot:
    """Value of a deposit at its last change, with the pool's product, scale and sums at that time."""

    value: int = 0
    product: int = 1
    scale: int = 0
    sums: tuple[int, ...] = ()
