# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title SurplusAuction
@license GNU Affero General Public License v3.0 only
@notice Sells the treasury's surplus, one lot of stablecoin at a time, for equity, which is burned. The price,
        in equity, falls in a straight line from above the market price to a floor.
@dev Packed by hand: one record is one slot, the first field at bit 0. The records of an auction that is over
     are overwritten by the next. The lot stays in the reserve until it is bought, so an auction never holds
     back money that a loss needs: then there is nothing for sale, and takes revert.
"""
from contracts.interfaces import IAuctionTaker
from contracts.interfaces import IEquity
from contracts.interfaces import IPriceFeed
from contracts.interfaces import ITreasury
from contracts.modules import bounds
from contracts.modules import units


event AuctionStarted:
    lot: uint256  # [wad]
    top: uint256  # [ray]
    floor: uint256  # [ray]


event Taken:
    taker: indexed(address)
    stablecoin: uint256  # [wad]
    paid: uint256  # [wad] of equity
    lot: uint256  # [wad]


struct Lot:
    lot: uint256  # wad of stablecoin left, 96 bits; 0 is no auction
    started_at: uint256  # seconds, 32 bits


struct Prices:
    top: uint256  # ray of equity for 1e18 of stablecoin, at the start, 112 bits
    floor: uint256  # ray, at the deadline, 112 bits


struct Auction:
    lot: uint256  # wad of stablecoin left
    started_at: uint256  # seconds
    top: uint256  # ray
    floor: uint256  # ray


MASK_96: constant(uint256) = 2**96 - 1
MASK_112: constant(uint256) = 2**112 - 1

TREASURY: public(immutable(ITreasury))
PRICE_FEED: public(immutable(IPriceFeed))
EQUITY: public(immutable(IEquity))
# Whole stablecoins.
LOT: public(immutable(uint256))
# Basis points of the time-weighted price, under which nothing is sold.
FLOOR: public(immutable(uint256))
# Basis points of the market price, where an auction starts.
BUF: public(immutable(uint256))
# Seconds from the top to the floor.
DURATION: public(immutable(uint256))

# Lot
lot: uint256
# Prices
prices: uint256


@deploy
def __init__(
    treasury: address,
    price_feed: address,
    equity: address,
    lot: uint256,
    floor_: uint256,
    buf: uint256,
    duration: uint256,
):
    """
    @param treasury The treasury, with the surplus for sale.
    @param price_feed Its market EQUITY_MARKET is the price of equity.
    @param equity The token that takers pay with, on an allowance.
    @param lot [whole stablecoins] Sold in each auction.
    @param floor_ [basis points] Of the time-weighted price of equity, under which nothing is sold.
    @param buf [basis points] Of the market price, where an auction starts.
    @param duration [seconds] From the top to the floor.
    """
    assert lot != 0 and lot <= bounds.MAX_SURPLUS_LOT, "surplus_auction: lot bounds"
    assert floor_ >= bounds.MIN_FLOOR and floor_ <= bounds.MAX_FLOOR, "surplus_auction: floor bounds"
    assert buf >= bounds.MIN_BUF and buf <= bounds.MAX_BUF, "surplus_auction: buf bounds"
    assert (
        duration >= bounds.MIN_DURATION and duration <= bounds.MAX_DURATION
    ), "surplus_auction: duration bounds"
    TREASURY = ITreasury(treasury)
    PRICE_FEED = IPriceFeed(price_feed)
    EQUITY = IEquity(equity)
    LOT = lot
    FLOOR = floor_
    BUF = buf
    DURATION = duration


@external
@nonreentrant
def start():
    """
    @notice Put a lot up for sale, from the lowest of current, next and time-weighted price of equity: the
            caller chooses the second. Permissionless, once the last lot is sold or its time is over, at a
            fresh price without a guard on its next one. Protects: surplus is never sold from an outdated
            price, nor ahead of a price drop that is publicly visible, nor for less equity than the floor of
            the time-weighted one.
    """
    old: Lot = self._load_lot()
    assert old.lot == 0 or block.timestamp > old.started_at + DURATION, "surplus_auction: under way"
    price: uint256 = staticcall PRICE_FEED.risk_price(bounds.EQUITY_MARKET)
    assert price != 0, "surplus_auction: no price"
    lot: uint256 = LOT * units.WAD
    assert staticcall TREASURY.for_sale() >= lot, "surplus_auction: too little"

    average: uint256 = staticcall PRICE_FEED.time_weighted(bounds.EQUITY_MARKET)
    top: uint256 = self._compute_equity_per_stablecoin(min(price, average), BUF)
    bottom: uint256 = self._compute_equity_per_stablecoin(average, FLOOR)
    self.lot = lot | (block.timestamp << 96)
    self.prices = top | (bottom << 112)
    log AuctionStarted(lot=lot, top=top, floor=bottom)


@external
@nonreentrant
def take(max_amount: uint256, max_price: uint256, receiver: address, data: Bytes[1024]):
    """
    @notice Buy stablecoin at the price of this moment. Permissionless, up to the deadline, while no loss is
            open. The stablecoin is sent first, then `receiver` is called if `data` is not empty, then the
            equity is burned from the caller, on an allowance. Protects: the payment is rounded up.
    @param max_amount [wad] Stablecoin; not more than is left is bought.
    @param max_price [ray] The most equity for 1e18 of stablecoin.
    @param receiver Receiver of the stablecoin and of the call; no contract that takes part in the sale.
    @param data Handed to `receiver`; the auction's id is 0.
    """
    lot: Lot = self._load_auction()
    elapsed: uint256 = unsafe_sub(block.timestamp, lot.started_at)
    assert elapsed <= DURATION, "surplus_auction: over"
    assert receiver not in [
        empty(address),
        self,
        EQUITY.address,
        TREASURY.address,
    ], "surplus_auction: bad receiver"
    price: uint256 = self._price(elapsed)
    assert price <= max_price, "surplus_auction: price too high"

    amount: uint256 = min(lot.lot, max_amount)
    assert amount != 0, "surplus_auction: nothing taken"
    # 96 + 112 bits.
    paid: uint256 = units._div_up(unsafe_mul(amount, price), units.RAY)
    lot.lot = unsafe_sub(lot.lot, amount)
    self.lot = lot.lot | (lot.started_at << 96)
    log Taken(taker=msg.sender, stablecoin=amount, paid=paid, lot=lot.lot)
    extcall TREASURY.sell(amount, receiver, skip_contract_check=True)
    if len(data) != 0:
        extcall IAuctionTaker(receiver).on_auction_take(msg.sender, 0, amount, paid, data)
    extcall EQUITY.burn(msg.sender, paid)


# -------------------------------------------------------------------- views


@external
@view
def status() -> (bool, uint256, uint256):
    """
    @notice Return the state of an auction for takers.
    @return True if the auction is over: then takes revert, and any account can start the next.
    @return [ray] Equity for 1e18 of stablecoin.
    @return [wad] The lot: stablecoin left.
    """
    lot: Lot = self._load_auction()
    elapsed: uint256 = block.timestamp - lot.started_at
    return elapsed > DURATION, self._price(min(elapsed, DURATION)), lot.lot


@external
@view
def auction() -> Auction:
    """
    @notice The record of the auction.
    @return Top and floor are equity for 1e18 of stablecoin.
    """
    lot: Lot = self._load_auction()
    word: uint256 = self.prices
    return Auction(lot=lot.lot, started_at=lot.started_at, top=word & MASK_112, floor=word >> 112)


# ------------------------------------------------------------------ helpers


@internal
@pure
def _compute_equity_per_stablecoin(price: uint256, share: uint256) -> uint256:
    """
    @dev Equity for 1e18 of stablecoin at a price of equity (ray) times a share (basis points); ray, capped at
         the range of its field.
    """
    return min(units.RAY * units.RAY // price * share // units.BASIS_POINTS, bounds.MAX_PRICE)


@internal
@view
def _price(elapsed: uint256) -> uint256:
    """@dev Ray, rounded up, some seconds (at most the duration) after the start."""
    word: uint256 = self.prices
    top: uint256 = word & MASK_112
    fall: uint256 = unsafe_mul(unsafe_sub(top, word >> 112), elapsed) // DURATION
    return unsafe_sub(top, fall)


@internal
@view
def _load_auction() -> Lot:
    lot: Lot = self._load_lot()
    assert lot.lot != 0, "surplus_auction: no auction"
    return lot


@internal
@view
def _load_lot() -> Lot:
    word: uint256 = self.lot
    return Lot(lot=word & MASK_96, started_at=word >> 96)
