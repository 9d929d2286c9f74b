# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title RecoveryClaims
@license GNU Affero General Public License v3.0 only
@notice One fungible series of claims: each member of the pool that bore a loss is owed it, and is repaid from
        income, pro rata and never above the loss. A claim can be converted to equity while it waits. When all
        is repaid a new generation starts: the old tokens are gone, the cash they are due stays.
@dev With N the tokens and D the stablecoin still owed to them:
     loss      tokens = ceil(x * N / D), x where there are none; N += tokens, D += x
     payment   D -= p, paid per token += floor(p * RAY / N)
     so a token is worth the same before and after, and at most one stablecoin in all: D <= N.
     Tokens count from the loss on, and are issued when the pool settles their owner; payments to them before
     that are credited then. Each loss is a checkpoint of the claims of one share of the pool up to then.
     Coverage never waits for this contract, so `record` cannot revert: N <= 2**40 * D holds always (no
     payment may break it but the one that ends the generation; losses, rounded up, and conversions, rounded
     down, keep it), and a loss that would take D beyond 2**104 (20 trillion stablecoins) gives no claims. All
     that is paid to a token is at most RAY, but for less than RAY / N in each conversion: 2**104 are not
     reached unless a whole series of a few wei is converted and lost again some 2**14 times.
"""
from ethereum.ercs import IERC20

from contracts.interfaces import IEquity
from contracts.interfaces import IPriceFeed
from contracts.interfaces import IRecoveryClaims
from contracts.modules import bounds
from contracts.modules import denominations
from contracts.modules import series_token as token
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


struct Checkpoint:
    tokens: uint256  # claims that one share got, ray, 224 bits
    series: uint256  # the generation of the claims, 32 bits


MASK_144: constant(uint256) = 2**144 - 1
MASK_224: constant(uint256) = 2**224 - 1
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
# generation of shares -> checkpoint -> Checkpoint. One share gets at most
# amount * 2**40 * RAY / VIRTUAL_SHARES < 2**207 in a loss: there is room for 2**17 such losses in one series.
checkpoints: HashMap[uint256, HashMap[uint256, uint256]]
# generation of shares -> checkpoint -> what was paid to the claims of one share before it got them, less what
# is still due for series that are over; ray
paid_before: HashMap[uint256, HashMap[uint256, int256]]
# generation of shares -> its last checkpoint
marks: HashMap[uint256, uint256]
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
    @param stablecoin The token that claims are paid in.
    @param pool The pool with the members that bear the losses.
    @param equity The token that claims can be converted to; this contract needs its MINTER role for that.
    @param price_feed Its market EQUITY_MARKET is the price of equity.
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
def record(generation: uint256, shares: uint256, amount: uint256) -> uint256:
    """
    @notice Record a loss that the pool's shares bore, the virtual shares included. Pool only. Each checkpoint
            holds the claims of one share in its generation up to then.
    @param generation [generation] Of the shares.
    @param shares [shares] That bore it alike, VIRTUAL_SHARES among them, and others.
    @param amount [wad] The loss.
    @return [count] The last checkpoint of the generation: a new one, unless nothing was due for a share.
    """
    self._only_pool()
    mark: uint256 = self.marks[generation]
    members: uint256 = shares - denominations.VIRTUAL_SHARES
    series: Series = self._load()
    present: uint256 = token._load().generation
    lost: uint256 = units._mul_div(amount, members, shares)
    tokens: uint256 = 0
    if series.outstanding + lost <= MAX_OUTSTANDING:
        tokens = lost
        if series.tokens != 0:
            # 104 + 144 bits.
            tokens = units._div_up(lost * series.tokens, series.outstanding)
        self._store(Series(tokens=series.tokens + tokens, outstanding=series.outstanding + lost))
    log LossRecorded(generation=present, amount=lost, tokens=tokens)
    added: uint256 = units._mul_div(tokens, units.RAY, members)
    if added == 0:
        return mark
    before: uint256 = 0
    paid_before: int256 = 0
    before, paid_before = self._move_checkpoint_to_series(generation, mark, present, False)
    mark += 1
    self.marks[generation] = mark
    self.checkpoints[generation][mark] = (before + added) | (present << 224)
    self.paid_before[generation][mark] = paid_before + convert(
        units._ray_mul(added, self.paid_per_token[present], True), int256
    )
    return mark


@external
def issue(owner: address, shares: uint256, generation: uint256, mark: uint256, end: uint256, last: uint256):
    """
    @notice Hand a member the claims for losses that shares bore, from a checkpoint to a later one. Pool only.
            Where that is of a later generation the shares were divided on the way, until none was left. Of a
            series of claims that is over nothing is left but cash.
    @param owner The member.
    @param shares [shares] Of the first generation.
    @param generation [generation] The first one.
    @param mark [count] The checkpoint of it up to which the member has had its claims.
    @param end [generation] The last one.
    @param last [count] The checkpoint of it up to which the member gets them.
    """
    self._only_pool()
    owned: uint256 = shares
    start: uint256 = mark
    for k: uint256 in range(generation, generation + denominations.VOID, bound=denominations.VOID):
        if owned == 0:
            break
        self._issue_claims(owner, owned, k, start, last if k == end else self.marks[k])
        if k == end:
            break
        start = 0
        owned = unsafe_div(owned, denominations.STEP)


# ------------------------------------------------------------------- income


@external
def repay(amount: uint256) -> uint256:
    """
    @notice Pay the holders, pro rata. Anyone. Protects: never above the loss.
    @param amount [wad] The most to pay, pulled from the caller.
    @return [wad] Paid: at most the amount owed, and a part leaves enough for tokens to have a price.
    """
    series: Series = self._load()
    used: uint256 = self._compute_repayable(series, amount)
    if used == 0:
        return 0
    generation: uint256 = token._load().generation
    self.paid_per_token[generation] += used * units.RAY // series.tokens
    self._reduce_series(series, 0, used)
    log Repaid(generation=generation, payer=msg.sender, amount=used)
    assert extcall STABLECOIN.transferFrom(msg.sender, self, used), "recovery_claims: no payment"
    return used


@external
def collect(owner: address, generation: uint256) -> uint256:
    """
    @notice Send an owner the cash that tokens were paid. Anyone, for anyone.
    @param owner Receiver of the cash.
    @param generation [generation] The generation to settle first; payments that others credited are paid too.
    @return [wad] Stablecoin sent, rounded down.
    """
    self._settle_owner(generation, owner)
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
            of its epoch. Protects: no claim yields more equity than its face value buys at the market. So no
            member bears a loss to be given equity, and holders of equity pay for no claim.
    @param tokens [claims] Of the present generation.
    @param receiver Receiver of the equity.
    @return [wad] Equity, rounded down.
    """
    assert CONVERSION_PRICE != 0, "recovery_claims: no conversion"
    generation: uint256 = token._load().generation
    self._settle_owner(generation, msg.sender)
    token._burn_tokens(generation, msg.sender, tokens)
    series: Series = self._load()
    # Holders have at most all tokens: no division by zero.
    owed: uint256 = 0
    if tokens != 0:
        owed = series.outstanding * tokens // series.tokens
    price: uint256 = self._get_equity_price()
    assert price != 0, "recovery_claims: no price"
    equity: uint256 = owed * units.RAY // price
    assert equity != 0, "recovery_claims: worth nothing"
    self._reduce_series(series, tokens, owed)
    log Converted(owner=msg.sender, receiver=receiver, tokens=tokens, equity=equity)
    extcall EQUITY.mint(receiver, equity)
    return equity


# ------------------------------------------------------------------- ERC-20


@external
def transfer(to: address, amount: uint256) -> bool:
    """
    @notice Move the caller's tokens; cash paid to them before stays the caller's. Owner.
    @param to Receiver of the tokens; neither this contract nor the zero address.
    @param amount [claims] Moved.
    @return Always true.
    """
    self._move(msg.sender, to, amount)
    return True


@external
def transferFrom(owner: address, to: address, amount: uint256) -> bool:
    """
    @notice Move tokens on an allowance; cash paid to them before stays the owner's. Spender.
    @param owner Owner of the tokens.
    @param to Receiver of the tokens; neither this contract nor the zero address.
    @param amount [claims] Moved.
    @return Always true.
    """
    token.permits._spend_allowance(owner, msg.sender, amount)
    self._move(owner, to, amount)
    return True


# -------------------------------------------------------------------- views


@external
@view
def outstanding() -> uint256:
    """
    @notice Return the amount still owed to all tokens.
    @return [wad] Stablecoin.
    """
    return self._load().outstanding


@external
@view
def tokens() -> uint256:
    """
    @notice Tokens of the present generation, issued or not.
    @return [claims] All tokens that share the amount owed.
    """
    return self._load().tokens


@external
@view
def repayable(most: uint256) -> uint256:
    """
    @notice Return the part of an amount that `repay` would use.
    @param most [wad] The most to pay.
    @return [wad] Stablecoin that would be taken.
    """
    return self._compute_repayable(self._load(), most)


@external
@view
def cash_of(owner: address, generation: uint256) -> uint256:
    """
    @notice Return the amount that `collect` would pay.
    @param owner Owner of the cash.
    @param generation [generation] To be settled first.
    @return [wad] Stablecoin, rounded down.
    """
    balance: token.Balance = token._balance(generation, owner)
    return (self.cash[owner] + balance.shares * (self.paid_per_token[generation] - balance.mark) // units.RAY)


@external
@view
def conversion_price() -> uint256:
    """
    @notice Return the price of equity in claims now: the highest of the set, current, next and time-weighted
            price.
    @return [ray] Stablecoin owed for 1e18 of equity; 0 is no conversion, or none without a fresh price.
    """
    if CONVERSION_PRICE == 0:
        return 0
    return self._get_equity_price()


# ------------------------------------------------------------------ helpers


@internal
@view
def _only_pool():
    assert msg.sender == POOL, "recovery_claims: not pool"


@internal
def _issue_claims(owner: address, shares: uint256, generation: uint256, mark: uint256, last: uint256):
    """
    @dev Hand a member the claims of shares, from a checkpoint to a later one of their generation. Tokens are
         rounded down; the payments to them before they were recorded, less the debt of older series to the
         member, are rounded up.
    """
    if mark == last:
        return
    tokens: uint256 = 0
    paid: int256 = 0
    end: Checkpoint = self._load_checkpoint(generation, last)
    tokens, paid = self._move_checkpoint_to_series(generation, mark, end.series, True)
    # What an owner had was a part of what each loss was shared by: the product is under 2**235.
    tokens = units._mul_div(shares, end.tokens - tokens, units.RAY)
    paid = self.paid_before[generation][last] - paid
    if paid > 0:
        paid = convert(units._ray_mul(shares, convert(paid, uint256), True), int256)
    else:
        paid = -convert(units._ray_mul(shares, convert(-paid, uint256), False), int256)
    due: int256 = convert(tokens * self.paid_per_token[end.series] // units.RAY, int256) - paid
    if due > 0:
        self._credit_owner_cash(end.series, owner, convert(due, uint256))
    if tokens != 0 and end.series == token._load().generation:
        self._settle_owner(end.series, owner)
        token._mint_tokens(end.series, owner, tokens)


@internal
@view
def _move_checkpoint_to_series(
    generation: uint256, mark: uint256, series: uint256, up: bool
) -> (uint256, int256):
    """
    @dev A checkpoint as a series of claims sees it: tokens of an older one are gone, and all payments to them
         are due.
    """
    checkpoint: Checkpoint = self._load_checkpoint(generation, mark)
    paid: int256 = self.paid_before[generation][mark]
    if checkpoint.series == series or checkpoint.tokens == 0:
        return checkpoint.tokens, paid
    due: uint256 = units._ray_mul(checkpoint.tokens, self.paid_per_token[checkpoint.series], up)
    return 0, paid - convert(due, int256)


@internal
@view
def _load_checkpoint(generation: uint256, mark: uint256) -> Checkpoint:
    word: uint256 = self.checkpoints[generation][mark]
    return Checkpoint(tokens=word & MASK_224, series=word >> 224)


@internal
def _move(owner: address, to: address, amount: uint256):
    token._check_receiver(to)
    generation: uint256 = token._load().generation
    self._settle_owner(generation, owner)
    self._settle_owner(generation, to)
    token._transfer_tokens(generation, owner, to, amount)


@internal
def _settle_owner(generation: uint256, owner: address):
    """
    @dev Credit an owner with the payments to the tokens held. The mark is the total payment to a token at the
         last credit.
    """
    paid: uint256 = self.paid_per_token[generation]
    balance: token.Balance = token._balance(generation, owner)
    if balance.mark == paid:
        return
    due: uint256 = balance.shares * (paid - balance.mark) // units.RAY
    if due != 0:
        self._credit_owner_cash(generation, owner, due)
    token._set_mark(generation, owner, paid)


@internal
def _credit_owner_cash(generation: uint256, owner: address, amount: uint256):
    self.cash[owner] += amount
    log Credited(generation=generation, owner=owner, amount=amount)


@internal
def _reduce_series(series: Series, tokens: uint256, owed: uint256):
    """
    @dev Take tokens and the amount owed off the series; once nothing is owed the generation is over.
    """
    if owed == series.outstanding:
        self._store(empty(Series))
        token._new_generation()
    else:
        self._store(Series(tokens=series.tokens - tokens, outstanding=series.outstanding - owed))


@internal
@pure
def _compute_repayable(series: Series, most: uint256) -> uint256:
    """
    @dev All that is owed, or a part that leaves a wei for each MAX_DILUTION tokens.
    """
    if most >= series.outstanding:
        return series.outstanding
    return min(most, series.outstanding - units._div_up(series.tokens, MAX_DILUTION))


@internal
@view
def _get_equity_price() -> uint256:
    """@dev Price of equity, ray for 1e18; 0 while the feed has no price."""
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
