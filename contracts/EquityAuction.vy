# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title EquityAuction
@license GNU Affero General Public License v3.0 only
@notice A stage of the loss waterfall that needs time: it sells equity for stablecoin that covers a deficit.
        The equity is slashed from its stakers or newly minted. Its part of the deficit is reserved: no other
        stage covers it meanwhile. One auction for each collateral type. The price falls in a straight line
        down to a floor; the lot unsold at the deadline returns, and the later stages pay.
@dev Packed by hand: an auction is one slot, the first field at bit 0. Records of ended auctions are kept,
     with nothing in them to raise, so that the next start costs less. The lot is at any time the amount that
     raises the target at the floor, rounded up; the amount that a take frees of it returns at once. No price
     is under the floor and each payment is rounded up. A buyer of all of the lot thus pays all of the target:
     the lot is never sold out early.
"""
from ethereum.ercs import IERC20

from contracts.interfaces import IAuctionTaker
from contracts.interfaces import IEquity
from contracts.interfaces import IEquityAuction
from contracts.interfaces import ILossWaterfall
from contracts.interfaces import IEquityPool
from contracts.interfaces import IPriceFeed
from contracts.interfaces import IStage
from contracts.interfaces import IVaultEngine
from contracts.modules import bounds
from contracts.modules import listed_types
from contracts.modules import units

implements: IEquityAuction
implements: IStage


event AuctionStarted:
    collateral_type: indexed(uint256)  # [id]
    lot: uint256  # [wad]
    target: uint256  # [rad]
    top: uint256  # [ray]
    floor: uint256  # [ray]


event Taken:
    collateral_type: indexed(uint256)  # [id]
    taker: indexed(address)
    equity: uint256  # [wad]
    paid: uint256  # [wad]
    target: uint256  # [rad] still to raise


event AuctionEnded:
    collateral_type: indexed(uint256)  # [id]
    returned: uint256  # [wad]
    unpaid: uint256  # [rad]


struct Sale:
    target: uint256  # wad of stablecoin still to raise, 92 bits; 0 is no auction
    started_at: uint256  # seconds, 32 bits
    top: uint256  # ray, the price at the start, 66 bits of PRICE_UNIT
    floor: uint256  # ray, the price at the deadline, 66 bits of PRICE_UNIT


struct Auction:
    lot: uint256  # wad of equity left
    target: uint256  # rad still to raise
    started_at: uint256  # seconds
    top: uint256  # ray
    floor: uint256  # ray


# Less is not worth an auction, and no take may leave less of a target: one stablecoin, in wad.
LEAST: constant(uint256) = units.WAD

# Both ends of a price are multiples of it, rounded up: a ten-trillionth of a stablecoin, in ray.
PRICE_UNIT: constant(uint256) = 10**14

MASK_32: constant(uint256) = 2**32 - 1
MASK_66: constant(uint256) = 2**66 - 1
MASK_92: constant(uint256) = 2**92 - 1

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

# collateral type -> Sale
sales: HashMap[uint256, uint256]


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
    @param vault_engine The ledger.
    @param loss_waterfall Where losses come from.
    @param price_feed Its market EQUITY_MARKET is the price of equity.
    @param equity The token that is sold; without a source this contract is its auction.
    @param source The pool of staked equity that this contract slashes, or the zero address.
    @param floor_ [basis points] Of the time-weighted price of equity, under which nothing is sold.
    @param buf [basis points] Of the market price, where an auction starts.
    @param duration [seconds] From the top to the floor.
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
def absorb(collateral_type: uint256, amount: uint256) -> (uint256, uint256):
    """
    @notice Start an auction, from the highest of current, next and time-weighted price: the account that
            calls `cover` chooses the second. Loss waterfall only. Protects: equity is never sold under the
            floor, nor ahead of a visible rise, and no more equity is at stake than raises the amount at the
            floor. A stale price of equity stops nothing: the time-weighted price counts at any age. Not
            locked, so that a taker with a callback in an auction of one type cannot make a loss of another
            pass this stage by.
    @param collateral_type [id] The type that lost.
    @param amount [rad] At most the capacity.
    @return [rad] Covered: nothing yet.
    @return [rad] Reserved: the amount in whole wei, rounded down.
    """
    assert msg.sender == LOSS_WATERFALL.address, "equity_auction: only waterfall"
    target: uint256 = unsafe_div(amount, units.RAY)
    if target < LEAST:
        return 0, 0
    highest: uint256 = 0
    average: uint256 = 0
    highest, average = staticcall PRICE_FEED.highest_and_average(bounds.EQUITY_MARKET)
    # Prices have 112 bits, shares of them 16.
    top: uint256 = unsafe_div(unsafe_mul(max(average, highest), BUF), units.BASIS_POINTS)
    sale: Sale = Sale(
        target=target,
        started_at=block.timestamp,
        top=self._in_units(min(top, bounds.MAX_PRICE)),
        floor=self._compute_floor(average),
    )
    # A floor of zero is a capacity of zero.
    lot: uint256 = self._lot(sale.target, sale.floor)
    self._store_sale(collateral_type, sale)
    log AuctionStarted(
        collateral_type=collateral_type,
        lot=lot,
        target=unsafe_mul(target, units.RAY),
        top=sale.top,
        floor=sale.floor,
    )
    if SOURCE == empty(address):
        # What this contract calls without a look is of the protocol: its code is there.
        extcall EQUITY.reserve_mint(lot, skip_contract_check=True)
    else:
        extcall IEquityPool(SOURCE).slash(lot, self)
    return 0, unsafe_mul(target, units.RAY)


@external
@view
def capacity(collateral_type: uint256) -> uint256:
    """
    @notice Return the amount that the available equity raises at the floor.
    @param collateral_type [id] The collateral type.
    @return [rad] Whole wei, rounded down; 0 while an auction of the type runs.
    """
    # The waterfall does not ask while something is reserved; a sale whose reservation was released by force
    # has to be ended before another.
    if self.sales[collateral_type] & MASK_92 != 0:
        return 0
    available: uint256 = 0
    if SOURCE == empty(address):
        available = staticcall EQUITY.mintable()
    else:
        available = staticcall IEquityPool(SOURCE).slashable()
    average: uint256 = staticcall PRICE_FEED.time_weighted(bounds.EQUITY_MARKET)
    # There is less equity than 2**143 wei, and a price has 112 bits.
    raised: uint256 = unsafe_mul(available, self._compute_floor(average))
    return unsafe_sub(raised, raised % units.RAY)


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
    @notice Buy equity at the price of this moment. Permissionless, up to the deadline, never stopped. The
            equity is sent first, then `receiver` is called if `data` is not empty, then the payment is burned
            from the caller, on an allowance. Protects: the payment is rounded up and goes to the deficit
            alone; no rest is too small to be worth a take.
    @param collateral_type [id] The collateral type.
    @param max_amount [wad] Equity; less is bought where the target requires it.
    @param max_price [ray] The most stablecoin for 1e18 of equity.
    @param receiver Receiver of the equity and of the call; no contract that takes part in the sale.
    @param data Handed to `receiver`; empty for no call.
    """
    sale: Sale = self._load_auction(collateral_type)
    elapsed: uint256 = unsafe_sub(block.timestamp, sale.started_at)
    assert elapsed <= DURATION, "equity_auction: over"
    assert receiver not in [
        empty(address),
        self,
        EQUITY.address,
        SOURCE,
        VAULT_ENGINE.address,
    ], "equity_auction: bad receiver"
    price: uint256 = self._compute_price(sale, elapsed)
    assert price <= max_price, "equity_auction: price too high"

    # 96 + 112 bits.
    lot: uint256 = self._lot(sale.target, sale.floor)
    amount: uint256 = min(lot, max_amount)
    assert amount != 0, "equity_auction: nothing taken"
    paid: uint256 = units._div_up(unsafe_mul(amount, price), units.RAY)
    if paid > sale.target:
        paid = sale.target
        # The target is a stablecoin or more, a wei of equity costs much less: this is above zero.
        amount = unsafe_mul(paid, units.RAY) // price
    sale.target = unsafe_sub(sale.target, paid)
    assert sale.target == 0 or sale.target >= LEAST, "equity_auction: rest too small"
    log Taken(
        collateral_type=collateral_type,
        taker=msg.sender,
        equity=amount,
        paid=paid,
        target=unsafe_mul(sale.target, units.RAY),
    )
    # floor(paid/floor) + ceil(rest/floor) is at most the lot, and less was bought than the first.
    returned: uint256 = unsafe_sub(unsafe_sub(lot, amount), self._lot(sale.target, sale.floor))
    self._store_sale(collateral_type, sale)

    if SOURCE == empty(address):
        extcall EQUITY.mint_reserved(receiver, amount, returned, skip_contract_check=True)
    else:
        self._return_lot_to_pool(returned)
        extcall IERC20(EQUITY.address).transfer(receiver, amount)
    if len(data) != 0:
        extcall IAuctionTaker(receiver).on_auction_take(msg.sender, collateral_type, amount, paid, data)
    # What is reserved nobody else covers, so all that is paid counts.
    extcall LOSS_WATERFALL.book_payment(
        collateral_type, msg.sender, unsafe_mul(paid, units.RAY), skip_contract_check=True
    )


@external
@nonreentrant
def end(collateral_type: uint256):
    """
    @notice End an auction that was not filled: the remainder of its lot returns, the remainder of its
            reservation is released. Permissionless, after the deadline, or at once in settlement. Protects:
            no stage holds the later ones back for longer than an auction lasts.
    @param collateral_type [id] The collateral type.
    """
    sale: Sale = self._load_auction(collateral_type)
    assert (
        block.timestamp > sale.started_at + DURATION or staticcall VAULT_ENGINE.in_settlement()
    ), "equity_auction: still open"
    lot: uint256 = self._lot(sale.target, sale.floor)
    log AuctionEnded(collateral_type=collateral_type, returned=lot, unpaid=sale.target * units.RAY)
    sale.target = 0
    self._store_sale(collateral_type, sale)
    if SOURCE == empty(address):
        extcall EQUITY.release_mint(lot)
    else:
        self._return_lot_to_pool(lot)
    extcall LOSS_WATERFALL.release(collateral_type)


# -------------------------------------------------------------------- views


@external
@view
def pending_assets(loss: uint256) -> uint256:
    """
    @notice Return the losses in equity, sold at the current floor. Reverts without a price, when that is not
            known.
    @param loss [rad] Losses that will reach this stage.
    @return [wad] Equity, rounded up.
    """
    if loss == 0:
        return 0
    bottom: uint256 = self._compute_floor(staticcall PRICE_FEED.time_weighted(bounds.EQUITY_MARKET))
    assert bottom != 0, "equity_auction: no price"
    return units._div_up(loss, bottom)


@external
@view
def under_auction() -> uint256:
    """
    @notice Equity that is in auctions now and not sold.
    @return [wad] Of all types.
    """
    total: uint256 = 0
    types: DynArray[uint256, bounds.MAX_COLLATERAL_TYPES] = listed_types._ids(
        staticcall VAULT_ENGINE.listed()
    )
    for c: uint256 in types:
        sale: Sale = self._load_sale(c)
        if sale.target != 0:
            total += self._lot(sale.target, sale.floor)
    return total


@external
@view
def status(collateral_type: uint256) -> (bool, uint256, uint256, uint256):
    """
    @notice Return the state of an auction for takers.
    @param collateral_type [id] The collateral type.
    @return True if the auction is over: then takes revert.
    @return [ray] Stablecoin for 1e18 of equity.
    @return [wad] The lot: equity left.
    @return [rad] The target: stablecoin still to raise.
    """
    sale: Sale = self._load_auction(collateral_type)
    elapsed: uint256 = block.timestamp - sale.started_at
    price: uint256 = self._compute_price(sale, min(elapsed, DURATION))
    return elapsed > DURATION, price, self._lot(sale.target, sale.floor), sale.target * units.RAY


@external
@view
def auction_of(collateral_type: uint256) -> Auction:
    """
    @notice The record of a type's auction. Reverts if none runs.
    @param collateral_type [id] The collateral type.
    @return Top and floor are stablecoin for 1e18 of equity.
    """
    sale: Sale = self._load_auction(collateral_type)
    return Auction(
        lot=self._lot(sale.target, sale.floor),
        target=sale.target * units.RAY,
        started_at=sale.started_at,
        top=sale.top,
        floor=sale.floor,
    )


# ------------------------------------------------------------------ helpers


@internal
@pure
def _in_units(price: uint256) -> uint256:
    """@dev Ray, rounded up to the unit."""
    return unsafe_mul(units._div_up(price, PRICE_UNIT), PRICE_UNIT)


@internal
@view
def _compute_floor(average: uint256) -> uint256:
    """@dev The lowest price at an average, ray; 0 if there never was a price."""
    return self._in_units(unsafe_div(unsafe_mul(average, FLOOR), units.BASIS_POINTS))


@internal
@pure
def _lot(target: uint256, bottom: uint256) -> uint256:
    """@dev Equity that raises a target (92 bits of wei) at the floor, wad."""
    return units._div_up(unsafe_mul(target, units.RAY), bottom)


@internal
@view
def _compute_price(sale: Sale, elapsed: uint256) -> uint256:
    """@dev Ray, rounded up, some seconds (at most the duration) after the start."""
    fall: uint256 = unsafe_div(unsafe_mul(unsafe_sub(sale.top, sale.floor), elapsed), DURATION)
    return unsafe_sub(sale.top, fall)


@internal
def _return_lot_to_pool(amount: uint256):
    """@dev Return the rest of a lot to the pool that it was slashed from."""
    if amount != 0:
        extcall IERC20(EQUITY.address).approve(SOURCE, amount)
        extcall IEquityPool(SOURCE).restore(amount)


@internal
@view
def _load_auction(collateral_type: uint256) -> Sale:
    """@dev A running auction has a target above zero."""
    sale: Sale = self._load_sale(collateral_type)
    assert sale.target != 0, "equity_auction: no auction"
    return sale


@internal
@view
def _load_sale(collateral_type: uint256) -> Sale:
    word: uint256 = self.sales[collateral_type]
    return Sale(
        target=word & MASK_92,
        started_at=(word >> 92) & MASK_32,
        top=unsafe_mul((word >> 124) & MASK_66, PRICE_UNIT),
        floor=unsafe_mul(word >> 190, PRICE_UNIT),
    )


@internal
def _store_sale(collateral_type: uint256, sale: Sale):
    # A deficit is under 2**92 wei, a price under 2**112.
    self.sales[collateral_type] = (
        sale.target
        | (sale.started_at << 92)
        | (unsafe_div(sale.top, PRICE_UNIT) << 124)
        | (unsafe_div(sale.floor, PRICE_UNIT) << 190)
    )
