"""A ledger and liquidation engine that sells collateral by a script, for the buyer's coins."""

from __future__ import annotations

from typing import cast

from backstop.contract_base import Contract, World, external, require
from backstop.model.interfaces import IERC20, IStablecoin


class ScriptedLiquidations(Contract):
    """Test double of ledger and liquidation engine that sells collateral by a script.

    It mirrors contracts/devnet/ScriptedLiquidations.vy.
    """

    KIND = "ScriptedLiquidations"

    def __init__(self, world: World, name: str, address: str, stablecoin: str, collateral: str) -> None:
        super().__init__(world, name, address)
        self.stablecoin = stablecoin
        self.collateral = collateral
        self.next_collateral = self.table("next_collateral")
        self.next_payment = self.table("next_payment")

    @external
    def mint_coins(self, sender: str, to: str, amount: int) -> None:
        """Mint stablecoin to an account [wad]."""
        cast(IStablecoin, self.world.at(self.stablecoin)).mint(self.address, to, amount)

    @external
    def set_sale(self, sender: str, collateral: int, payment: int) -> None:
        """Set the collateral and the payment of the next sale [wad]."""
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
        """Execute the scripted sale once and return its collateral and payment [wad].

        The collateral goes to `receiver`, and the caller's stablecoin is burned. Raises RevertError if no
        sale is set or a maximum is exceeded.
        """
        collateral, payment = self.next_collateral[()], self.next_payment[()]
        require(payment != 0, "scripted_liquidations: no sale")
        is_within = collateral <= max_collateral and payment <= max_repay
        require(is_within, "scripted_liquidations: too much")
        self.next_collateral[()] = self.next_payment[()] = 0
        cast(IERC20, self.world.at(self.collateral)).transfer(self.address, receiver, collateral)
        cast(IStablecoin, self.world.at(self.stablecoin)).burn(self.address, sender, payment)
        return collateral, payment
