# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title RecoveryClaims
@license GNU Affero General Public License v3.0 only
@notice One fungible series of claims: whoever bore a loss as a member of the pool is owed it, and is
        repaid from income, pro rata and never above the loss. A claim can be converted to equity while
        it waits. When all is repaid a new generation starts: the old tokens are gone, the cash they are
        due stays.
@dev With N the tokens and D the stablecoin still owed to them:
     loss      tokens = ceil(x * N / D), x where there are none; N += tokens, D += x
     payment   D -= p, paid per token += floor(p * RAY / N)
     so a token is worth the same before and after, and at most one stablecoin in all: D <= N.
     Tokens count from the loss on, and are issued when the pool settles their owner; what was paid to
     them before is credited then.
     Coverage never waits for this contract, so `record` cannot revert: N <= 2**40 * D holds always (no
     payment may break it but the one that ends the generation; losses, rounded up, and conversions,
     rounded down, keep it), and a loss that would take D beyond 2**104 (20 trillion stablecoins) gives no
     claims. All that is paid to a token is at most RAY, but for less than RAY / N in each conversion:
     2**104 are not reached unless a whole series of a few wei is converted and lost again some 2**14
     times.
"""
from ethereum.ercs import IERC20

from contracts.interfaces import IEquity
from contracts.interfaces import IPriceFeed
from contracts.interfaces import IRecoveryClaims
from contracts.modules import bounds
from contracts.modules import shares as token
from contracts.modules import units

implements: IERC20
implements: IRecoveryClaims

initializes: token

exports: (
    token.name,
    token.symbol,
    token.decimals,
    token.totalSupply,
    token.balanceOf,
    token.allowance,
    token.approve,
    token.permit,
    token.nonces,
    token.DOMAIN_SEPARATOR,
    token.eip712Domain,
    token.generation,
)


event LossRecorded:
    generation: indexed(uint256)  # [generation]
    amount: uint256  # [wad]
    tokens: uint256  # [claims]


event Repaid:
    generation: indexed(uint256)  # [generation]
    payer: indexed(address)
    amount: uint256  # [wad]


event Credited:
    generation: indexed(uint256)  # [generation]
    owner: indexed(address)
    amount: uint256  # [wad]


event Collected:
    owner: indexed(address)
    amount: uint256  # [wad]


event Converted:
    owner: indexed(address)
    receiver: indexed(address)
    tokens: uint256  # [claims]
    equity: uint256  # [wad]


struct Series:
    tokens: uint256  # issued or not, 144 bits
    outstanding: uint256  # wad of stablecoin, 104 bits


MASK_144: constant(uint256) = 2**144 - 1
MAX_OUTSTANDING: constant(uint256) = 2**104 - 1
# The most tokens for each wei that is owed.
MAX_DILUTION: constant(uint256) = 2**40

POOL: public(immutable(address))
STABLECOIN: public(immutable(IERC20))
EQUITY: public(immutable(IEquity))
PRICE_FEED: public(immutable(IPriceFeed))
# Ray of stablecoin for 1e18 of equity, the least that it costs; 0 is no conversion.
CONVERSION_PRICE: public(immutable(uint256))

# Series
series: uint256
# generation -> ray
paid_per_token: public(HashMap[uint256, uint256])
# owner -> wad credited and not collected, of all generations
cash: public(HashMap[address, uint256])


@deploy
def __init__(
    token_name: String[25],
    token_symbol: String[5],
    stablecoin: address,
    pool: address,
    equity: address,
    price_feed: address,
    conversion_price: uint256,
):
    """
    @param token_name The token's name, also of its EIP-712 domain.
    @param token_symbol The token's symbol.
    @param stablecoin What claims are paid in.
    @param pool The pool whose members bear the losses.
    @param equity What claims can be converted to; this contract needs its MINTER role for that.
    @param price_feed Whose market EQUITY_MARKET is the price of equity.
    @param conversion_price [ray] Stablecoin for 1e18 of equity, the least that it costs; 0 for claims that
                            cannot be converted.
    """
    token.__init__(token_name, token_symbol)
    assert conversion_price <= bounds.MAX_PRICE, "recovery_claims: price bounds"
    POOL = pool
    STABLECOIN = IERC20(stablecoin)
    EQUITY = IEquity(equity)
    PRICE_FEED = IPriceFeed(price_feed)
    CONVERSION_PRICE = conversion_price


# --------------------------------------------------------------------- pool


@external
def record(amount: uint256) -> (uint256, uint256, uint256):
    """
    @notice Note a loss that the pool's members bore. Pool only.
    @param amount [wad] The loss.
    @return [generation] Of the claims.
    @return [claims] What it brings the members; 0 beyond the bound.
    @return [ray] Paid to each token of the generation so far: not theirs.
    """
    self._only_pool()
    series: Series = self._load()
    generation: uint256 = token._load().generation
    tokens: uint256 = 0
    if series.outstanding + amount <= MAX_OUTSTANDING:
        tokens = amount
        if series.tokens != 0:
            # 104 + 144 bits.
            tokens = units._div_up(amount * series.tokens, series.outstanding)
        self._store(Series(tokens=series.tokens + tokens, outstanding=series.outstanding + amount))
    log LossRecorded(generation=generation, amount=amount, tokens=tokens)
    return generation, tokens, self.paid_per_token[generation]


@external
def issue(owner: address, generation: uint256, tokens: uint256, paid: int256):
    """
    @notice Hand a member the tokens of losses recorded before. Pool only. Of a generation that is over
            nothing is left but cash.
    @param owner The member.
    @param generation [generation] Of the tokens.
    @param tokens [claims] Rounded down.
    @param paid [wad] What was paid to tokens of the generation before these were recorded, less what older
                generations still owe the member; rounded up.
    """
    self._only_pool()
    due: int256 = convert(tokens * self.paid_per_token[generation] // units.RAY, int256) - paid
    if due > 0:
        self._credit(generation, owner, convert(due, uint256))
    if tokens != 0 and generation == token._load().generation:
        self._settle(generation, owner)
        token._mint(generation, owner, tokens)


# ------------------------------------------------------------------- income


@external
def repay(amount: uint256) -> uint256:
    """
    @notice Pay the holders, pro rata. Anyone. Protects: never above the loss.
    @param amount [wad] The most to pay, pulled from the caller.
    @return [wad] Paid: at most what is owed, and a part leaves enough for tokens to have a price.
    """
    series: Series = self._load()
    used: uint256 = self._repayable(series, amount)
    if used == 0:
        return 0
    generation: uint256 = token._load().generation
    self.paid_per_token[generation] += used * units.RAY // series.tokens
    self._reduce(series, 0, used)
    log Repaid(generation=generation, payer=msg.sender, amount=used)
    assert extcall STABLECOIN.transferFrom(msg.sender, self, used), "recovery_claims: no payment"
    return used


@external
def collect(owner: address, generation: uint256) -> uint256:
    """
    @notice Send an owner the cash that tokens were paid. Anyone, for anyone.
    @param owner Who gets it.
    @param generation [generation] To be settled first; what others credited is paid too.
    @return [wad] Stablecoin sent, rounded down.
    """
    self._settle(generation, owner)
    amount: uint256 = self.cash[owner]
    assert amount != 0, "recovery_claims: no cash"
    self.cash[owner] = 0
    log Collected(owner=owner, amount=amount)
    assert extcall STABLECOIN.transfer(owner, amount), "recovery_claims: not paid"
    return amount


@external
def convert(tokens: uint256, receiver: address) -> uint256:
    """
    @notice Give up tokens for new equity. Holder, at a fresh price of equity; the equity counts under the cap
            of its epoch. Protects: no claim brings more equity than its face value buys at the market, so
            that nobody bears a loss to be given equity, and those who have equity pay for no claim.
    @param tokens [claims] Of the present generation.
    @param receiver Who gets the equity.
    @return [wad] Equity, rounded down.
    """
    assert CONVERSION_PRICE != 0, "recovery_claims: no conversion"
    generation: uint256 = token._load().generation
    self._settle(generation, msg.sender)
    token._burn(generation, msg.sender, tokens)
    series: Series = self._load()
    # Holders have at most all tokens: no division by zero.
    owed: uint256 = 0
    if tokens != 0:
        owed = series.outstanding * tokens // series.tokens
    price: uint256 = self._price()
    assert price != 0, "recovery_claims: no price"
    equity: uint256 = owed * units.RAY // price
    assert equity != 0, "recovery_claims: worth nothing"
    self._reduce(series, tokens, owed)
    log Converted(owner=msg.sender, receiver=receiver, tokens=tokens, equity=equity)
    extcall EQUITY.mint(receiver, equity)
    return equity


# ------------------------------------------------------------------- ERC-20


@external
def transfer(to: address, amount: uint256) -> bool:
    """
    @notice Move the caller's tokens; cash paid to them before stays the caller's. Owner.
    @param to Who gets the tokens; neither this contract nor nobody.
    @param amount [claims] Moved.
    @return Always true.
    """
    self._move(msg.sender, to, amount)
    return True


@external
def transferFrom(owner: address, to: address, amount: uint256) -> bool:
    """
    @notice Move tokens on an allowance; cash paid to them before stays the owner's. Spender.
    @param owner Whose tokens.
    @param to Who gets the tokens; neither this contract nor nobody.
    @param amount [claims] Moved.
    @return Always true.
    """
    token._spend_allowance(owner, msg.sender, amount)
    self._move(owner, to, amount)
    return True


# -------------------------------------------------------------------- views


@external
@view
def outstanding() -> uint256:
    """
    @notice What is still owed to all tokens.
    @return [wad] Stablecoin.
    """
    return self._load().outstanding


@external
@view
def tokens() -> uint256:
    """
    @notice Tokens of the present generation, issued or not.
    @return [claims] All that share what is owed.
    """
    return self._load().tokens


@external
@view
def repayable(most: uint256) -> uint256:
    """
    @notice What `repay` would use of an amount.
    @param most [wad] The most to pay.
    @return [wad] Stablecoin that would be taken.
    """
    return self._repayable(self._load(), most)


@external
@view
def cash_of(owner: address, generation: uint256) -> uint256:
    """
    @notice What `collect` would pay.
    @param owner Who would get it.
    @param generation [generation] To be settled first.
    @return [wad] Stablecoin, rounded down.
    """
    balance: token.Balance = token._balance(generation, owner)
    return (self.cash[owner] + balance.shares * (self.paid_per_token[generation] - balance.mark) // units.RAY)


@external
@view
def conversion_price() -> uint256:
    """
    @notice What equity costs in claims now: the highest of the set, current, next and time-weighted price.
    @return [ray] Stablecoin owed for 1e18 of equity; 0 is no conversion, or none without a fresh price.
    """
    if CONVERSION_PRICE == 0:
        return 0
    return self._price()


# ------------------------------------------------------------------ helpers


@internal
@view
def _only_pool():
    assert msg.sender == POOL, "recovery_claims: not pool"


@internal
def _move(owner: address, to: address, amount: uint256):
    token._check_receiver(to)
    generation: uint256 = token._load().generation
    self._settle(generation, owner)
    self._settle(generation, to)
    token._transfer(generation, owner, to, amount)


@internal
def _settle(generation: uint256, owner: address):
    """
    @dev Credit an owner with what was paid to the tokens held. The mark is what was paid to a token when
         that was last done.
    """
    paid: uint256 = self.paid_per_token[generation]
    balance: token.Balance = token._balance(generation, owner)
    if balance.mark == paid:
        return
    due: uint256 = balance.shares * (paid - balance.mark) // units.RAY
    if due != 0:
        self._credit(generation, owner, due)
    token._set_mark_of(generation, owner, paid)


@internal
def _credit(generation: uint256, owner: address, amount: uint256):
    self.cash[owner] += amount
    log Credited(generation=generation, owner=owner, amount=amount)


@internal
def _reduce(series: Series, tokens: uint256, owed: uint256):
    """
    @dev Take tokens and what is owed off the series; once nothing is owed the generation is over.
    """
    if owed == series.outstanding:
        self._store(empty(Series))
        token._new_generation()
    else:
        self._store(Series(tokens=series.tokens - tokens, outstanding=series.outstanding - owed))


@internal
@pure
def _repayable(series: Series, most: uint256) -> uint256:
    """
    @dev All that is owed, or a part that leaves a wei for each MAX_DILUTION tokens.
    """
    if most >= series.outstanding:
        return series.outstanding
    return min(most, series.outstanding - units._div_up(series.tokens, MAX_DILUTION))


@internal
@view
def _price() -> uint256:
    """@dev Ray for 1e18 of equity; 0 while nobody knows what it is worth."""
    highest: uint256 = 0
    average: uint256 = 0
    highest, average = staticcall PRICE_FEED.highest_and_average(bounds.EQUITY_MARKET)
    return 0 if highest == 0 else max(CONVERSION_PRICE, max(highest, average))


@internal
@view
def _load() -> Series:
    word: uint256 = self.series
    return Series(tokens=word & MASK_144, outstanding=word >> 144)


@internal
def _store(series: Series):
    self.series = series.tokens | (series.outstanding << 144)
