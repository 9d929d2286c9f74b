"""A stage that takes back the income of pools that has not vested yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from backstop.contract_base import Contract, World, external, immutable, require, view
from backstop.model import bounds
from backstop.model.arithmetic import RAY
from backstop.model.interfaces import IPool, IVaultEngine

TOO_MUCH = 2**96
"""More than any pool can hold: one that claims it has failed [wad]."""


class ClawbackStage(Contract):
    """Source of funds of the loss waterfall that pays with pools' income not vested yet.

    Model of contracts/ClawbackStage.vy.
    """

    KIND = "ClawbackStage"

    vault_engine_address = immutable("VAULT_ENGINE", str)
    loss_waterfall_address = immutable("LOSS_WATERFALL", str)

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        vault_engine: str,
        loss_waterfall: str,
        pools: Sequence[str],
    ) -> None:
        super().__init__(world, name, address)
        require(len(pools) <= bounds.MAX_POOLS, "")
        self.vault_engine_address = vault_engine
        self.loss_waterfall_address = loss_waterfall
        self.pool_addresses = tuple(pools)

    @view
    def capacity(self, sender: str, collateral_type: int) -> int:
        """Return the unvested income of all pools, which can cover losses of any collateral type [rad]."""
        return sum(self._get_unvested_income(pool) for pool in self.pool_addresses) * RAY

    @external
    def absorb(self, sender: str, collateral_type: int, amount: int) -> tuple[int, int]:
        """Cover a deficit (bad debt) [rad] from the unvested income of one pool after another.

        Returns the amount covered [rad] and 0, because this stage reserves nothing. Only the loss waterfall
        may call this.
        """
        require(sender == self.loss_waterfall_address, "clawback: not loss waterfall")
        deficit = self._get_deficit(collateral_type)
        covered = 0
        for pool in self.pool_addresses:
            part = min(amount - min(amount, covered), self._get_unvested_income(pool) * RAY)
            if part != 0:
                self._claw_back(pool, collateral_type, part)
                covered = deficit - min(deficit, self._get_deficit(collateral_type))
        return covered, 0

    @view
    def pools(self, sender: str) -> tuple[str, ...]:
        """Return the addresses of the pools, in the order in which they are charged."""
        return self.pool_addresses

    def _get_pool(self, address: str) -> IPool:
        return cast(IPool, self.world.at(address))

    def _get_unvested_income(self, pool: str) -> int:
        """Return a pool's unvested income [wad].

        0 if the pool's call fails, or if the answer is more than a pool can hold.
        """
        found = self.world.call_or_return_none(lambda: self._get_pool(pool).unvested(self.address)) or 0
        return 0 if found >= TOO_MUCH else found

    def _claw_back(self, pool: str, collateral_type: int, amount: int) -> None:
        """Charge a deficit [rad] to a pool's unvested income; a call that fails is ignored."""
        self.world.call_or_return_none(
            lambda: self._get_pool(pool).claw_back(self.address, collateral_type, amount)
        )

    def _get_deficit(self, collateral_type: int) -> int:
        ledger = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        return ledger.deficit_of(self.address, collateral_type)
