"""Many liquidations in one transaction, of which none fails because of another."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import cast

from backstop.contract_base import Contract, World, external, immutable, require
from backstop.model.liquidation_engine import LiquidationEngine

MAX_VAULTS = 128
"""Vaults of one batch."""


class LiquidationBatch(Contract):
    """Contract that liquidates many vaults in one transaction, and skips those that fail.

    Model of contracts/devnet/LiquidationBatch.vy. The model assumes that gas always suffices.
    """

    KIND = "LiquidationBatch"

    liquidation_engine = immutable("LIQUIDATION_ENGINE", str)

    def __init__(self, world: World, name: str, address: str, liquidation_engine: str) -> None:
        super().__init__(world, name, address)
        self.liquidation_engine = liquidation_engine

    @external
    def liquidate_many(
        self,
        sender: str,
        collateral_type: int,
        owners: Sequence[str],
        reward_receiver: str,
        gas_each: int,
        least: int,
    ) -> int:
        """Liquidate the unsafe vaults of a list, and return a bit for each vault that was liquidated.

        Bit i stands for `owners[i]`. Reverts if fewer than `least` vaults, or none, are liquidated. The model
        ignores `gas_each`.
        """
        engine = cast(LiquidationEngine, self.world.at(self.liquidation_engine))
        done = 0
        for i, owner in enumerate(owners):
            call = partial(engine.liquidate, self.address, collateral_type, owner, reward_receiver)
            if self.world.call_or_return_none(call) is not None:
                done |= 1 << i
        require(done != 0 and done.bit_count() >= least, "liquidation_batch: too few")
        self.emit("BatchLiquidated", collateral_type, done)
        return done
