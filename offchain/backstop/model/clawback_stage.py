"""A stage that takes back the income of pools that has not vested yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from backstop.model import bounds
from backstop.model.arithmetic import RAY, mul
from backstop.model.interfaces import IPool
from backstop.model.state import Contract, World, external, immutable, require, view


class ClawbackStage(Contract):
    """See contracts/ClawbackStage.vy."""

    KIND = "ClawbackStage"

    loss_waterfall_address = immutable("LOSS_WATERFALL", str)

    def __init__(
        self, world: World, name: str, address: str, loss_waterfall: str, pools: Sequence[str]
    ) -> None:
        super().__init__(world, name, address)
        require(len(pools) <= bounds.MAX_POOLS, "")
        self.loss_waterfall_address = loss_waterfall
        self.pool_addresses = tuple(pools)

    @view
    def capacity(self, sender: str, collateral_type: int) -> int:
        """Return the unvested income of all pools, whatever the type [rad]."""
        return mul(sum(pool.unvested(self.address) for pool in self._pools()), RAY)

    @external
    def absorb(self, sender: str, collateral_type: int, amount: int) -> tuple[int, int]:
        """Cover a deficit from unvested income, pool after pool."""
        require(sender == self.loss_waterfall_address, "clawback: not loss waterfall")
        left = amount
        covered = 0
        for pool in self._pools():
            part = min(left, mul(pool.unvested(self.address), RAY))
            if part != 0:
                covered += pool.claw_back(self.address, collateral_type, part)
                left -= part
        return covered, 0

    @view
    def pools(self, sender: str) -> tuple[str, ...]:
        """Return the pools; the first to be asked comes first."""
        return self.pool_addresses

    def _pools(self) -> list[IPool]:
        return [cast(IPool, self.world.at(address)) for address in self.pool_addresses]
