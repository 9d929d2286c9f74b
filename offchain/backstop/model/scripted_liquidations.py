"""A ledger and liquidation engine that sells collateral by a script, for the buyer's coins."""

from __future__ import annotations

from typing import cast

from backstop.contract_base import Contract, World, external, require
from backstop.model.interfaces import IERC20, IStablecoin


class ScriptedLiquidations(Contract):
    """See contracts/devnet/ScriptedLiquidations.vy."""

    KIND = "ScriptedLiquidations"

    def __init__(self, world: World, name: str, address: str, stablecoin: str, collateral: str) -> None:
        super().__init__(world, name, address)
        self.stablecoin = stablecoin
        self.collateral = collateral
        self.next_collateral = self.table("next_collateral")
        self.next_payment = self.table("next_payment")

    @external
    def mint_coins(self, sender: str, to: str, amount: int) -> None:
        """Create stablecoin [wad]."""
        cast(IStablecoin, self.world.at(self.stablecoin)).mint(self.address, to, amount)

    @external
    def set_sale(self, sender: str, collateral: int, payment: int) -> None:
        """Set collateral and payment of the next sale [wad]."""
        self.next_collateral[()] = collateral
        self.next_payment[()] = payment

    @external
    def liquidate_and_buy(
        self,
        sender: str,
        collateral_type: int,
        owner: str,
        max_collateral: int,
        max_repay: int,
        max_price: int,
        receiver: str,
        data: bytes,
    ) -> tuple[int, int]:
        """Send the collateral and burn the buyer's coins, once; both amounts [wad]."""
        collateral, payment = self.next_collateral[()], self.next_payment[()]
        require(payment != 0, "scripted_liquidations: no sale")
        is_within = collateral <= max_collateral and payment <= max_repay
        require(is_within, "scripted_liquidations: too much")
        self.next_collateral[()] = self.next_payment[()] = 0
        cast(IERC20, self.world.at(self.collateral)).transfer(self.address, receiver, collateral)
        cast(IStablecoin, self.world.at(self.stablecoin)).burn(self.address, sender, payment)
        return collateral, payment
