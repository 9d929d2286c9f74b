"""A stage with scripted claims: busy, lying or absent, paying later or never."""

from __future__ import annotations

from typing import cast

from backstop.contract_base import Contract, World, external, require, view
from backstop.model.interfaces import IERC20, IEquityPool, ILossWaterfall


class ScriptedStage(Contract):
    """See contracts/devnet/ScriptedStage.vy."""

    KIND = "ScriptedStage"

    def __init__(self, world: World, name: str, address: str, loss_waterfall: str) -> None:
        super().__init__(world, name, address)
        self.loss_waterfall = loss_waterfall
        self.claimed_capacity = self.table("claimed_capacity")
        self.claimed_payment = self.table("claimed_payment")
        self.claimed_reservation = self.table("claimed_reservation")

    @property
    def waterfall(self) -> ILossWaterfall:
        return cast(ILossWaterfall, self.world.at(self.loss_waterfall))

    @external
    def claim(self, sender: str, capacity: int, payment: int, reservation: int) -> None:
        """Set what it claims."""
        self.claimed_capacity[()] = capacity
        self.claimed_payment[()] = payment
        self.claimed_reservation[()] = reservation

    @external
    def pay(self, sender: str, collateral_type: int, amount: int) -> None:
        """Pay a part of the stage's reservation, with the caller's stablecoin."""
        self.waterfall.book_payment(self.address, collateral_type, sender, amount)

    @external
    def give_up(self, sender: str, collateral_type: int) -> None:
        """Release what it reserved."""
        self.waterfall.release(self.address, collateral_type)

    @view
    def capacity(self, sender: str, collateral_type: int) -> int:
        """Return what it claims to hold."""
        return int(self.claimed_capacity[()])

    @view
    def pending_assets(self, sender: str, loss: int) -> int:
        """Return the scripted losses of a pool of equity: the stage's claimed payment."""
        return int(self.claimed_payment[()])

    @view
    def under_auction(self, sender: str) -> int:
        """Return the scripted assets of a pool of equity under auction: the stage's claimed reservation."""
        return int(self.claimed_reservation[()])

    @external
    def absorb(self, sender: str, collateral_type: int, amount: int) -> tuple[int, int]:
        """Claim to have paid and reserved."""
        return int(self.claimed_payment[()]), int(self.claimed_reservation[()])

    @external
    def slash(self, sender: str, pool: str, assets: int, receiver: str) -> int:
        """Slash this stage's pool of equity, and return the amount sent [wad]."""
        return cast(IEquityPool, self.world.at(pool)).slash(self.address, assets, receiver)

    @external
    def restore(self, sender: str, pool: str, token: str, assets: int) -> None:
        """Return equity to this stage's pool."""
        approved = cast(IERC20, self.world.at(token)).approve(self.address, pool, assets)
        require(approved, "scripted_stage: no approval")
        cast(IEquityPool, self.world.at(pool)).restore(self.address, assets)
