"""A taker of equity and surplus auctions without capital."""

from __future__ import annotations

from typing import Protocol, cast

from backstop.contract_base import Contract, NoSuchFunctionError, World, external, immutable, require
from backstop.model.erc20 import encode_words
from backstop.model.interfaces import IERC20


class IEquityAuction(Protocol):
    """An auction of equity, for takers."""

    def take(
        self, sender: str, collateral_type: int, max_amount: int, max_price: int, receiver: str, data: bytes
    ) -> None: ...


class ISurplusAuction(Protocol):
    """An auction of surplus, for takers."""

    def take(self, sender: str, max_amount: int, max_price: int, receiver: str, data: bytes) -> None: ...


class IMarket(Protocol):
    """A market for equity."""

    def sell(self, sender: str, amount: int, min_out: int, receiver: str) -> int: ...
    def buy(self, sender: str, amount: int, min_out: int, receiver: str) -> int: ...


class EquityTaker(Contract):
    """Trades what it takes inside the take's callback. See contracts/devnet/EquityTaker.vy."""

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
        """Take equity and sell it at once; proceeds above the cost of the take go to the owner."""
        require(sender == self.owner, "equity_taker: not owner")
        equity_auction = cast(IEquityAuction, self.world.at(auction))
        data = encode_words(market, 0)
        equity_auction.take(self.address, collateral_type, max_amount, max_price, self.address, data)
        self._send_balances_to_owner(auction)

    @external
    def take_and_buy(
        self, sender: str, auction: str, max_amount: int, max_price: int, market: str, spend: int
    ) -> None:
        """Take surplus, buy the equity that pays for it; the rest goes to the owner."""
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
        """Trade what the auction has delivered, and let it burn its payment."""
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
