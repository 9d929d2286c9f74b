"""A stage that sells equity, slashed or newly minted, for stablecoin that covers a deficit.

One auction for each collateral type, for the part of its deficit that is reserved. The price falls in a
straight line down to a floor; unsold equity returns at the deadline. Equity and stablecoin in wad, prices in
ray, losses in rad.
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
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD, div_up, mul_uint256
from backstop.model.bounds import EQUITY_MARKET
from backstop.model.interfaces import (
    IERC20,
    MAX_DATA,
    IAuctionTaker,
    IEquity,
    IEquityPool,
    ILossWaterfall,
    IPriceFeed,
    IVaultEngine,
)
from backstop.model.listed_types import decode_listed_types

# Less is not worth an auction, and no take may leave less of a target.
LEAST = WAD


# Both ends of a price are multiples of it, rounded up.
PRICE_UNIT = 10**14


@declare_record_slot_bit_widths(92, 32, 66, 66)
class Sale(NamedTuple):
    """Auction of equity: stablecoin left to raise [wad], start time, first and last price.

    A target of 0 means that there is no auction. Both prices are stored in multiples of `PRICE_UNIT`.
    """

    target: int = 0
    started_at: int = 0
    top_units: int = 0
    floor_units: int = 0

    @property
    def top(self) -> int:
        """Price at the auction's start [ray]."""
        return self.top_units * PRICE_UNIT

    @property
    def floor(self) -> int:
        """Price at the auction's deadline [ray]."""
        return self.floor_units * PRICE_UNIT

    @property
    def lot(self) -> int:
        """Equity on sale: the amount that raises the remaining target at the last price [wad, rounded up]."""
        return div_up(self.target * RAY, self.floor) if self.target else 0

    def compute_price(self, elapsed: int, duration: int) -> int:
        """Return the price `elapsed` seconds after the start (at most the duration) [ray, rounded up].

        The price falls linearly from top to floor.
        """
        return self.top - (self.top - self.floor) * elapsed // duration


class Auction(NamedTuple):
    """Record of a running equity auction; the lot is in wad, the target in rad, both prices are in ray."""

    lot: int
    target: int
    started_at: int
    top: int
    floor: int


class EquityAuction(Contract):
    """Source of funds of the loss waterfall: sells staked or new equity to cover a deficit.

    Model of contracts/EquityAuction.vy.
    """

    KIND = "EquityAuction"

    vault_engine_address = immutable("VAULT_ENGINE", str)
    loss_waterfall_address = immutable("LOSS_WATERFALL", str)
    price_feed_address = immutable("PRICE_FEED", str)
    equity_address = immutable("EQUITY", str)
    # The pool whose stake is slashed; zero if new equity is minted.
    source_address = immutable("SOURCE", str)
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
        vault_engine: str,
        loss_waterfall: str,
        price_feed: str,
        equity: str,
        source: str,
        floor: int,
        buf: int,
        duration: int,
    ) -> None:
        super().__init__(world, name, address)
        require(bounds.MIN_FLOOR <= floor <= bounds.MAX_FLOOR, "equity_auction: floor bounds")
        require(bounds.MIN_BUF <= buf <= bounds.MAX_BUF, "equity_auction: buf bounds")
        require(bounds.MIN_DURATION <= duration <= bounds.MAX_DURATION, "equity_auction: duration bounds")
        self.vault_engine_address = vault_engine
        self.loss_waterfall_address = loss_waterfall
        self.price_feed_address = price_feed
        self.equity_address = equity
        self.source_address = source
        self.floor = floor
        self.buf = buf
        self.duration = duration
        self.sales = self.table("sales", Sale())

    @property
    def vault_engine(self) -> IVaultEngine:
        return cast(IVaultEngine, self.world.at(self.vault_engine_address))

    @property
    def loss_waterfall(self) -> ILossWaterfall:
        return cast(ILossWaterfall, self.world.at(self.loss_waterfall_address))

    @property
    def feed(self) -> IPriceFeed:
        return cast(IPriceFeed, self.world.at(self.price_feed_address))

    @property
    def equity(self) -> IEquity:
        return cast(IEquity, self.world.at(self.equity_address))

    @property
    def equity_token(self) -> IERC20:
        return cast(IERC20, self.world.at(self.equity_address))

    @property
    def source(self) -> IEquityPool | None:
        """Pool whose staked equity is sold; None if new equity is minted."""
        if self.source_address == ZERO_ADDRESS:
            return None
        return cast(IEquityPool, self.world.at(self.source_address))

    # ------------------------------------------------------------------- stage

    @external
    def absorb(self, sender: str, collateral_type: int, amount: int) -> tuple[int, int]:
        """Start an equity auction for a deficit [rad], and return (0, amount reserved) [rad].

        Nothing is paid yet: buyers pay later. The reserved amount is the deficit rounded down to whole wei,
        or 0 if it is less than one stablecoin. Only the loss waterfall may call this.
        """
        require(sender == self.loss_waterfall_address, "equity_auction: only waterfall")
        target = amount // RAY
        if target < LEAST:
            return 0, 0
        highest, average = self.feed.highest_and_average(self.address, EQUITY_MARKET)
        top = min(max(average, highest) * self.buf // BASIS_POINTS, bounds.MAX_PRICE)
        units = div_up(top, PRICE_UNIT), self._compute_floor(average) // PRICE_UNIT
        sale = Sale(target, self.world.timestamp, *units)
        self.sales[collateral_type] = sale
        self.emit("AuctionStarted", collateral_type, sale.lot, target * RAY, sale.top, sale.floor)
        if self.source is None:
            self.equity.reserve_mint(self.address, sale.lot)
        else:
            self.source.slash(self.address, sale.lot, self.address)
        return 0, target * RAY

    @view
    def capacity(self, sender: str, collateral_type: int) -> int:
        """Return the stablecoin that the available equity raises at the lowest price [rad, in whole wei].

        0 while an auction for the collateral type runs.
        """
        if self.sales[collateral_type].target != 0:
            return 0
        if self.source is None:
            available = self.equity.mintable(self.address)
        else:
            available = self.source.slashable(self.address)
        average = self.feed.time_weighted(self.address, EQUITY_MARKET)
        return mul_uint256(available, self._compute_floor(average)) // RAY * RAY

    # ---------------------------------------------------------------- auctions

    @external
    def take(
        self, sender: str, collateral_type: int, max_amount: int, max_price: int, receiver: str, data: bytes
    ) -> None:
        """Buy up to `max_amount` of equity [wad] from an auction at the current price.

        The receiver gets the equity first. If `data` is not empty, the receiver's callback runs next. Then
        the caller pays. Reverts after the deadline, above `max_price` [ray], or if too small a rest would be
        left.
        """
        require(len(data) <= MAX_DATA, "")
        sale = self._load_sale(collateral_type)
        elapsed = self.world.timestamp - sale.started_at
        require(elapsed <= self.duration, "equity_auction: over")
        require(receiver not in self._never_receivers(), "equity_auction: bad receiver")
        price = sale.compute_price(elapsed, self.duration)
        require(price <= max_price, "equity_auction: price too high")

        amount = min(sale.lot, max_amount)
        require(amount != 0, "equity_auction: nothing taken")
        paid = div_up(amount * price, RAY)
        if paid > sale.target:
            paid = sale.target
            amount = paid * RAY // price
        rest = sale._replace(target=sale.target - paid)
        require(rest.target == 0 or rest.target >= LEAST, "equity_auction: rest too small")
        self.emit("Taken", collateral_type, sender, amount, paid, rest.target * RAY)
        returned = sale.lot - amount - rest.lot
        self.sales[collateral_type] = rest

        if self.source is None:
            self.equity.mint_reserved(self.address, receiver, amount, returned)
        else:
            self._return_lot_to_pool(returned)
            self.equity_token.transfer(self.address, receiver, amount)
        if data:
            taker = cast(IAuctionTaker, self.world.at(receiver))
            taker.on_auction_take(self.address, sender, collateral_type, amount, paid, data)
        self.loss_waterfall.book_payment(self.address, collateral_type, sender, paid * RAY)

    @external
    def end(self, sender: str, collateral_type: int) -> None:
        """End an auction that was not sold out, and return its unsold equity.

        Any account may call this after the deadline or in settlement. The deficit that is left goes to later
        stages.
        """
        sale = self._load_sale(collateral_type)
        over = self.world.timestamp > sale.started_at + self.duration
        require(over or self.vault_engine.in_settlement(self.address), "equity_auction: still open")
        self.emit("AuctionEnded", collateral_type, sale.lot, sale.target * RAY)
        self.sales[collateral_type] = sale._replace(target=0)
        if self.source is None:
            self.equity.release_mint(self.address, sale.lot)
        else:
            self._return_lot_to_pool(sale.lot)
        self.loss_waterfall.release(self.address, collateral_type)

    # ------------------------------------------------------------------- views

    @view
    def pending_assets(self, sender: str, loss: int) -> int:
        """Return the equity that losses [rad] would take at the lowest auction price [wad, rounded up]."""
        if loss == 0:
            return 0
        floor = self._compute_floor(self.feed.time_weighted(self.address, EQUITY_MARKET))
        require(floor != 0, "equity_auction: no price")
        return div_up(loss, floor)

    @view
    def under_auction(self, sender: str) -> int:
        """Return the unsold equity in all running auctions [wad]."""
        return sum(sale.lot for sale in self._list_sales_of_listed_types())

    @view
    def status(self, sender: str, collateral_type: int) -> tuple[bool, int, int, int]:
        """Return whether the deadline has passed, the price [ray], the lot [wad] and the target [rad]."""
        sale = self._load_sale(collateral_type)
        elapsed = self.world.timestamp - sale.started_at
        price = sale.compute_price(min(elapsed, self.duration), self.duration)
        return elapsed > self.duration, price, sale.lot, sale.target * RAY

    @view
    def auction_of(self, sender: str, collateral_type: int) -> Auction:
        """Return the record of a collateral type's equity auction. Reverts if there is none."""
        sale = self._load_sale(collateral_type)
        return Auction(sale.lot, sale.target * RAY, sale.started_at, sale.top, sale.floor)

    # ----------------------------------------------------------------- helpers

    def _compute_floor(self, average: int) -> int:
        """Return the lowest auction price for a time-weighted price [ray], rounded up to `PRICE_UNIT`.

        0 if there never was a price.
        """
        return div_up(average * self.floor // BASIS_POINTS, PRICE_UNIT) * PRICE_UNIT

    def _return_lot_to_pool(self, amount: int) -> None:
        """Return unsold equity [wad] to the pool from which it was slashed."""
        if amount != 0:
            assert self.source is not None
            self.equity_token.approve(self.address, self.source_address, amount)
            self.source.restore(self.address, amount)

    def _list_sales_of_listed_types(self) -> list[Sale]:
        return [self.sales[c] for c in decode_listed_types(self.vault_engine.listed(self.address))]

    def _load_sale(self, collateral_type: int) -> Sale:
        sale: Sale = self.sales[collateral_type]
        require(sale.target != 0, "equity_auction: no auction")
        return sale

    def _never_receivers(self) -> tuple[str, ...]:
        return (
            ZERO_ADDRESS,
            self.address,
            self.equity_address,
            self.source_address,
            self.vault_engine_address,
        )
