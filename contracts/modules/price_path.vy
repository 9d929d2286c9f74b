# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title price_path
@license GNU Affero General Public License v3.0 only
@notice Which way the prices of perpetual markets went, and what those who held positions gained by it. Each
        market keeps the last extreme of its price less funding, whether it is falling, and two sums that only
        rise: of the moves up and of the moves down. A move back counts once it has turned by a quarter of a
        lot's maintenance margin. What all longs gained of a move is what all shorts lost, exactly.
@dev Whole wei a lot. Packed by hand: one record is one slot, the first field at bit 0; signed fields in two's
     complement.
"""
from contracts.interfaces import IMarginPolicy
from contracts.modules import asking
from contracts.modules import bounds
from contracts.modules import units


event FundingSet:
    market: indexed(uint256)  # [id]
    index: int256  # [wei a lot] What a long has paid since the start.
    rate: int256  # [wei a lot] A second.


struct Path:
    price: uint256  # the mark, wei a lot; 0 is none yet, 96 bits
    extreme: int256  # of the mark less the index, wei a lot, 110 bits
    falling: bool  # 1 bit


struct Moves:
    up: uint256  # wei a lot, 128 bits
    down: uint256  # wei a lot, 128 bits


struct Sides:
    long: uint256  # wei, 128 bits
    short: uint256  # wei, 128 bits


struct Funding:
    level: int256  # the index, wei a lot, 128 bits
    rate: int256  # wei a lot and second, 96 bits
    updated: uint256  # seconds, 32 bits


struct Premium:
    total: int256  # lots x wei that trades were above the mark, 160 bits
    volume: uint256  # lots, 64 bits
    since: uint256  # seconds, 32 bits


struct Clock:
    cycle: uint256  # the open one, 32 bits
    rolled_at: uint256  # seconds, 32 bits
    booked_at: uint256  # when a loss of the pending cycle was booked last, seconds; 0 is not yet, 32 bits
    lossy: uint256  # how many final cycles had losses, 32 bits


# Funding is paid by the second; what it may be at most is said for a period.
PERIOD: constant(uint256) = 28_800
# A new rate follows from the trades of an interval.
INTERVAL: constant(uint256) = 3_600
MASK_32: constant(uint256) = 2**32 - 1
MASK_63: constant(uint256) = 2**63 - 1
MASK_64: constant(uint256) = 2**64 - 1
MASK_96: constant(uint256) = 2**96 - 1
MASK_128: constant(uint256) = 2**128 - 1
# [wei] What one side may gain in a cycle: products of two such, and sums over 16 sides times one, fit 256
# bits.
MAX_GAINS: constant(uint256) = 2**123 - 1

POLICY: public(immutable(IMarginPolicy))
# [seconds] The oldest report that makes a mark.
MARK_AGE: public(immutable(uint256))

# Clock
clock: uint256
# market -> Path
paths: HashMap[uint256, uint256]
# market -> Moves
moves: HashMap[uint256, uint256]
# market -> lots that are long
opened: HashMap[uint256, uint256]
# market -> cycle -> Sides: what they gained
totals: HashMap[uint256, HashMap[uint256, uint256]]
# market -> cycle -> the mark less the index when it began, wei a lot, 110 bits
levels: HashMap[uint256, HashMap[uint256, uint256]]
# market -> cycle -> Moves when it began
edges: HashMap[uint256, HashMap[uint256, uint256]]
# market -> Funding
fundings: HashMap[uint256, uint256]
# market -> Premium
premiums: HashMap[uint256, uint256]


@deploy
def __init__(margin_policy: address, mark_age: uint256):
    """
    @notice The first cycle is open.
    @param margin_policy Knows prices and margins.
    @param mark_age [seconds] The oldest report that makes a mark.
    """
    POLICY = IMarginPolicy(margin_policy)
    MARK_AGE = mark_age
    self._store_clock(Clock(cycle=1, rolled_at=block.timestamp, booked_at=0, lossy=0))


# ------------------------------------------------------------------- the path


@internal
def _mark(market: uint256) -> bool:
    """@dev Mark a market at the price of the last seconds, and say whether there is one."""
    price: uint256 = asking._number(
        POLICY.address,
        abi_encode(market, MARK_AGE, method_id=method_id("mark_price(uint256,uint256)")),
    )
    # A policy, or a feed, that fails is as one without a price.
    if price == 0 or price > bounds.MAX_LOT_PRICE:
        return False
    self._walk(market, price, False)
    return True


@internal
def _walk(market: uint256, price: uint256, final: bool):
    """@dev Go to a price: a new extreme counts, and so does a turn; anything between only if it is final."""
    path: Path = self._load_path(market)
    level: int256 = convert(price, int256) - self._index(market)
    if path.price == 0:
        self._store_path(market, Path(price=price, extreme=level, falling=False))
        return
    moved: uint256 = convert(abs(level - path.extreme), uint256)
    path.price = price
    if moved != 0:
        onward: bool = (level < path.extreme) == path.falling
        turns: bool = final
        if not onward and not final:
            # Nothing turns without a policy.
            needed: uint256 = asking._number(
                POLICY.address,
                abi_encode(market, price, method_id=method_id("maintenance(uint256,uint256)")),
            )
            turns = moved >= needed // (4 * units.BASIS_POINTS)
        if onward or turns:
            path.extreme = level
            path.falling = path.falling == onward
            self._count(market, path.falling, moved)
    self._store_path(market, path)


@internal
def _count(market: uint256, falling: bool, moved: uint256):
    """
    @dev Add a move to what one side gained. One that does not fit counts for nobody: the path never stops.
         Lots are under 2**63 and a move is under 2**111.
    """
    moves: Moves = self._load_moves(market)
    cycle: uint256 = self._cycle()
    totals: Sides = self._load_totals(market, cycle)
    gained: uint256 = unsafe_mul(self.opened[market], moved)
    if falling:
        moves.down = unsafe_add(moves.down, moved)
        totals.short = unsafe_add(totals.short, gained)
    else:
        moves.up = unsafe_add(moves.up, moved)
        totals.long = unsafe_add(totals.long, gained)
    if max(moves.up, moves.down) <= MASK_128 and max(totals.long, totals.short) <= MAX_GAINS:
        self.moves[market] = moves.up | (moves.down << 128)
        if gained != 0:
            self.totals[market][cycle] = totals.long | (totals.short << 128)


@internal
def _note_edge(market: uint256, cycle: uint256):
    """@dev Note where a cycle begins, at the last mark and the index of now."""
    price: uint256 = self._price(market)
    if price != 0:
        self._walk(market, price, False)
        self.levels[market][cycle] = self._bits(self._level(market), 110)
        self.edges[market][cycle] = self.moves[market]


@internal
def _set_opened(market: uint256, lots: uint256):
    assert lots <= MASK_63, "price_path: too much is open"
    self.opened[market] = lots


@internal
@view
def _price(market: uint256) -> uint256:
    """@dev The mark, wei a lot; 0 is none yet."""
    return self.paths[market] & MASK_96


@internal
@view
def _level(market: uint256) -> int256:
    """@dev The mark less the index of now, wei a lot."""
    return convert(self._price(market), int256) - self._index(market)


@internal
@view
def _level_at(market: uint256, cycle: uint256) -> int256:
    """@dev The same when a cycle began."""
    return self._signed(self.levels[market][cycle], 0, 110)


@internal
@view
def _cycle() -> uint256:
    """@dev The open one."""
    return self.clock & MASK_32


# -------------------------------------------------------------------- funding


@internal
@view
def _index(market: uint256) -> int256:
    """@dev The funding index of now, wei a lot."""
    funding: Funding = self._load_funding(market)
    return funding.level + funding.rate * convert(block.timestamp - funding.updated, int256)


@internal
def _accrue(market: uint256) -> int256:
    """
    @dev Bring the index up to now, and after an interval have the rate follow the premium of its trades.
         The premium is taken over all that is open, whatever was traded: no volume waters it down.
         The highest rate is a tenth of a price, under 2**89 wei, a period, and time has 32 bits: so the index
         stays under 2**107.
    @return The index, wei a lot.
    """
    funding: Funding = self._load_funding(market)
    funding.level = self._index(market)
    funding.updated = block.timestamp
    premium: Premium = self._load_premium(market)
    if block.timestamp >= premium.since + INTERVAL:
        weight: uint256 = max(self.opened[market], 1)
        rate: int256 = self._capped(market, premium.total // convert(weight, int256))
        funding.rate = rate // convert(PERIOD, int256)
        self._store_premium(market, Premium(total=0, volume=0, since=block.timestamp))
        log FundingSet(market=market, index=funding.level, rate=funding.rate)
    self._store_funding(market, funding)
    return funding.level


@internal
def _note_premium(market: uint256, lots: uint256, price: uint256) -> int256:
    """
    @dev A trade counts for the next rate, as far from the mark as a rate may go.
    @return How far that is, wei a lot.
    """
    mark: int256 = convert(self._price(market), int256)
    over: int256 = self._capped(market, convert(price, int256) - mark)
    premium: Premium = self._load_premium(market)
    taken: uint256 = min(lots, MASK_63 - min(premium.volume, MASK_63))
    premium.volume += taken
    premium.total += convert(taken, int256) * over
    self._store_premium(market, premium)
    return over


@internal
def _stop_funding(market: uint256):
    """@dev End all funding, at the index of now."""
    self._store_funding(market, Funding(level=self._index(market), rate=0, updated=block.timestamp))


@internal
@view
def _capped(market: uint256, premium: int256) -> int256:
    """@dev A premium, as far as funding may go; wei a lot."""
    price: uint256 = self._price(market)
    most: int256 = convert(staticcall POLICY.most_premium_at(market, price), int256)
    return max(-most, min(most, premium))


# -------------------------------------------------------------------- records


@internal
@pure
def _signed(word: uint256, at: uint256, width: uint256) -> int256:
    """@dev A signed field of a word."""
    high: uint256 = word << unsafe_sub(256, unsafe_add(at, width))
    return convert(convert(high, bytes32), int256) >> unsafe_sub(256, width)


@internal
@pure
def _bits(amount: int256, width: uint256) -> uint256:
    """@dev A signed value as a field of so many bits."""
    one: uint256 = 1
    most: int256 = convert(unsafe_sub(one << unsafe_sub(width, 1), 1), int256)
    assert amount >= -most and amount <= most, "price_path: beyond all figures"
    return convert(convert(amount, bytes32), uint256) & unsafe_sub(one << width, 1)


@internal
@view
def _load_clock() -> Clock:
    word: uint256 = self.clock
    return Clock(
        cycle=word & MASK_32,
        rolled_at=(word >> 32) & MASK_32,
        booked_at=(word >> 64) & MASK_32,
        lossy=word >> 96,
    )


@internal
def _store_clock(clock: Clock):
    self.clock = clock.cycle | (clock.rolled_at << 32) | (clock.booked_at << 64) | (clock.lossy << 96)


@internal
@view
def _load_path(market: uint256) -> Path:
    word: uint256 = self.paths[market]
    return Path(price=word & MASK_96, extreme=self._signed(word, 96, 110), falling=(word >> 206) != 0)


@internal
def _store_path(market: uint256, path: Path):
    self.paths[market] = (
        path.price | (self._bits(path.extreme, 110) << 96) | (convert(path.falling, uint256) << 206)
    )


@internal
@view
def _load_moves(market: uint256) -> Moves:
    return self._as_moves(self.moves[market])


@internal
@pure
def _as_moves(word: uint256) -> Moves:
    return Moves(up=word & MASK_128, down=word >> 128)


@internal
@view
def _load_totals(market: uint256, cycle: uint256) -> Sides:
    return self._as_sides(self.totals[market][cycle])


@internal
@pure
def _as_sides(word: uint256) -> Sides:
    return Sides(long=word & MASK_128, short=word >> 128)


@internal
@view
def _load_funding(market: uint256) -> Funding:
    word: uint256 = self.fundings[market]
    return Funding(level=self._signed(word, 0, 128), rate=self._signed(word, 128, 96), updated=word >> 224)


@internal
def _store_funding(market: uint256, funding: Funding):
    self.fundings[market] = (
        self._bits(funding.level, 128) | (self._bits(funding.rate, 96) << 128) | (funding.updated << 224)
    )


@internal
@view
def _load_premium(market: uint256) -> Premium:
    word: uint256 = self.premiums[market]
    return Premium(total=self._signed(word, 0, 160), volume=(word >> 160) & MASK_64, since=word >> 224)


@internal
def _store_premium(market: uint256, premium: Premium):
    self.premiums[market] = (
        self._bits(premium.total, 160) | (premium.volume << 160) | (premium.since << 224)
    )
