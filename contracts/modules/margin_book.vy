# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title margin_book
@license GNU Affero General Public License v3.0 only
@notice What accounts and perpetual markets hold, and what an account is worth. Sizes are whole lots, above
        zero for longs; prices whole wei of stablecoin for one lot; so a value is exact, and nothing here
        is rounded but a price, when it is read.
@dev Funding is an index, wei a lot, that longs pay and shorts get. A lot bought at a price P when the index
     is F moves P - F of cash, and one held at a price q is worth q - F now:

       equity = cash + sum of size*(q - F)

     So funding needs no entry of its own in a position and no touch of one. Each trade has two sides of
     the same value, so the sum of all cash never changes by a trade, and the sum of sizes is zero.
     Packed by hand: one record is one slot, the first field at bit 0; signed fields in two's complement.
"""
from contracts.interfaces import IMarginPolicy
from contracts.modules import bounds
from contracts.modules import units


event PositionChanged:
    account: indexed(address)
    market: indexed(uint256)
    size: int256
    cost: int256
    cash: int256


event GainCut:
    account: indexed(address)
    market: indexed(uint256)
    amount: uint256


event FundingSet:
    market: indexed(uint256)
    index: int256
    rate: int256


struct Account:
    cash: int256  # wei, 138 bits
    markets: uint256  # bit m: it holds a position in market m, 8 bits


struct Position:
    size: int256  # lots, 64 bits
    cost: int256  # wei that it was bought for, funding taken off; only ranks of gains use it, 138 bits


struct Funding:
    level: int256  # the index, wei a lot, 128 bits
    rate: int256  # wei a lot and second, 96 bits
    updated: uint256  # seconds, 32 bits


struct Interest:
    longs: uint256  # accounts, 32 bits
    shorts: uint256  # accounts, 32 bits
    open: uint256  # lots that are long, 64 bits
    unpaid: uint256  # wei that losers owe and nobody has paid, 128 bits


struct Premium:
    total: int256  # lots x wei that trades were above the price, 160 bits
    volume: uint256  # lots, 64 bits
    since: uint256  # seconds, 32 bits


struct Worth:
    equity: int256  # wei
    initial: uint256  # basis points x wei
    maintenance: uint256  # basis points x wei
    notional: uint256  # wei


# Funding is paid by the second; what it may be at most is said for a period.
PERIOD: constant(uint256) = 28_800
# A new rate follows from the trades of an interval.
INTERVAL: constant(uint256) = 3_600
# How prices are chosen.
LAST: constant(uint256) = 0  # the last one, fresh or not
RISK: constant(uint256) = 1  # the worse of the current and the next for whoever holds the position
LIQUIDATION: constant(uint256) = 2  # what liquidations start at
FROZEN: constant(uint256) = 3  # as they were when the market was frozen

MASK_16: constant(uint256) = 2**16 - 1
MASK_32: constant(uint256) = 2**32 - 1
MASK_63: constant(uint256) = 2**63 - 1
MASK_64: constant(uint256) = 2**64 - 1
MASK_96: constant(uint256) = 2**96 - 1
MASK_128: constant(uint256) = 2**128 - 1
MASK_160: constant(uint256) = 2**160 - 1

POLICY: public(immutable(IMarginPolicy))

# owner -> Account
accounts: HashMap[address, uint256]
# owner -> market -> Position
positions: HashMap[address, HashMap[uint256, uint256]]
# market -> Funding
fundings: HashMap[uint256, uint256]
# market -> Interest
interests: HashMap[uint256, uint256]
# market -> Premium
premiums: HashMap[uint256, uint256]
# market -> price (wei a lot, 96 bits) and index (128 bits) when a market was frozen
frozen_prices: HashMap[uint256, uint256]


@deploy
def __init__(margin_policy: address):
    """
    @param margin_policy Knows prices and margins.
    """
    POLICY = IMarginPolicy(margin_policy)


# ------------------------------------------------------------------- values


@internal
@view
def _worth(owner: address, account: Account, kind: uint256) -> Worth:
    """
    @dev What an account is worth, and the margin that its positions need, at prices of a kind. A price that
         is missing fails all but the last known and the frozen ones.
    """
    found: Worth = empty(Worth)
    found.equity = account.cash
    for market: uint256 in range(bounds.MAX_MARGIN_MARKETS):
        if (account.markets >> market) & 1 == 0:
            continue
        size: int256 = self._load_position(owner, market).size
        if kind == FROZEN:
            price: int256 = 0
            index: int256 = 0
            price, index = self._frozen(market)
            found.equity += size * (price - index)
            found.notional += convert(abs(size) * price, uint256)
            continue
        needs: IMarginPolicy.Needs = staticcall POLICY.needs(
            market, size, kind, self._load_interest(market).open
        )
        found.equity += size * (convert(needs.price, int256) - self._index(market))
        found.notional += needs.notional
        found.initial += needs.initial
        found.maintenance += needs.maintenance
    return found


@internal
@view
def _index(market: uint256) -> int256:
    """@dev The funding index of now, wei a lot."""
    funding: Funding = self._load_funding(market)
    return funding.level + funding.rate * convert(block.timestamp - funding.updated, int256)


@internal
@view
def _price(market: uint256, kind: uint256) -> int256:
    """@dev The last price, or the one that liquidations start at, wei a lot."""
    return convert(staticcall POLICY.price_of(market, kind, True), int256)


@internal
@view
def _frozen(market: uint256) -> (int256, int256):
    """@dev Price and index when a market was frozen, wei a lot."""
    word: uint256 = self.frozen_prices[market]
    return convert(word & MASK_96, int256), self._signed(word, 96, 128)


# ------------------------------------------------------------------- changes


@internal
def _trade(owner: address, market: uint256, delta: int256, at: int256) -> int256:
    """
    @dev Buy (or sell) lots at a price less the index. Cash moves by exactly delta*at.
    @return The gain that lots realised which left the position, wei; its cost is cut toward zero.
    """
    account: Account = self._load_account(owner)
    position: Position = self._load_position(owner, market)
    interest: Interest = self._load_interest(market)
    old: int256 = position.size
    size: int256 = old + delta
    assert abs(size) <= convert(MASK_63, int256), "margin_book: too many lots"
    account.cash -= delta * at
    gain: int256 = 0
    if old != 0 and (old > 0) != (delta > 0):
        rest: int256 = size
        if (size > 0) != (old > 0):
            rest = 0
        kept: int256 = position.cost * rest // old
        gain = (old - rest) * at - (position.cost - kept)
        position.cost = kept + (size - rest) * at
    else:
        position.cost += delta * at
    position.size = size

    interest.open = interest.open + self._long(size) - self._long(old)
    if old > 0:
        interest.longs -= 1
    elif old < 0:
        interest.shorts -= 1
    if size > 0:
        interest.longs += 1
    elif size < 0:
        interest.shorts += 1
    account.markets = account.markets & ~(1 << market)
    if size != 0:
        account.markets |= 1 << market
    self._store_position(owner, market, position)
    self._store_interest(market, interest)
    self._store_account(owner, account)
    log PositionChanged(account=owner, market=market, size=size, cost=position.cost, cash=account.cash)
    return gain


@internal
def _cut(owner: address, market: uint256, gain: uint256):
    """@dev Have a realised gain repay the market's unpaid losses, by the market's share of it."""
    interest: Interest = self._load_interest(market)
    if interest.unpaid != 0:
        share: uint256 = staticcall POLICY.haircut(market)
        amount: uint256 = min(interest.unpaid, gain * share // units.BASIS_POINTS)
        interest.unpaid -= amount
        self._store_interest(market, interest)
        self._credit(owner, -convert(amount, int256))
        log GainCut(account=owner, market=market, amount=amount)


@internal
def _add_cost(owner: address, market: uint256, amount: uint256):
    """@dev What a gain has paid is no gain any more."""
    position: Position = self._load_position(owner, market)
    if position.size != 0:
        position.cost += convert(amount, int256)
        self._store_position(owner, market, position)


@internal
def _credit(owner: address, amount: int256):
    """@dev Change an account's cash, wei."""
    account: Account = self._load_account(owner)
    account.cash += amount
    self._store_account(owner, account)


@internal
def _accrue(market: uint256) -> int256:
    """
    @dev Bring the index up to now, and after an interval have the rate follow the premium of its trades.
         The premium is taken over all that is open, whatever was traded: no volume waters it down.
         The highest rate is a tenth of a price, under 2**89 wei, a period, and time has 32 bits: so the index
         stays under 2**107.
    @return The index.
    """
    funding: Funding = self._load_funding(market)
    funding.level = self._index(market)
    funding.updated = block.timestamp
    premium: Premium = self._load_premium(market)
    if block.timestamp >= premium.since + INTERVAL:
        weight: uint256 = max(self._load_interest(market).open, 1)
        rate: int256 = self._capped(market, premium.total // convert(weight, int256))
        funding.rate = rate // convert(PERIOD, int256)
        self._store_premium(market, Premium(total=0, volume=0, since=block.timestamp))
        log FundingSet(market=market, index=funding.level, rate=funding.rate)
    self._store_funding(market, funding)
    return funding.level


@internal
def _note_premium(market: uint256, lots: uint256, price: int256) -> int256:
    """
    @dev A trade counts for the next rate, as far from the feed's price as a rate may go.
    @return How far that is, wei a lot.
    """
    over: int256 = self._capped(market, price - self._price(market, LAST))
    premium: Premium = self._load_premium(market)
    taken: uint256 = min(lots, MASK_63 - min(premium.volume, MASK_63))
    premium.volume += taken
    premium.total += convert(taken, int256) * over
    self._store_premium(market, premium)
    return over


@internal
def _freeze_prices():
    """@dev Keep all prices and indices as they are now."""
    for market: uint256 in range(staticcall POLICY.markets(), bound=bounds.MAX_MARGIN_MARKETS):
        price: uint256 = staticcall POLICY.price_of(market, LAST, True)
        self.frozen_prices[market] = price | (self._bits(self._index(market), 128) << 96)


# ------------------------------------------------------------------- records


@internal
@view
def _capped(market: uint256, premium: int256) -> int256:
    """@dev A premium, as far as funding may go; wei a lot."""
    most: int256 = convert(staticcall POLICY.most_premium(market), int256)
    return max(-most, min(most, premium))


@internal
@pure
def _long(size: int256) -> uint256:
    return convert(max(size, 0), uint256)


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
    assert amount >= -most and amount <= most, "margin_book: beyond all figures"
    return convert(convert(amount, bytes32), uint256) & unsafe_sub(one << width, 1)


@internal
@view
def _load_account(owner: address) -> Account:
    word: uint256 = self.accounts[owner]
    return Account(cash=self._signed(word, 0, 138), markets=word >> 138)


@internal
def _store_account(owner: address, account: Account):
    self.accounts[owner] = self._bits(account.cash, 138) | (account.markets << 138)


@internal
@view
def _load_position(owner: address, market: uint256) -> Position:
    word: uint256 = self.positions[owner][market]
    return Position(size=self._signed(word, 0, 64), cost=self._signed(word, 64, 138))


@internal
def _store_position(owner: address, market: uint256, position: Position):
    self.positions[owner][market] = self._bits(position.size, 64) | (self._bits(position.cost, 138) << 64)


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
def _load_interest(market: uint256) -> Interest:
    word: uint256 = self.interests[market]
    return Interest(
        longs=word & MASK_32,
        shorts=(word >> 32) & MASK_32,
        open=(word >> 64) & MASK_64,
        unpaid=word >> 128,
    )


@internal
def _store_interest(market: uint256, interest: Interest):
    assert interest.open <= MASK_63, "margin_book: too much is open"
    assert (
        (interest.longs | interest.shorts) >> 32 == 0 and interest.unpaid <= MASK_128
    ), "margin_book: beyond all counts"
    self.interests[market] = (
        interest.longs | (interest.shorts << 32) | (interest.open << 64) | (interest.unpaid << 128)
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
