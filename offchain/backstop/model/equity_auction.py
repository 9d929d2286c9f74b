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
    """Amount left to raise (0 is no auction), its start, and both ends of the price in units."""

    target: int = 0
    started_at: int = 0
    top_units: int = 0
    floor_units: int = 0

    @property
    def top(self) -> int:
        """The price at the start."""
        return self.top_units * PRICE_UNIT

    @property
    def floor(self) -> int:
        """The price at the deadline."""
        return self.floor_units * PRICE_UNIT

    @property
    def lot(self) -> int:
        """Equity that raises the target at the floor."""
        return div_up(self.target * RAY, self.floor) if self.target else 0

    def compute_price(self, elapsed: int, duration: int) -> int:
        """Return the price some seconds (at most the duration) after the start [ray], rounded up."""
        return self.top - (self.top - self.floor) * elapsed // duration


class Auction(NamedTuple):
    """All about a running auction; the target in rad."""

    lot: int
    target: int
    started_at: int
    top: int
    floor: int


class EquityAuction(Contract):
    """See contracts/EquityAuction.vy."""

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
        """The pool of staked equity, if there is one."""
        if self.source_address == ZERO_ADDRESS:
            return None
        return cast(IEquityPool, self.world.at(self.source_address))

    # ------------------------------------------------------------------- stage

    @external
    def absorb(self, sender: str, collateral_type: int, amount: int) -> tuple[int, int]:
        """Start an auction; nothing is covered yet, so much is reserved."""
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
        """Return what the equity there is raises at the floor [rad], in whole wei; 0 during an auction."""
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
        """Buy equity: it goes out first, then the receiver's callback if there is data, then payment."""
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
        """End an auction that was not filled, after the deadline or in settlement."""
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
        """Return the equity that losses would take at the floor [wad], rounded up."""
        if loss == 0:
            return 0
        floor = self._compute_floor(self.feed.time_weighted(self.address, EQUITY_MARKET))
        require(floor != 0, "equity_auction: no price")
        return div_up(loss, floor)

    @view
    def under_auction(self, sender: str) -> int:
        """Return the equity that is in auctions now and not sold [wad]."""
        return sum(sale.lot for sale in self._list_sales_of_listed_types())

    @view
    def status(self, sender: str, collateral_type: int) -> tuple[bool, int, int, int]:
        """Return whether the auction is over, the price [ray], the lot [wad] and the target [rad]."""
        sale = self._load_sale(collateral_type)
        elapsed = self.world.timestamp - sale.started_at
        price = sale.compute_price(min(elapsed, self.duration), self.duration)
        return elapsed > self.duration, price, sale.lot, sale.target * RAY

    @view
    def auction_of(self, sender: str, collateral_type: int) -> Auction:
        """Return a type's auction."""
        sale = self._load_sale(collateral_type)
        return Auction(sale.lot, sale.target * RAY, sale.started_at, sale.top, sale.floor)

    # ----------------------------------------------------------------- helpers

    def _compute_floor(self, average: int) -> int:
        """Return the lowest price at an average [ray], in whole units; 0 if there never was a price."""
        return div_up(average * self.floor // BASIS_POINTS, PRICE_UNIT) * PRICE_UNIT

    def _return_lot_to_pool(self, amount: int) -> None:
        """Give what is left of a lot back to the pool it was slashed from."""
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
