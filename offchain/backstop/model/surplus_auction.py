"""Sells the treasury's surplus, one lot of stablecoin at a time, for equity, which is burned.

The price, ray of equity for 1e18 of stablecoin, falls in a straight line from above the market price to a
floor. Amounts in wad.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from backstop.contract_base import (
    ZERO_ADDRESS,
    Contract,
    World,
    declare_record_slot_bit_widths,
    external,
    immutable,
    require,
    view,
)
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD, div, div_up
from backstop.model.bounds import EQUITY_MARKET
from backstop.model.interfaces import MAX_DATA, IAuctionTaker, IEquity, IPriceFeed, ITreasury


@declare_record_slot_bit_widths(112, 112)
class Prices(NamedTuple):
    """Price of a surplus auction at its start and at its deadline [ray]."""

    top: int = 0
    floor: int = 0

    def compute_price(self, elapsed: int, duration: int) -> int:
        """Return the price `elapsed` seconds after the start [ray], rounded up.

        The price falls linearly over `duration` seconds.
        """
        return self.top - (self.top - self.floor) * elapsed // duration


@declare_record_slot_bit_widths(96, 32)
class Lot(NamedTuple):
    """Stablecoin left to sell [wad] (0 if no auction runs), and start time of the auction."""

    lot: int = 0
    started_at: int = 0


class Auction(NamedTuple):
    """Remaining amount, start time, top price and floor price of the surplus auction."""

    lot: int
    started_at: int
    top: int
    floor: int


class SurplusAuction(Contract):
    """Dutch auction that sells surplus stablecoin for equity and burns the equity.

    It mirrors contracts/SurplusAuction.vy.
    """

    KIND = "SurplusAuction"

    treasury_address = immutable("TREASURY", str)
    price_feed_address = immutable("PRICE_FEED", str)
    equity_address = immutable("EQUITY", str)
    # Whole stablecoins.
    whole_lot = immutable("LOT", int)
    # Basis points of the time-weighted price, under which nothing is sold.
    floor = immutable("FLOOR", int)
    # Basis points of the market price, where an auction starts.
    buf = immutable("BUF", int)
    # Seconds from the top to the floor.
    duration = immutable("DURATION", int)

    def __init__(
        self,
        world: World,
        name: str,
        address: str,
        treasury: str,
        price_feed: str,
        equity: str,
        lot: int,
        floor: int,
        buf: int,
        duration: int,
    ) -> None:
        super().__init__(world, name, address)
        require(0 < lot <= bounds.MAX_SURPLUS_LOT, "surplus_auction: lot bounds")
        require(bounds.MIN_FLOOR <= floor <= bounds.MAX_FLOOR, "surplus_auction: floor bounds")
        require(bounds.MIN_BUF <= buf <= bounds.MAX_BUF, "surplus_auction: buf bounds")
        require(bounds.MIN_DURATION <= duration <= bounds.MAX_DURATION, "surplus_auction: duration bounds")
        self.treasury_address = treasury
        self.price_feed_address = price_feed
        self.equity_address = equity
        self.whole_lot = lot
        self.floor = floor
        self.buf = buf
        self.duration = duration
        self.lot = self.table("lot", Lot())
        self.prices = self.table("prices", Prices())

    @property
    def treasury(self) -> ITreasury:
        return cast(ITreasury, self.world.at(self.treasury_address))

    @external
    def start(self, sender: str) -> None:
        """Start an auction of one lot of the treasury's surplus at the current equity price.

        Raises RevertError while an earlier auction runs, without a fresh price, or if the surplus is below
        one lot.
        """
        old: Lot = self.lot[()]
        over = old.lot == 0 or self.world.timestamp > old.started_at + self.duration
        require(over, "surplus_auction: under way")
        feed = cast(IPriceFeed, self.world.at(self.price_feed_address))
        price = feed.risk_price(self.address, EQUITY_MARKET)
        require(price != 0, "surplus_auction: no price")
        lot = self.whole_lot * WAD
        require(self.treasury.for_sale(self.address) >= lot, "surplus_auction: too little")

        average = feed.time_weighted(self.address, EQUITY_MARKET)
        top = _compute_equity_per_stablecoin(min(price, average), self.buf)
        floor = _compute_equity_per_stablecoin(average, self.floor)
        self.lot[()] = Lot(lot, self.world.timestamp)
        self.prices[()] = Prices(top, floor)
        self.emit("AuctionStarted", lot, top, floor)

    @external
    def take(self, sender: str, max_amount: int, max_price: int, receiver: str, data: bytes) -> None:
        """Buy up to `max_amount` of stablecoin [wad] at the current price, at most `max_price` [ray].

        The stablecoin goes to `receiver` first. If `data` is not empty, the receiver's callback is called.
        Then the caller's equity is burned as payment, rounded up.
        """
        require(len(data) <= MAX_DATA, "")
        lot = self._load_lot()
        elapsed = self.world.timestamp - lot.started_at
        require(elapsed <= self.duration, "surplus_auction: over")
        never = (ZERO_ADDRESS, self.address, self.equity_address, self.treasury_address)
        require(receiver not in never, "surplus_auction: bad receiver")
        price = self.prices[()].compute_price(elapsed, self.duration)
        require(price <= max_price, "surplus_auction: price too high")

        amount = min(lot.lot, max_amount)
        require(amount != 0, "surplus_auction: nothing taken")
        paid = div_up(amount * price, RAY)
        self.lot[()] = lot._replace(lot=lot.lot - amount)
        self.emit("Taken", sender, amount, paid, lot.lot - amount)
        self.treasury.sell(self.address, amount, receiver)
        if data:
            taker = cast(IAuctionTaker, self.world.at(receiver))
            taker.on_auction_take(self.address, sender, 0, amount, paid, data)
        cast(IEquity, self.world.at(self.equity_address)).burn(self.address, sender, paid)

    @view
    def status(self, sender: str) -> tuple[bool, int, int]:
        """Return whether the auction's time is over, the current price [ray] and the amount left [wad].

        Raises RevertError if there is no auction.
        """
        lot = self._load_lot()
        elapsed = self.world.timestamp - lot.started_at
        price = self.prices[()].compute_price(min(elapsed, self.duration), self.duration)
        return elapsed > self.duration, price, lot.lot

    @view
    def auction(self, sender: str) -> Auction:
        """Return the amount, start time and prices of the auction; raise RevertError if there is none."""
        lot = self._load_lot()
        prices: Prices = self.prices[()]
        return Auction(lot.lot, lot.started_at, prices.top, prices.floor)

    def _load_lot(self) -> Lot:
        lot: Lot = self.lot[()]
        require(lot.lot != 0, "surplus_auction: no auction")
        return lot


def _compute_equity_per_stablecoin(price: int, share: int) -> int:
    """Return `share` [basis points] of the equity that 1e18 of stablecoin is worth at a price [ray].

    The result is capped at MAX_PRICE.
    """
    return min(div(RAY * RAY, price) * share // BASIS_POINTS, bounds.MAX_PRICE)
