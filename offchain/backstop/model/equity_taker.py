"""A taker of equity and surplus auctions without capital."""

from __future__ import annotations

from typing import Protocol, cast

from backstop.contract_base import Contract, NoSuchFunctionError, World, external, immutable, require
from backstop.model.erc20 import encode_words
from backstop.model.interfaces import IERC20


class IEquityAuction(Protocol):
    """Interface of the equity auction, as its buyers call it."""

    def take(
        self, sender: str, collateral_type: int, max_amount: int, max_price: int, receiver: str, data: bytes
    ) -> None: ...


class ISurplusAuction(Protocol):
    """Interface of the surplus auction, as its buyers call it."""

    def take(self, sender: str, max_amount: int, max_price: int, receiver: str, data: bytes) -> None: ...


class IMarket(Protocol):
    """Interface of a market that trades equity for stablecoin."""

    def sell(self, sender: str, amount: int, min_out: int, receiver: str) -> int: ...
    def buy(self, sender: str, amount: int, min_out: int, receiver: str) -> int: ...


class EquityTaker(Contract):
    """Buyer in equity and surplus auctions that trades on a market inside the auction's callback.

    So it needs no capital. Model of contracts/devnet/EquityTaker.vy.
    """

    KIND = "EquityTaker"

    owner = immutable("OWNER", str)
    equity_address = immutable("EQUITY", str)
    stablecoin_address = immutable("STABLECOIN", str)

    def __init__(
        self, world: World, name: str, address: str, owner: str, equity: str, stablecoin: str
    ) -> None:
        super().__init__(world, name, address)
        self.owner = owner
        self.equity_address = equity
        self.stablecoin_address = stablecoin

    @property
    def equity(self) -> IERC20:
        return cast(IERC20, self.world.at(self.equity_address))

    @property
    def stablecoin(self) -> IERC20:
        return cast(IERC20, self.world.at(self.stablecoin_address))

    @external
    def take_and_sell(
        self, sender: str, auction: str, collateral_type: int, max_amount: int, max_price: int, market: str
    ) -> None:
        """Buy equity from an auction, sell it on the market at once, and send the profit to the owner.

        Only the owner may call this.
        """
        require(sender == self.owner, "equity_taker: not owner")
        equity_auction = cast(IEquityAuction, self.world.at(auction))
        data = encode_words(market, 0)
        equity_auction.take(self.address, collateral_type, max_amount, max_price, self.address, data)
        self._send_balances_to_owner(auction)

    @external
    def take_and_buy(
        self, sender: str, auction: str, max_amount: int, max_price: int, market: str, spend: int
    ) -> None:
        """Buy stablecoin from a surplus auction, and pay with equity bought on the market for it.

        `spend` is the stablecoin spent on the market [wad]. The remainder goes to the owner. Only the owner
        may call this.
        """
        require(sender == self.owner, "equity_taker: not owner")
        target = self.world.at(auction)
        if target.KIND != "SurplusAuction":
            raise NoSuchFunctionError("take")  # other auctions' has another selector
        surplus_auction = cast(ISurplusAuction, target)
        surplus_auction.take(self.address, max_amount, max_price, self.address, encode_words(market, spend))
        self._send_balances_to_owner(auction)

    @external
    def on_auction_take(
        self, sender: str, taker: str, auction_id: int, collateral: int, payment: int, data: bytes
    ) -> None:
        """Trade the delivered tokens on the market, and approve the auction's payment.

        The auction calls this between delivery and payment. `data` holds the market's address and the
        stablecoin to spend; 0 means that the equity is sold. Reverts if another account made the purchase.
        """
        require(taker == self.address, "equity_taker: not taker")
        address, spend = "0x" + data[12:32].hex(), int.from_bytes(data[32:64], "big")
        if spend == 0:
            self.equity.approve(self.address, address, collateral)
            self._market(address).sell(self.address, collateral, payment, self.address)
            self.stablecoin.approve(self.address, sender, payment)
        else:
            self.stablecoin.approve(self.address, address, spend)
            self._market(address).buy(self.address, spend, payment, self.address)
            self.equity.approve(self.address, sender, payment)

    def _market(self, address: str) -> IMarket:
        return cast(IMarket, self.world.at(address))

    def _send_balances_to_owner(self, auction_address: str) -> None:
        stablecoin = self.stablecoin.balanceOf(self.address, self.address)
        equity = self.equity.balanceOf(self.address, self.address)
        self.emit("EquityTaken", auction_address, stablecoin, equity)
        self.stablecoin.transfer(self.address, self.owner, stablecoin)
        self.equity.transfer(self.address, self.owner, equity)
