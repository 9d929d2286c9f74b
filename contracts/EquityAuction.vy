# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title EquityAuction
@license GNU Affero General Public License v3.0 only
@notice A stage of the loss waterfall that needs time: it sells equity, slashed from those who stake it
        or newly minted, for stablecoin that covers a deficit. The part of the deficit that it sells for
        is reserved: nobody else covers it meanwhile. One auction for each collateral type. The price
        falls in a straight line down to a floor; what is not sold at the deadline returns, and the
        later stages pay.
@dev Packed by hand: one record is one slot, the first field at bit 0. Records of ended auctions are
     kept, with nothing in them to sell or to raise, so that the next start costs less.
     The lot is what raises the whole target at the floor. No price is under it and each payment is
     rounded up, so whoever buys all of the lot pays all of the target: it is never sold out early.
"""
from ethereum.ercs import IERC20

from contracts.interfaces import IAuctionTaker
from contracts.interfaces import IEquity
from contracts.interfaces import IEquityAuction
from contracts.interfaces import ILossWaterfall
from contracts.interfaces import IPool
from contracts.interfaces import IPriceFeed
from contracts.interfaces import IStage
from contracts.interfaces import IVaultEngine
from contracts.modules import bounds
from contracts.modules import units

implements: IEquityAuction
implements: IStage


event AuctionStarted:
    collateral_type: indexed(uint256)
    lot: uint256
    target: uint256
    top: uint256
    floor: uint256


event Taken:
    collateral_type: indexed(uint256)
    taker: indexed(address)
    equity: uint256
    paid: uint256
    target: uint256


event AuctionEnded:
    collateral_type: indexed(uint256)
    returned: uint256
    unpaid: uint256


struct Lot:
    lot: uint256  # wad of equity left, 96 bits
    target: uint256  # wad of stablecoin still to raise, 96 bits; 0 is no auction
    started_at: uint256  # seconds, 32 bits


struct Prices:
    top: uint256  # ray, the price at the start, 112 bits
    floor: uint256  # ray, the price at the deadline, 112 bits


struct Auction:
    lot: uint256
    target: uint256
    started_at: uint256
    top: uint256
    floor: uint256


BUSY: constant(uint256) = max_value(uint256)
# Less is not worth an auction, and no take may leave less of a target: one stablecoin, in wad.
LEAST: constant(uint256) = units.WAD

MASK_96: constant(uint256) = 2**96 - 1
MASK_112: constant(uint256) = 2**112 - 1

VAULT_ENGINE: public(immutable(IVaultEngine))
LOSS_WATERFALL: public(immutable(ILossWaterfall))
PRICE_FEED: public(immutable(IPriceFeed))
EQUITY: public(immutable(IEquity))
# The pool whose stake is slashed; zero if new equity is minted.
SOURCE: public(immutable(address))
# Basis points of the time-weighted price, under which nothing is sold.
FLOOR: public(immutable(uint256))
# Basis points of the market price, where an auction starts.
BUF: public(immutable(uint256))
# Seconds from the top to the floor.
DURATION: public(immutable(uint256))

# collateral type -> Lot: all that a take changes
lots: HashMap[uint256, uint256]
# collateral type -> Prices
prices: HashMap[uint256, uint256]


@deploy
def __init__(
    vault_engine: address,
    loss_waterfall: address,
    price_feed: address,
    equity: address,
    source: address,
    floor_: uint256,
    buf: uint256,
    duration: uint256,
):
    """
    @param vault_engine The ledger; this contract needs its STAGE role.
    @param loss_waterfall Where losses come from.
    @param price_feed Whose market EQUITY_MARKET is the price of equity.
    @param equity The token that is sold; without a source this contract is its auction.
    @param source The pool of staked equity that this contract slashes, or the zero address.
    @param floor_ In basis points.
    @param buf In basis points.
    @param duration In seconds.
    """
    assert floor_ >= bounds.MIN_FLOOR and floor_ <= bounds.MAX_FLOOR, "equity_auction: floor bounds"
    assert buf >= bounds.MIN_BUF and buf <= bounds.MAX_BUF, "equity_auction: buf bounds"
    assert (
        duration >= bounds.MIN_DURATION and duration <= bounds.MAX_DURATION
    ), "equity_auction: duration bounds"
    VAULT_ENGINE = IVaultEngine(vault_engine)
    LOSS_WATERFALL = ILossWaterfall(loss_waterfall)
    PRICE_FEED = IPriceFeed(price_feed)
    EQUITY = IEquity(equity)
    SOURCE = source
    FLOOR = floor_
    BUF = buf
    DURATION = duration


# -------------------------------------------------------------------- stage


@external
@nonreentrant
def absorb(collateral_type: uint256, amount: uint256) -> (uint256, uint256):
    """
    @notice Start an auction. Loss waterfall only. Protects: equity is never sold under the floor, and
            no more of it is at stake than raises the amount there. A stale price of equity stops
            nothing: the time-weighted one is used at any age.
    @param collateral_type The collateral type that lost.
    @param amount In rad, at most the capacity.
    @return Nothing is covered yet; the rad reserved, whole wei.
    """
    assert msg.sender == LOSS_WATERFALL.address, "equity_auction: only waterfall"
    target: uint256 = amount // units.RAY
    if target < LEAST:
        return 0, 0
    average: uint256 = staticcall PRICE_FEED.time_weighted(bounds.EQUITY_MARKET)
    bottom: uint256 = average * FLOOR // units.BASIS_POINTS
    price: uint256 = max(average, staticcall PRICE_FEED.current_price(bounds.EQUITY_MARKET))
    top: uint256 = min(price * BUF // units.BASIS_POINTS, bounds.MAX_PRICE)
    # A floor of zero is a capacity of zero.
    lot: uint256 = units._div_up(target * units.RAY, bottom)
    self._store_lot(collateral_type, Lot(lot=lot, target=target, started_at=block.timestamp))
    self.prices[collateral_type] = top | (bottom << 112)
    log AuctionStarted(
        collateral_type=collateral_type, lot=lot, target=target * units.RAY, top=top, floor=bottom
    )
    if SOURCE == empty(address):
        extcall EQUITY.book(lot)
    else:
        extcall IPool(SOURCE).slash(lot, self)
    return 0, target * units.RAY


@external
@view
def capacity(collateral_type: uint256) -> uint256:
    """
    @notice What equity there is raises at the floor, rad in whole wei; BUSY while an auction of the type
            runs.
    """
    if self._load_lot(collateral_type).target != 0:
        return BUSY
    available: uint256 = 0
    if SOURCE == empty(address):
        available = staticcall EQUITY.mintable()
    else:
        available = staticcall IPool(SOURCE).slashable()
    return available * self._floor() // units.RAY * units.RAY


# ----------------------------------------------------------------- auctions


@external
@nonreentrant
def take(
    collateral_type: uint256,
    max_amount: uint256,
    max_price: uint256,
    receiver: address,
    data: Bytes[1024],
):
    """
    @notice Buy equity at the price of this moment. Permissionless, up to the deadline, never stopped.
            The equity is sent first, then `receiver` is called if `data` is not empty, then the payment
            is burned from the caller, on an allowance. Protects: the payment is rounded up and goes to the deficit alone;
            no rest is too small to be worth a take.
    @param max_amount Equity in wad; less is bought where the target says so.
    @param max_price The highest price for 1e18 of equity, ray.
    @param receiver Who gets the equity and is called; no contract that has a part in it.
    @param data Handed to `receiver`.
    """
    lot: Lot = self._load_auction(collateral_type)
    elapsed: uint256 = unsafe_sub(block.timestamp, lot.started_at)
    assert elapsed <= DURATION, "equity_auction: over"
    assert receiver not in [
        empty(address),
        self,
        EQUITY.address,
        SOURCE,
        VAULT_ENGINE.address,
    ], "equity_auction: bad receiver"
    price: uint256 = self._price(self._load_prices(collateral_type), elapsed)
    assert price <= max_price, "equity_auction: price too high"

    # 96 + 112 bits.
    amount: uint256 = min(lot.lot, max_amount)
    assert amount != 0, "equity_auction: nothing taken"
    paid: uint256 = units._div_up(unsafe_mul(amount, price), units.RAY)
    if paid > lot.target:
        paid = lot.target
        # The target is a stablecoin or more, a wei of equity costs much less: this is above zero.
        amount = unsafe_mul(paid, units.RAY) // price
    rest: Lot = Lot(
        lot=unsafe_sub(lot.lot, amount),
        target=unsafe_sub(lot.target, paid),
        started_at=lot.started_at,
    )
    assert rest.target == 0 or rest.target >= LEAST, "equity_auction: rest too small"
    log Taken(
        collateral_type=collateral_type,
        taker=msg.sender,
        equity=amount,
        paid=paid,
        target=unsafe_mul(rest.target, units.RAY),
    )
    returned: uint256 = 0
    if rest.target == 0:
        returned = rest.lot
        self._forget(collateral_type, rest)
    else:
        self._store_lot(collateral_type, rest)

    if SOURCE == empty(address):
        extcall EQUITY.mint_booked(receiver, amount, returned)
    else:
        self._restore(returned)
        extcall IERC20(EQUITY.address).transfer(receiver, amount)
    if len(data) != 0:
        extcall IAuctionTaker(receiver).on_auction_take(msg.sender, collateral_type, amount, paid, data)
    # What is reserved nobody else covers, so all that is paid counts.
    covered: uint256 = extcall VAULT_ENGINE.cover_from_tokens(
        collateral_type, msg.sender, unsafe_mul(paid, units.RAY)
    )
    extcall LOSS_WATERFALL.book_payment(collateral_type, covered)


@external
@nonreentrant
def end(collateral_type: uint256):
    """
    @notice End an auction that was not filled: what is left of its lot returns, what is left of its
            reservation is given up. Permissionless, after the deadline, or at once in settlement.
            Protects: no stage holds the later ones back for longer than an auction lasts.
    """
    lot: Lot = self._load_auction(collateral_type)
    assert (
        block.timestamp > lot.started_at + DURATION or staticcall VAULT_ENGINE.in_settlement()
    ), "equity_auction: still open"
    self._forget(collateral_type, lot)
    if SOURCE == empty(address):
        extcall EQUITY.unbook(lot.lot)
    else:
        self._restore(lot.lot)
    extcall LOSS_WATERFALL.release(collateral_type)


# -------------------------------------------------------------------- views


@external
@view
def pending_assets(loss: uint256) -> uint256:
    """
    @notice What losses that are not under auction yet would take in equity, were it sold at the floor of
            now; wad, rounded up. Without a price that is not known, and nothing is said.
    @param loss All losses that reach this stage, rad; what auctions are to raise is a part of them.
    """
    if loss == 0:
        return 0
    left: uint256 = loss - min(loss, self._sum().target * units.RAY)
    if left == 0:
        return 0
    bottom: uint256 = self._floor()
    assert bottom != 0, "equity_auction: no price"
    return units._div_up(left, bottom)


@external
@view
def under_auction() -> uint256:
    """
    @notice Equity that is in auctions now and not sold, wad.
    """
    return self._sum().lot


@external
@view
def status(collateral_type: uint256) -> (bool, uint256, uint256, uint256):
    """
    @notice What a taker needs to know.
    @return Whether the auction is over (then nobody can take), the price in ray, the lot in wad and the
            target in rad.
    """
    lot: Lot = self._load_auction(collateral_type)
    elapsed: uint256 = block.timestamp - lot.started_at
    price: uint256 = self._price(self._load_prices(collateral_type), min(elapsed, DURATION))
    return elapsed > DURATION, price, lot.lot, lot.target * units.RAY


@external
@view
def auction_of(collateral_type: uint256) -> Auction:
    """
    @notice A type's auction: the lot in wad, the target in rad, top and floor in ray.
    """
    lot: Lot = self._load_auction(collateral_type)
    prices: Prices = self._load_prices(collateral_type)
    return Auction(
        lot=lot.lot,
        target=lot.target * units.RAY,
        started_at=lot.started_at,
        top=prices.top,
        floor=prices.floor,
    )


# ------------------------------------------------------------------ helpers


@internal
@view
def _floor() -> uint256:
    """@dev The lowest price of now, ray; 0 if there never was a price."""
    average: uint256 = staticcall PRICE_FEED.time_weighted(bounds.EQUITY_MARKET)
    return average * FLOOR // units.BASIS_POINTS


@internal
@view
def _sum() -> Lot:
    """@dev What the auctions of all types have left to sell and to raise."""
    total: Lot = empty(Lot)
    types: uint256 = staticcall VAULT_ENGINE.collateral_types()
    for c: uint256 in range(types, bound=bounds.MAX_COLLATERAL_TYPES):
        lot: Lot = self._load_lot(c)
        total.lot += lot.lot
        total.target += lot.target
    return total


@internal
@view
def _price(prices: Prices, elapsed: uint256) -> uint256:
    """@dev Ray, rounded up, some seconds (at most the duration) after the start."""
    fall: uint256 = unsafe_mul(unsafe_sub(prices.top, prices.floor), elapsed) // DURATION
    return unsafe_sub(prices.top, fall)


@internal
def _forget(collateral_type: uint256, lot: Lot):
    """@dev An auction ends."""
    self._store_lot(collateral_type, Lot(lot=0, target=0, started_at=lot.started_at))
    log AuctionEnded(collateral_type=collateral_type, returned=lot.lot, unpaid=lot.target * units.RAY)


@internal
def _restore(amount: uint256):
    """@dev What is left of a lot goes back to the pool it was slashed from."""
    if amount != 0:
        extcall IERC20(EQUITY.address).approve(SOURCE, amount)
        extcall IPool(SOURCE).restore(amount)


@internal
@view
def _load_auction(collateral_type: uint256) -> Lot:
    """@dev A running auction has a target above zero."""
    lot: Lot = self._load_lot(collateral_type)
    assert lot.target != 0, "equity_auction: no auction"
    return lot


@internal
@view
def _load_lot(collateral_type: uint256) -> Lot:
    word: uint256 = self.lots[collateral_type]
    return Lot(lot=word & MASK_96, target=(word >> 96) & MASK_96, started_at=word >> 192)


@internal
def _store_lot(collateral_type: uint256, lot: Lot):
    # A deficit is under 2**92 wei; a pool holds under 2**96 of equity, and no cap reaches that.
    self.lots[collateral_type] = lot.lot | (lot.target << 96) | (lot.started_at << 192)


@internal
@view
def _load_prices(collateral_type: uint256) -> Prices:
    word: uint256 = self.prices[collateral_type]
    return Prices(top=word & MASK_112, floor=word >> 112)
