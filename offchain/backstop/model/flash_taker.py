"""A taker of collateral auctions without capital."""

from __future__ import annotations

from typing import Protocol, cast

from backstop.contract_base import Contract, World, external, immutable, require
from backstop.model.arithmetic import add_uint256
from backstop.model.interfaces import IERC20, ILiquidationEngine


class ICollateralAuction(Protocol):
    """Interface of the collateral auctions, as their buyers call it."""

    def take(
        self, sender: str, auction_id: int, max_amount: int, max_price: int, receiver: str, data: bytes
    ) -> None: ...
    def LIQUIDATION_ENGINE(self, sender: str) -> str: ...


class IMarket(Protocol):
    """Interface of a market that buys collateral for stablecoin."""

    def TOKEN(self, sender: str) -> str: ...
    def UNIT(self, sender: str) -> int: ...
    def sell(self, sender: str, amount: int, min_out: int, receiver: str) -> int: ...


class FlashTaker(Contract):
    """Buyer of auctioned collateral that sells it on a market inside the auction's callback.

    So it needs no capital. Model of contracts/devnet/FlashTaker.vy.
    """

    KIND = "FlashTaker"

    owner = immutable("OWNER", str)
    collateral_auction = immutable("COLLATERAL_AUCTION", str)
    stablecoin = immutable("STABLECOIN", str)

    def __init__(
        self, world: World, name: str, address: str, owner: str, collateral_auction: str, stablecoin: str
    ) -> None:
        super().__init__(world, name, address)
        self.owner = owner
        self.collateral_auction = collateral_auction
        self.stablecoin = stablecoin

    @external
    def take_and_sell(
        self, sender: str, auction_id: int, max_amount: int, max_price: int, market: str, min_profit: int
    ) -> int:
        """Buy collateral from an auction, sell it at once, and send the profit to the owner [wad].

        Returns the profit. Reverts if it is less than `min_profit`. Only the owner may call this.
        """
        require(sender == self.owner, "flash_taker: not owner")
        stablecoin = cast(IERC20, self.world.at(self.stablecoin))
        auction = cast(ICollateralAuction, self.world.at(self.collateral_auction))
        before = stablecoin.balanceOf(self.address, self.address)
        data = _encode_address(market)
        auction.take(self.address, auction_id, max_amount, max_price, self.address, data)
        return self._pay_profit(before, auction_id, market, min_profit)

    @external
    def liquidate_and_sell(
        self,
        sender: str,
        collateral_type: int,
        owner: str,
        max_collateral: int,
        max_repay: int,
        max_price: int,
        market: str,
        min_profit: int,
    ) -> int:
        """Buy collateral of an unsafe vault, sell it at once, and send the profit to the owner [wad].

        Returns the profit. Reverts if it is less than `min_profit`. Only the owner may call this.
        """
        require(sender == self.owner, "flash_taker: not owner")
        stablecoin = cast(IERC20, self.world.at(self.stablecoin))
        auction = cast(ICollateralAuction, self.world.at(self.collateral_auction))
        liquidation = cast(ILiquidationEngine, self.world.at(auction.LIQUIDATION_ENGINE(self.address)))
        before = stablecoin.balanceOf(self.address, self.address)
        amounts = max_collateral, max_repay, max_price
        data = _encode_address(market)
        liquidation.liquidate_and_buy(self.address, collateral_type, owner, *amounts, self.address, data)
        return self._pay_profit(before, 0, market, min_profit)

    @external
    def on_auction_take(
        self, sender: str, taker: str, auction_id: int, collateral: int, payment: int, data: bytes
    ) -> None:
        """Sell the delivered collateral on the market that `data` names.

        The auction calls this between delivery and payment. Reverts if the proceeds are less than the
        payment.
        """
        require(sender == self.collateral_auction, "flash_taker: not auction")
        require(taker == self.address, "flash_taker: not taker")
        market_address = "0x" + data[12:32].hex()
        market = cast(IMarket, self.world.at(market_address))
        raw = collateral // market.UNIT(self.address)
        token = cast(IERC20, self.world.at(market.TOKEN(self.address)))
        token.approve(self.address, market_address, raw)
        proceeds = market.sell(self.address, collateral, 0, self.address)
        require(proceeds >= payment, "flash_taker: sold at a loss")

    def _pay_profit(self, before: int, auction_id: int, market: str, min_profit: int) -> int:
        """Send the stablecoin gained since `before` to the owner, and return it [wad].

        Reverts if it is less than `min_profit`.
        """
        stablecoin = cast(IERC20, self.world.at(self.stablecoin))
        held = stablecoin.balanceOf(self.address, self.address)
        require(held >= add_uint256(before, min_profit), "flash_taker: not enough profit")
        profit = held - before
        self.emit("FlashTaken", auction_id, market, profit)
        stablecoin.transfer(self.address, self.owner, profit)
        return profit


def _encode_address(address: str) -> bytes:
    return bytes.fromhex(address[2:]).rjust(32, b"\0")
