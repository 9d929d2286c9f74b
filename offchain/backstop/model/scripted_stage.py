"""A stage with scripted claims: busy, lying or absent, paying later or never."""

from __future__ import annotations

from typing import cast

from backstop.contract_base import Contract, World, external, require, view
from backstop.model.interfaces import IERC20, IEquityPool, ILossWaterfall


class ScriptedStage(Contract):
    """Loss-absorbing stage for tests with scripted answers (model of contracts/devnet/ScriptedStage.vy).

    The answers may be false: the stage can report assets that it does not have.
    """

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
        """Set the capacity, payment and reservation that the stage claims from now on [rad]."""
        self.claimed_capacity[()] = capacity
        self.claimed_payment[()] = payment
        self.claimed_reservation[()] = reservation

    @external
    def pay(self, sender: str, collateral_type: int, amount: int) -> None:
        """Pay a part of the stage's reservation with the caller's stablecoin."""
        self.waterfall.book_payment(self.address, collateral_type, sender, amount)

    @external
    def give_up(self, sender: str, collateral_type: int) -> None:
        """Release the stage's reservation for a collateral type without payment."""
        self.waterfall.release(self.address, collateral_type)

    @view
    def capacity(self, sender: str, collateral_type: int) -> int:
        """Return the capacity that the script claims regardless of its real assets [rad]."""
        return int(self.claimed_capacity[()])

    @view
    def pending_assets(self, sender: str, loss: int) -> int:
        """Return the scripted payment, as the pending losses of an equity pool."""
        return int(self.claimed_payment[()])

    @view
    def under_auction(self, sender: str) -> int:
        """Return the scripted reservation, as the assets of an equity pool under auction."""
        return int(self.claimed_reservation[()])

    @external
    def absorb(self, sender: str, collateral_type: int, amount: int) -> tuple[int, int]:
        """Return the scripted payment and reservation without moving any assets."""
        return int(self.claimed_payment[()]), int(self.claimed_reservation[()])

    @external
    def slash(self, sender: str, pool: str, assets: int, receiver: str) -> int:
        """Take assets from an equity pool of this stage, and return the amount sent to `receiver` [wad]."""
        return cast(IEquityPool, self.world.at(pool)).slash(self.address, assets, receiver)

    @external
    def restore(self, sender: str, pool: str, token: str, assets: int) -> None:
        """Return equity tokens of this stage to its equity pool [wad]."""
        approved = cast(IERC20, self.world.at(token)).approve(self.address, pool, assets)
        require(approved, "scripted_stage: no approval")
        cast(IEquityPool, self.world.at(pool)).restore(self.address, assets)
