# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title price_path
@license GNU Affero General Public License v3.0 only
@notice The path of the prices of perpetual markets, and the gains of positions by it. Each market keeps the
        last extreme of its price less funding, whether it is falling, and two sums that only rise: of the
        moves up and of the moves down. A move back counts once it has turned by a quarter of a lot's
        maintenance margin. Lots that were taken from insolvent accounts are unassigned: they gain and lose
        nothing. So one side may have fewer lots than the other. It moves as the mark does; the other moves,
        all of its lots together, by just as much.
@dev Whole wei a lot. Packed by hand: one record is one slot, the first field at bit 0; signed fields in two's
     complement.
"""
from contracts.interfaces import IMarginPolicy
from contracts.interfaces import IPerpetualMarket
from contracts.modules import policy_calls
from contracts.modules import bounds
from contracts.modules import revert_reason
from contracts.modules import units


event FundingSet:
    market: indexed(uint256)  # [id]
    index: int256  # [wei a lot] What a long has paid since the start.
    rate: int256  # [wei a lot] A second.


struct Path:
    price: uint256  # the mark, wei a lot; 0 is none yet, 96 bits
    extreme: int256  # of the mark less the index, wei a lot, 110 bits
    falling: bool  # 1 bit


struct Funding:
    level: int256  # the index, wei a lot, 128 bits
    rate: int256  # wei a lot and second, 96 bits
    updated: uint256  # seconds, 32 bits


struct Premium:
    total: int256  # lots x wei that trades were above the mark, 160 bits
    volume: uint256  # lots, 64 bits
    since: uint256  # seconds, 32 bits


# Funding is paid by the second; what it may be at most is said for a period.
PERIOD: constant(uint256) = 28_800
# A new rate follows from the trades of an interval.
INTERVAL: constant(uint256) = 3_600
MASK_32: constant(uint256) = 2**32 - 1
MASK_63: constant(uint256) = 2**63 - 1
MASK_64: constant(uint256) = 2**64 - 1
MASK_96: constant(uint256) = 2**96 - 1
MASK_128: constant(uint256) = 2**128 - 1
# [wei] What one side may gain in a cycle. So both sides of a loss fit 118 bits, products of two such and sums
# over 16 sides times one fit 256.
MAX_GAINS: constant(uint256) = 2**117 - 1
# [wei] What a lot may be worth, either way: 110 bits with the sign.
MAX_VALUE: constant(int256) = 2**109 - 1
# Where the markets that have ended are in the clock.
ENDED: constant(uint256) = 128
# Sides, as they are counted.
LONG: constant(uint256) = 0
SHORT: constant(uint256) = 1

POLICY: public(immutable(IMarginPolicy))
# [seconds] The oldest report that makes a mark.
MARK_AGE: public(immutable(uint256))

# Clock
clock: uint256
# market -> Path
paths: HashMap[uint256, uint256]
# market -> side -> what a lot of it gained, and lost, since the start; wei, 128 bits each
moves: HashMap[uint256, HashMap[uint256, uint256]]
# market -> SideTotals: lots that accounts are long, and short
lots: HashMap[uint256, uint256]
# market -> Values, at the mark and the index that are stored
values: HashMap[uint256, uint256]
# market -> cycle -> SideTotals: what they gained
totals: HashMap[uint256, HashMap[uint256, uint256]]
# market -> cycle -> Values when it began
levels: HashMap[uint256, HashMap[uint256, uint256]]
# market -> cycle -> side -> the same when it began
edges: HashMap[uint256, HashMap[uint256, HashMap[uint256, uint256]]]
# market -> Funding
fundings: HashMap[uint256, uint256]
# market -> Premium
premiums: HashMap[uint256, uint256]
# Haircuts that were taken less what was given for losses, and what roundings left, wei, 138 bits
pot: uint256


@deploy
def __init__(margin_policy: address, mark_age: uint256):
    """
    @notice The first cycle is open.
    @param margin_policy Knows prices and margins.
    @param mark_age [seconds] The oldest report that makes a mark.
    """
    POLICY = IMarginPolicy(margin_policy)
    MARK_AGE = mark_age
    self._store_clock(
        IPerpetualMarket.Clock(cycle=1, rolled_at=block.timestamp, booked_at=0, lossy=0, ended=0)
    )


# ------------------------------------------------------------------- the path


@internal
def _move_market_to_policy_mark(market: uint256) -> IMarginPolicy.Mark:
    """@dev Mark a market at the price of the last seconds; that and its range, or zeros without one."""
    answer: Bytes[96] = policy_calls._answer_unless_failing(
        POLICY.address,
        abi_encode(market, MARK_AGE, method_id=method_id("mark_price(uint256,uint256)")),
    )
    # A policy, or a feed, that fails is as one without a price.
    if len(answer) != 96:
        return empty(IMarginPolicy.Mark)
    mark: IMarginPolicy.Mark = abi_decode(answer, IMarginPolicy.Mark)
    if (
        mark.price == 0
        or mark.low > mark.price
        or mark.price > mark.high
        or mark.high > 16 * bounds.MAX_LOT_PRICE
        or mark.price > bounds.MAX_LOT_PRICE
    ):
        return empty(IMarginPolicy.Mark)
    self._move_market_to_price(market, mark.price, False)
    return mark


@internal
@pure
def _better(mark: IMarginPolicy.Mark, size: int256) -> uint256:
    """@dev By how much more so many lots were worth at the end of the range that is better for them, wei."""
    off: uint256 = mark.high - mark.price if size > 0 else mark.price - mark.low
    return convert(abs(size), uint256) * off


@internal
def _move_market_to_price(market: uint256, price: uint256, final: bool):
    """
    @dev Bring the index, the mark, the path and the values of a market up to now, at a price: the stored
         values always belong together. On the path a new extreme counts, and so does a turn; anything between
         only if it is final, and then all funding ends. A first mark moves nothing: there are no positions
         yet.
    """
    path: Path = self._load_path(market)
    funding: Funding = self._load_funding(market)
    if price == path.price and funding.updated == block.timestamp and not final:
        return
    due: int256 = self._compute_funding_index_change(funding)
    values: uint256 = 0
    left: uint256 = 0
    values, left = self._move_lot_values(market, convert(price, int256) - convert(path.price, int256) - due)
    self.values[market] = values
    if left != 0:
        self._change_pot(convert(left, int256))
    funding.level += due
    funding.updated = block.timestamp
    if final:
        funding.rate = 0
    self._store_funding(market, funding)
    level: int256 = convert(price, int256) - funding.level
    moved: uint256 = convert(abs(level - path.extreme), uint256)
    path.price = price
    if moved != 0:
        onward: bool = (level < path.extreme) == path.falling
        turns: bool = final
        if not onward and not final:
            # Nothing turns without a policy.
            needed: uint256 = policy_calls._ask_number(
                POLICY.address,
                abi_encode(market, price, method_id=method_id("maintenance(uint256,uint256)")),
            )
            turns = moved >= needed // (4 * units.BASIS_POINTS)
        if onward or turns:
            path.extreme = level
            path.falling = path.falling == onward
            self._count_move(market, convert(path.falling, uint256), moved)
    self._store_path(market, path)


@internal
@view
def _split_move_between_sides(
    market: uint256, winner: uint256, moved: uint256
) -> (uint256, uint256, uint256):
    """
    @dev Share a move: the side with fewer lots has all of it, the other's lots together as much. Lots are
         under 2**63 and a move is under 2**109.
    @return The gain of a lot on the winning side, rounded down, wei.
    @return The gain of all lots on the winning side, wei.
    @return How many lots lose as much.
    """
    winners: uint256 = self._lots(market, winner)
    losers: uint256 = self._lots(market, 1 - winner)
    if winners == 0 or losers == 0:
        return 0, 0, 1
    gain: uint256 = unsafe_div(unsafe_mul(moved, min(winners, losers)), winners)
    return gain, unsafe_mul(winners, gain), losers


@internal
@view
def _move_lot_values(market: uint256, moved: int256) -> (uint256, uint256):
    """
    @dev Let a mark less the index move the worth of lots. A loss is rounded up. A move that does not fit
         counts for no account.
    @return Values.
    @return The remainder of the rounding, wei.
    """
    values: uint256 = self.values[market]
    if moved == 0:
        return values, 0
    winner: uint256 = self._side(moved)
    gain: uint256 = 0
    gained: uint256 = 0
    losers: uint256 = 0
    gain, gained, losers = self._split_move_between_sides(market, winner, convert(abs(moved), uint256))
    loss: uint256 = unsafe_div(unsafe_add(gained, unsafe_sub(losers, 1)), losers)
    way: int256 = unsafe_sub(1, unsafe_mul(2, convert(winner, int256)))
    at: uint256 = unsafe_mul(110, winner)
    other: uint256 = unsafe_sub(110, at)
    won: int256 = unsafe_add(self._check_signed(values, at, 110), unsafe_mul(way, convert(gain, int256)))
    lost: int256 = unsafe_add(self._check_signed(values, other, 110), unsafe_mul(way, convert(loss, int256)))
    if max(abs(won), abs(lost)) > MAX_VALUE:
        return values, 0
    return (self._bits(won, 110) << at) | (self._bits(lost, 110) << other), unsafe_mul(loss, losers) - gained


@internal
def _count_move(market: uint256, winner: uint256, moved: uint256):
    """
    @dev Add a move to the gain of a lot of one side and the loss of one of the other, rounded down: all
         losses are no more than all gains. One that does not fit counts for no account: the path never stops.
    """
    gain: uint256 = 0
    gained: uint256 = 0
    losers: uint256 = 0
    gain, gained, losers = self._split_move_between_sides(market, winner, moved)
    loser: uint256 = unsafe_sub(1, winner)
    cycle: uint256 = self._cycle()
    loss: uint256 = unsafe_div(gained, losers)
    won: uint256 = self.moves[market][winner]
    lost: uint256 = self.moves[market][loser]
    total: uint256 = self.totals[market][cycle]
    if (
        max(unsafe_add(won & MASK_128, gain), unsafe_add(lost >> 128, loss)) <= MASK_128
        and unsafe_add(self._part(total, winner), gained) <= MAX_GAINS
    ):
        self.moves[market][winner] = unsafe_add(won, gain)
        self.moves[market][loser] = unsafe_add(lost, loss << 128)
        self.totals[market][cycle] = unsafe_add(total, gained << unsafe_mul(128, winner))


@internal
def _end_market_at_price(market: uint256, price: uint256):
    """@dev Have a market make its last move, to its final price: it and its funding stand still from now on.
    """
    self._move_market_to_price(market, price, True)
    self.clock |= 1 << (ENDED + market)


@internal
@view
def _has_ended(market: uint256) -> bool:
    return (self.clock >> ENDED) >> market & 1 == 1


@internal
def _record_cycle_start(market: uint256, cycle: uint256):
    """
    @dev Note where a cycle begins, at the last mark and the current index; of a market that has ended only as
         long as an account has a position in it, or has gained there in the cycle before.
    """
    if self._has_ended(market) and (self.lots[market] | self.totals[market][cycle - 1]) == 0:
        return
    self._move_market_to_price(market, self._price(market), False)
    self.levels[market][cycle] = self.values[market]
    for side: uint256 in range(2):
        self.edges[market][cycle][side] = self.moves[market][side]


@internal
@view
def _get_cycle_gains(market: uint256, cycle: uint256, side: uint256) -> uint256:
    """@dev The gain of a lot of a side in a cycle that is over, wei."""
    # The first of two fields.
    return unsafe_sub(self.edges[market][cycle + 1][side], self.edges[market][cycle][side]) & MASK_128


@internal
def _update_open_lots(market: uint256, old: int256, size: int256):
    """@dev Have a position change in a market that is up to date: its old size has had all moves till now."""
    lots: uint256 = unsafe_sub(self.lots[market], self._as_lots(old))
    self.lots[market] = unsafe_add(lots, self._as_lots(size))
    if self._get_open_lots(market) > MASK_63:
        revert_reason._raise("price_path: too much is open")


@internal
@pure
def _as_lots(size: int256) -> uint256:
    """@dev A position as SideTotals: its lots, at its side."""
    return convert(abs(size), uint256) << unsafe_mul(128, self._side(size))


@internal
@view
def _get_open_lots(market: uint256) -> uint256:
    """
    @dev Lots that are open: of the side that has more. The shortfall of the other was taken from insolvent
         accounts.
    """
    lots: uint256 = self.lots[market]
    return max(lots & MASK_128, lots >> 128)


@internal
@view
def _price(market: uint256) -> uint256:
    """@dev The mark, wei a lot; 0 is none yet."""
    return self.paths[market] & MASK_96


@internal
@view
def _compute_worth(market: uint256, size: int256) -> int256:
    """@dev The value of so many lots at the last mark and the index of now, wei."""
    return self._worth_at(
        self._move_lot_values(market, -self._compute_funding_index_change(self._load_funding(market)))[0],
        size,
    )


@internal
@pure
def _worth_at(values: uint256, size: int256) -> int256:
    """@dev The value of so many lots, wei; under zero for the debt of a short."""
    return size * self._check_signed(values, unsafe_mul(110, self._side(size)), 110)


@internal
@pure
def _side(size: int256) -> uint256:
    """@dev Of a position."""
    return convert(size < 0, uint256)


@internal
@view
def _cycle() -> uint256:
    """@dev The open one."""
    return self.clock & MASK_32


# -------------------------------------------------------------------- funding


@internal
@view
def _compute_funding_index_change(funding: Funding) -> int256:
    """@dev The move of the index until now, wei a lot."""
    return funding.rate * convert(block.timestamp - funding.updated, int256)


@internal
def _update_market_funding_rate(market: uint256):
    """
    @dev Bring a market up to now at its mark, and after an interval have the rate follow the premium of its
         trades. The premium is taken over all open lots, for any volume: no volume waters it down. The
         highest rate is a tenth of a price, under 2**89 wei, a period, and time has 32 bits: so the index
         stays under 2**107.
    """
    self._move_market_to_price(market, self._price(market), False)
    premium: Premium = self._load_premium(market)
    if block.timestamp >= premium.since + INTERVAL:
        funding: Funding = self._load_funding(market)
        weight: uint256 = max(self._get_open_lots(market), 1)
        rate: int256 = self._cap_premium(market, premium.total // convert(weight, int256))
        funding.rate = rate // convert(PERIOD, int256)
        self._store_funding(market, funding)
        self._store_premium(market, Premium(total=0, volume=0, since=block.timestamp))
        log FundingSet(market=market, index=funding.level, rate=funding.rate)


@internal
def _note_premium(market: uint256, lots: uint256, price: uint256):
    """@dev A trade counts for the next rate, as far from the mark as a rate may go."""
    mark: int256 = convert(self._price(market), int256)
    over: int256 = self._cap_premium(market, convert(price, int256) - mark)
    premium: Premium = self._load_premium(market)
    taken: uint256 = min(lots, MASK_63 - min(premium.volume, MASK_63))
    premium.volume += taken
    premium.total += convert(taken, int256) * over
    self._store_premium(market, premium)


@internal
@view
def _cap_premium(market: uint256, premium: int256) -> int256:
    """@dev A premium, as far as funding may go; wei a lot."""
    price: uint256 = self._price(market)
    most: int256 = convert(staticcall POLICY.max_funding_premium(market, price), int256)
    return max(-most, min(most, premium))


# -------------------------------------------------------------------- records


@internal
@pure
def _check_signed(word: uint256, at: uint256, width: uint256) -> int256:
    """@dev A signed field of a word."""
    high: uint256 = word << unsafe_sub(256, unsafe_add(at, width))
    return convert(convert(high, bytes32), int256) >> unsafe_sub(256, width)


@internal
@pure
def _bits(amount: int256, width: uint256) -> uint256:
    """@dev A signed value as a field of so many bits."""
    one: uint256 = 1
    most: int256 = convert(unsafe_sub(one << unsafe_sub(width, 1), 1), int256)
    if amount < -most or amount > most:
        revert_reason._raise("price_path: beyond all figures")
    return convert(convert(amount, bytes32), uint256) & unsafe_sub(one << width, 1)


@internal
@view
def _load_clock() -> IPerpetualMarket.Clock:
    word: uint256 = self.clock
    return IPerpetualMarket.Clock(
        cycle=word & MASK_32,
        rolled_at=(word >> 32) & MASK_32,
        booked_at=(word >> 64) & MASK_32,
        lossy=(word >> 96) & MASK_32,
        ended=word >> ENDED,
    )


@internal
def _store_clock(clock: IPerpetualMarket.Clock):
    self.clock = (
        clock.cycle
        | (clock.rolled_at << 32)
        | (clock.booked_at << 64)
        | (clock.lossy << 96)
        | (clock.ended << ENDED)
    )


@internal
@view
def _pending_time() -> uint256:
    """@dev [seconds] How long the pending cycle has been that."""
    return unsafe_sub(block.timestamp, (self.clock >> 32) & MASK_32)


@internal
def _note_booking():
    """@dev A loss of the pending cycle is booked now."""
    self.clock = (self.clock & ~(MASK_32 << 64)) | (block.timestamp << 64)


@internal
@view
def _load_path(market: uint256) -> Path:
    word: uint256 = self.paths[market]
    return Path(price=word & MASK_96, extreme=self._check_signed(word, 96, 110), falling=(word >> 206) != 0)


@internal
def _store_path(market: uint256, path: Path):
    self.paths[market] = (
        path.price | (self._bits(path.extreme, 110) << 96) | (convert(path.falling, uint256) << 206)
    )


@internal
@view
def _lots(market: uint256, side: uint256) -> uint256:
    return self._part(self.lots[market], side)


@internal
@pure
def _part(word: uint256, side: uint256) -> uint256:
    """@dev A side's of a word with two."""
    return (word >> unsafe_mul(128, side)) & MASK_128


@internal
def _change_pot(amount: int256):
    self.pot = self._bits(self._check_signed(self.pot, 0, 138) + amount, 138)


@internal
@pure
def _as_sides(word: uint256) -> IPerpetualMarket.SideTotals:
    return IPerpetualMarket.SideTotals(long=word & MASK_128, short=word >> 128)


@internal
@pure
def _both(word: uint256) -> uint256:
    """@dev The sum of two sides."""
    return unsafe_add(word & MASK_128, word >> 128)


@internal
@view
def _load_funding(market: uint256) -> Funding:
    word: uint256 = self.fundings[market]
    return Funding(
        level=self._check_signed(word, 0, 128), rate=self._check_signed(word, 128, 96), updated=word >> 224
    )


@internal
def _store_funding(market: uint256, funding: Funding):
    self.fundings[market] = (
        self._bits(funding.level, 128) | (self._bits(funding.rate, 96) << 128) | (funding.updated << 224)
    )


@internal
@view
def _load_premium(market: uint256) -> Premium:
    word: uint256 = self.premiums[market]
    return Premium(total=self._check_signed(word, 0, 160), volume=(word >> 160) & MASK_64, since=word >> 224)


@internal
def _store_premium(market: uint256, premium: Premium):
    self.premiums[market] = (
        self._bits(premium.total, 160) | (premium.volume << 160) | (premium.since << 224)
    )
