# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title MarginMarket
@license GNU Affero General Public License v3.0 only
@notice Perpetual markets in the stablecoin, at the prices of the feed, with one margin for all positions of
        an account. Positions are made by matching two signed orders, so in each market longs and shorts are
        of the same size. What one account gains another loses, to the wei. Losses that an account cannot
        bear are borne, in this order, by unvested profits that were withdrawn and by insurance (the fund),
        by the gains on the other side (the deleverager), by the protocol's waterfall within the market's
        line, and then by gains as they are realised.
@dev The books balance to the wei: cash of all accounts + fees == held + unpaid losses of all markets.
     Stablecoin that nobody booked changes nothing. Deposits, and trades that only reduce, need no mode
     and no fresh price.
"""
from ethereum.ercs import IERC20

from contracts.interfaces import IDomain
from contracts.interfaces import IMarginDeleverager
from contracts.interfaces import IMarginFund
from contracts.interfaces import IMarginMarket
from contracts.interfaces import IMarginPolicy
from contracts.interfaces import IRiskPolicy
from contracts.interfaces import IVaultEngine
from contracts.modules import bounds
from contracts.modules import margin_book
from contracts.modules import units

implements: IMarginMarket

initializes: margin_book

exports: margin_book.POLICY


event Deposited:
    owner: indexed(address)
    payer: indexed(address)
    amount: uint256


event Withdrawn:
    owner: indexed(address)
    receiver: indexed(address)
    amount: uint256
    profit: uint256


event Liquidated:
    owner: indexed(address)
    liquidator: indexed(address)
    market: indexed(uint256)
    lots: uint256
    price: uint256
    reward: uint256
    fee: uint256


event LossCovered:
    owner: indexed(address)
    loss: uint256
    paid: uint256


event LossLeft:
    owner: indexed(address)
    market: indexed(uint256)
    amount: uint256


event ShortfallPosted:
    market: indexed(uint256)
    amount: uint256


event ClosingBegun:
    at: uint256


event ClosedOut:
    long: indexed(address)
    short: indexed(address)
    market: indexed(uint256)
    lots: uint256


struct Freeze:
    market: uint256  # 8 bits
    until: uint256  # seconds; after it no market is frozen, 32 bits


MASK_8: constant(uint256) = 2**8 - 1
EMERGENCY: constant(uint256) = 2

VAULT_ENGINE: public(immutable(IVaultEngine))
# The zero address if there is none: then there are no modes.
RISK_POLICY: public(immutable(address))
STABLECOIN: public(immutable(IERC20))
MARGIN_ORDERS: public(immutable(address))
FUND: public(immutable(IMarginFund))
DELEVERAGER: public(immutable(IMarginDeleverager))
# Bears what nobody else does, within its line; the zero address if there is none.
DOMAIN: public(immutable(address))
# Basis points of a liquidator's reward that are insurance.
FEE_SHARE: public(immutable(uint256))
# Seconds that a market stays frozen at most.
FREEZE_TIME: public(immutable(uint256))

# Stablecoin that accounts brought in or the fund paid, wad.
held: public(uint256)
# Of it, fees that the fund has not collected, wad.
fees: public(uint256)
# owner -> deposits less what was withdrawn of them, wad: what is withdrawn beyond it is profit
paid_in: public(HashMap[address, uint256])
# Freeze
frozen: uint256
# When the prices became final, in settlement, seconds; 0: they are not.
closing_since: public(uint256)


@deploy
def __init__(
    vault_engine: address,
    margin_policy: address,
    risk_policy: address,
    stablecoin: address,
    margin_orders: address,
    fund: address,
    deleverager: address,
    domain: address,
    fee_share: uint256,
    freeze_time: uint256,
):
    """
    @notice The wiring is final.
    @param fee_share Basis points.
    @param freeze_time Seconds.
    """
    margin_book.__init__(margin_policy)
    assert fee_share <= units.BASIS_POINTS, "margin_market: fee bounds"
    assert (
        freeze_time >= bounds.MIN_FREEZE and freeze_time <= bounds.MAX_FREEZE
    ), "margin_market: freeze bounds"
    VAULT_ENGINE = IVaultEngine(vault_engine)
    RISK_POLICY = risk_policy
    STABLECOIN = IERC20(stablecoin)
    MARGIN_ORDERS = margin_orders
    FUND = IMarginFund(fund)
    DELEVERAGER = IMarginDeleverager(deleverager)
    DOMAIN = domain
    FEE_SHARE = fee_share
    FREEZE_TIME = freeze_time


# --------------------------------------------------------------------- cash


@external
@nonreentrant
def deposit(owner: address, amount: uint256):
    """
    @notice Pay into an account. Anyone, with the caller's stablecoin, on an allowance. Protects: nothing
            stops it, no mode, no price, no freeze.
    @param amount Stablecoin in wad.
    """
    self._remember(owner)
    margin_book._credit(owner, convert(amount, int256))
    self.paid_in[owner] += amount
    self.held += amount
    log Deposited(owner=owner, payer=msg.sender, amount=amount)
    extcall STABLECOIN.transferFrom(msg.sender, self, amount)


@external
@nonreentrant
def withdraw(amount: uint256, receiver: address):
    """
    @notice Take cash out of the caller's account. What goes beyond its deposits is profit, which the fund
            holds until it has vested. An account with positions has to meet its initial margin after, at
            the worse of the current and the next price, in no emergency; not while one of its markets is
            frozen or has unpaid losses. Protects: no margin leaves that positions need, no gain that a freeze
            may ask for, whoever has closed its position in it, and profits that turn out to be somebody's
            unpaid loss come back.
    @param amount Stablecoin in wad.
    @param receiver Who gets it, less the profit. Once all is closed in settlement, what nobody has paid for
                    losses is missing in every withdrawal alike, rounded down.
    """
    account: margin_book.Account = margin_book._load_account(msg.sender)
    account.cash -= convert(amount, int256)
    margin_book._store_account(msg.sender, account)
    paid: uint256 = amount
    if account.markets == 0:
        assert account.cash >= 0, "margin_market: more than it has"
        if self.closing_since != 0:
            paid = self._final_share(amount)
    else:
        freeze: Freeze = self._freeze()
        for market: uint256 in range(bounds.MAX_MARGIN_MARKETS):
            if (account.markets >> market) & 1 == 1:
                assert not self._is_frozen(freeze, market), "margin_market: withdrawals wait"
                unpaid: uint256 = margin_book._load_interest(market).unpaid
                assert unpaid == 0, "margin_market: unpaid losses"
        self._check_mode()
        self._check_initial(msg.sender, account)
    self._check_reserved(msg.sender)
    assert paid <= self._free(), "margin_market: not held"
    own: uint256 = min(paid, self.paid_in[msg.sender])
    profit: uint256 = paid - own
    self.paid_in[msg.sender] -= own
    self.held -= paid
    log Withdrawn(owner=msg.sender, receiver=receiver, amount=amount, profit=profit)
    if own != 0:
        extcall STABLECOIN.transfer(receiver, own)
    if profit != 0:
        extcall STABLECOIN.transfer(FUND.address, profit)
        extcall FUND.lock(receiver, profit)


@external
@nonreentrant
def sweep():
    """
    @notice Hand fees over to the fund. Permissionless.
    """
    self._sweep()


# ------------------------------------------------------------------- trades


@external
@nonreentrant
def trade(
    market: uint256,
    maker: address,
    taker: address,
    delta: int256,
    price: uint256,
    maker_reduces: bool,
    taker_reduces: bool,
):
    """
    @notice Book a trade that both accounts have signed. Margin orders only. Protects: what is open stays
            zero-sum; an account takes new risk only with its initial margin, at the worse of the current
            and the next price, in no emergency, within the market's limit; one that only reduces needs no
            more than to stay solvent, and to be no further below its maintenance margin than before. Whoever
            had a better price than the feed's pays what that moves the funding of an hour by.
    @param delta Lots that the maker buys (above zero) or sells.
    @param price Wei a lot.
    @param maker_reduces Whether the maker's order may only reduce.
    """
    assert msg.sender == MARGIN_ORDERS, "margin_market: not orders"
    assert self.closing_since == 0, "margin_market: prices are final"
    assert market < staticcall margin_book.POLICY.markets(), "margin_market: unknown market"
    assert price != 0 and price <= bounds.MAX_LOT_PRICE, "margin_market: price bounds"
    at: int256 = convert(price, int256)
    assert (
        block.timestamp > self._freeze().until or margin_book.frozen_prices[market] != 0
    ), "margin_market: listing waits"
    self._remember(maker)
    self._remember(taker)
    value: int256 = at - margin_book._accrue(market)
    over: int256 = margin_book._note_premium(market, convert(abs(delta), uint256), at)
    open: uint256 = margin_book._load_interest(market).open
    self._trade(maker, market, delta, value)
    self._trade(taker, market, -delta, value)
    if over != 0:
        better: address = maker
        if (over > 0) == (delta > 0):
            better = taker
        self._charge(better, convert(abs(delta * over), uint256))
    limit: uint256 = staticcall margin_book.POLICY.open_limit(market)
    assert margin_book._load_interest(market).open <= max(open, limit), "margin_market: open limit"
    self._check_side(maker, market, delta, at, maker_reduces)
    self._check_side(taker, market, -delta, at, taker_reduces)


@external
def accrue(market: uint256):
    """
    @notice Bring a market's funding up to now. Permissionless.
    """
    assert market < staticcall margin_book.POLICY.markets(), "margin_market: no such market"
    margin_book._accrue(market)


# -------------------------------------------------------------- liquidation


@external
@nonreentrant
def liquidate(owner: address, market: uint256, lots: uint256) -> uint256:
    """
    @notice Take over lots of an account that is under its maintenance margin, into the caller's own account,
            at the market's price less a reward:

                min(equity, shortage*discount) * maintenance margin relieved / maintenance margin

            Permissionless. Protects: a solvent account above its maintenance margin is never touched; no
            more is taken than brings it back to its initial margin, but dust; its equity never falls faster
            than its maintenance margin, so no account is left worse; the caller needs initial margin for
            what it takes over.
    @param lots How many, above zero.
    @return The reward, stablecoin in wad, rounded down; a share of it is the fund's.
    """
    assert owner != msg.sender, "margin_market: own account"
    assert self.closing_since == 0, "margin_market: is closing"
    assert not self._is_frozen(self._freeze(), market), "margin_market: market is frozen"
    account: margin_book.Account = margin_book._load_account(owner)
    size: int256 = margin_book._load_position(owner, market).size
    whole: uint256 = convert(abs(size), uint256)
    assert lots != 0 and lots <= whole, "margin_market: not so many lots"
    worth: margin_book.Worth = margin_book._worth(owner, account, margin_book.LIQUIDATION)
    assert worth.equity >= 0, "margin_market: bankrupt account"
    assert (
        convert(worth.equity, uint256) * units.BASIS_POINTS < worth.maintenance
    ), "margin_market: safe account"

    index: int256 = margin_book._accrue(market)
    price: int256 = margin_book._price(market, margin_book.LIQUIDATION)
    reward: uint256 = staticcall margin_book.POLICY.reward(
        IMarginPolicy.Takeover(
            market=market,
            whole=whole,
            lots=lots,
            price=convert(price, uint256),
            equity=convert(worth.equity, uint256),
            initial=worth.initial,
            maintenance=worth.maintenance,
        )
    )
    fee: uint256 = reward * FEE_SHARE // units.BASIS_POINTS

    delta: int256 = convert(lots, int256)
    if size > 0:
        delta = -delta
    self._remember(owner)
    self._remember(msg.sender)
    margin_book._trade(owner, market, delta, price - index)
    margin_book._trade(msg.sender, market, -delta, price - index)
    margin_book._credit(owner, -convert(reward, int256))
    margin_book._credit(msg.sender, convert(reward - fee, int256))
    self.fees += fee
    if self._reduces(msg.sender, market, -delta):
        self._check_reduced(msg.sender, market, -delta, price)
    else:
        self._check_initial(msg.sender, margin_book._load_account(msg.sender))
    self._check_reserved(owner)
    self._check_reserved(msg.sender)
    log Liquidated(
        owner=owner,
        liquidator=msg.sender,
        market=market,
        lots=lots,
        price=convert(price, uint256),
        reward=reward,
        fee=fee,
    )
    return reward


# ------------------------------------------------------------- deleveraging


@external
@nonreentrant
def freeze(owner: address, market: uint256) -> IMarginMarket.Insolvency:
    """
    @notice Have the fund pay for an insolvent account, and if it cannot pay all, freeze one of its markets
            for the deleverager: prices and standings stay as they are now. Deleverager only. Protects:
            only an insolvent account's counterparties are deleveraged, and only for what is still missing.
    @return The position's lots and its part of the loss that is left (by notional, rounded up); no lots if
            the fund has paid all.
    """
    self._only_deleverager()
    assert self.closing_since == 0, "margin_market: closes already"
    assert block.timestamp > self._freeze().until, "margin_market: frozen already"
    account: margin_book.Account = margin_book._load_account(owner)
    worth: margin_book.Worth = margin_book._worth(owner, account, margin_book.LIQUIDATION)
    assert worth.equity < 0, "margin_market: solvent account"
    size: int256 = margin_book._load_position(owner, market).size
    assert size != 0, "margin_market: no position"
    loss: uint256 = convert(-worth.equity, uint256)
    self._sweep()
    paid: uint256 = extcall FUND.absorb(loss)
    self.held += paid
    margin_book._credit(owner, convert(paid, int256))
    log LossCovered(owner=owner, loss=loss, paid=paid)
    if paid == loss:
        return empty(IMarginMarket.Insolvency)

    margin_book._accrue(market)
    margin_book._freeze_prices()
    price: int256 = margin_book._price(market, margin_book.LIQUIDATION)
    notional: uint256 = convert(abs(size) * price, uint256)
    loss = units._div_up((loss - paid) * notional, worth.notional)
    self._store_freeze(Freeze(market=market, until=block.timestamp + FREEZE_TIME))
    interest: margin_book.Interest = margin_book._load_interest(market)
    others: uint256 = interest.longs
    if size > 0:
        others = interest.shorts
    return IMarginMarket.Insolvency(
        lots=convert(abs(size), uint256),
        long=size > 0,
        loss=loss,
        others=others,
        until=block.timestamp + FREEZE_TIME,
    )


@external
@nonreentrant
def deleverage(owner: address, winner: address, lots: uint256, payment: uint256) -> (uint256, uint256):
    """
    @notice Close lots of an insolvent position against a winner's at the frozen price, and have the winner
            pay for the loss. Deleverager only, while the market is frozen. Protects: a winner pays no more
            than it has, and no more than is still missing.
    @param lots At most; no more than both still have.
    @param payment At most, wad.
    @return Lots closed, and what was paid, wad.
    """
    self._only_deleverager()
    freeze: Freeze = self._freeze()
    assert block.timestamp <= freeze.until, "margin_market: freeze is over"
    market: uint256 = freeze.market
    held: int256 = margin_book._load_position(owner, market).size
    against: int256 = margin_book._load_position(winner, market).size
    closed: int256 = 0
    # Either may have reduced meanwhile.
    if (against < 0 and held > 0) or (against > 0 and held < 0):
        closed = min(convert(lots, int256), min(abs(held), abs(against)))
    price: int256 = 0
    index: int256 = 0
    price, index = margin_book._frozen(market)
    if closed != 0:
        delta: int256 = closed
        if held > 0:
            delta = -closed
        margin_book._trade(owner, market, delta, price - index)
        margin_book._trade(winner, market, -delta, price - index)
    paid: uint256 = convert(
        max(
            0,
            min(
                convert(payment, int256), min(-self._frozen_of(owner).equity, self._frozen_of(winner).equity)
            ),
        ),
        uint256,
    )
    margin_book._credit(owner, convert(paid, int256))
    margin_book._credit(winner, -convert(paid, int256))
    margin_book._add_cost(winner, market, paid)
    return convert(closed, uint256), paid


@external
@nonreentrant
def finish(owner: address, unpaid: uint256):
    """
    @notice End a freeze: what no gain could pay is the market's unpaid loss. Deleverager only.
    @param unpaid Wad; no more than is still missing.
    """
    self._only_deleverager()
    freeze: Freeze = self._freeze()
    left: uint256 = convert(max(0, min(convert(unpaid, int256), -self._frozen_of(owner).equity)), uint256)
    margin_book._credit(owner, convert(left, int256))
    interest: margin_book.Interest = margin_book._load_interest(freeze.market)
    interest.unpaid += left
    margin_book._store_interest(freeze.market, interest)
    freeze.until = 0
    self._store_freeze(freeze)
    log LossLeft(owner=owner, market=freeze.market, amount=left)


@external
@nonreentrant
def post_shortfall(market: uint256) -> uint256:
    """
    @notice Have the protocol bear a market's unpaid loss, as far as the line of the market's domain allows:
            it becomes a deficit of the domain's type, for the stages of the waterfall. Permissionless.
            While the mode stops new debt, it waits.
    @return Wad that were posted.
    """
    interest: margin_book.Interest = margin_book._load_interest(market)
    assert interest.unpaid != 0 and DOMAIN != empty(address), "margin_market: nothing to post"
    posted: uint256 = extcall IDomain(DOMAIN).lose(interest.unpaid, self)
    interest.unpaid -= posted
    margin_book._store_interest(market, interest)
    self.held += posted
    log ShortfallPosted(market=market, amount=posted)
    return posted


# --------------------------------------------------------------- settlement


@external
@nonreentrant
def begin_close():
    """
    @notice In settlement of the protocol, make the last prices final. Permissionless, once, and not while a
            market is frozen. From then on nobody trades, liquidates or deleverages: positions are closed out,
            and what an account is worth then is cash.
    """
    assert staticcall VAULT_ENGINE.in_settlement(), "margin_market: no settlement"
    assert self.closing_since == 0, "margin_market: closes once"
    assert block.timestamp > self._freeze().until, "margin_market: freeze first"
    margin_book._freeze_prices()
    self.closing_since = block.timestamp
    log ClosingBegun(at=block.timestamp)


@external
@nonreentrant
def close_out(long: address, short: address, market: uint256, lots: uint256):
    """
    @notice Close lots of a long against those of a short, at the final price. Permissionless: there are as
            many of one as of the other, so that every position can be closed. Protects: in whatever order and
            with whomever, an account ends with the same cash; one that owes more than it has ends with
            nothing, and what is missing is unpaid, for all to bear alike.
    """
    assert self.closing_since != 0, "margin_market: not closing"
    price: int256 = 0
    index: int256 = 0
    price, index = margin_book._frozen(market)
    delta: int256 = convert(lots, int256)
    assert (
        margin_book._load_position(long, market).size >= delta
        and margin_book._load_position(short, market).size <= -delta
    ), "margin_market: not that many"
    margin_book._trade(long, market, -delta, price - index)
    margin_book._trade(short, market, delta, price - index)
    self._leave_unpaid(long, market)
    self._leave_unpaid(short, market)
    log ClosedOut(long=long, short=short, market=market, lots=lots)


# -------------------------------------------------------------------- views


@external
@view
def frozen_of(owner: address) -> IMarginMarket.Frozen:
    """
    @notice An account and its position in the frozen market, as they are, at frozen prices.
    """
    return self._frozen_of(owner)


@external
@view
def worth_of(owner: address, kind: uint256) -> margin_book.Worth:
    """
    @notice What an account is worth, and the margin that it needs.
    @param kind Of prices: 0 the last ones, 1 for new risk, 2 for liquidations, 3 frozen.
    """
    return margin_book._worth(owner, margin_book._load_account(owner), kind)


@external
@view
def account_of(owner: address) -> margin_book.Account:
    """
    @notice Cash in wad, markets by bits, and the floor of nonces.
    """
    return margin_book._load_account(owner)


@external
@view
def position_of(owner: address, market: uint256) -> margin_book.Position:
    """
    @notice Size in lots, and cost in wad.
    """
    return margin_book._load_position(owner, market)


@external
@view
def interest_of(market: uint256) -> margin_book.Interest:
    """
    @notice Who is in a market, what is open, and what is unpaid.
    """
    return margin_book._load_interest(market)


@external
@view
def funding_of(market: uint256) -> margin_book.Funding:
    """
    @notice A market's index and rate, as of the last change.
    """
    return margin_book._load_funding(market)


@external
@view
def premium_of(market: uint256) -> margin_book.Premium:
    """
    @notice What the next rate follows from.
    """
    return margin_book._load_premium(market)


@external
@view
def freeze_of() -> Freeze:
    """
    @notice The last freeze; it is over once its time is.
    """
    return self._freeze()


# ------------------------------------------------------------------ helpers


@internal
def _trade(owner: address, market: uint256, delta: int256, at: int256):
    """@dev A side of a trade; a gain that it realises repays the market's unpaid losses."""
    gain: int256 = margin_book._trade(owner, market, delta, at)
    if gain > 0:
        margin_book._cut(owner, market, convert(gain, uint256))


@internal
def _charge(owner: address, premium: uint256):
    """
    @dev The fee for a premium, lots x wei: at least what the premium has one side pay the other in an
         interval. So nobody who trades with himself gains by funding.
    """
    fee: uint256 = units._div_up(premium * margin_book.INTERVAL, margin_book.PERIOD)
    margin_book._credit(owner, -convert(fee, int256))
    self.fees += fee


@internal
@view
def _check_side(owner: address, market: uint256, delta: int256, price: int256, only_reduce: bool):
    """@dev Whether an account may do what it has just done."""
    if self._reduces(owner, market, delta):
        self._check_reduced(owner, market, delta, price)
    else:
        assert not only_reduce, "margin_market: would not reduce"
        assert not self._is_frozen(self._freeze(), market), "margin_market: only reduce now"
        self._check_mode()
        self._check_initial(owner, margin_book._load_account(owner))
    self._check_reserved(owner)


@internal
@view
def _reduces(owner: address, market: uint256, delta: int256) -> bool:
    """@dev Whether a trade that was just made took lots off a position, and no more than it had."""
    old: int256 = margin_book._load_position(owner, market).size - delta
    return (old > 0 and delta < 0 and -delta <= old) or (old < 0 and delta > 0 and delta <= -old)


@internal
@view
def _check_initial(owner: address, account: margin_book.Account):
    worth: margin_book.Worth = margin_book._worth(owner, account, margin_book.RISK)
    assert worth.equity * convert(units.BASIS_POINTS, int256) >= convert(
        worth.initial, int256
    ), "margin_market: initial margin"


@internal
@view
def _check_reduced(owner: address, market: uint256, delta: int256, price: int256):
    """
    @dev A price worse than the last one must not leave a loss to others, nor the account further below its
         maintenance margin than it was. What a cut of its gain took is not held against it.
    """
    account: margin_book.Account = margin_book._load_account(owner)
    worth: margin_book.Worth = margin_book._worth(owner, account, margin_book.LAST)
    assert worth.equity >= 0, "margin_market: insolvent"
    if convert(worth.equity, uint256) * units.BASIS_POINTS < worth.maintenance:
        last: int256 = margin_book._price(market, margin_book.LAST)
        size: int256 = margin_book._load_position(owner, market).size
        relieved: uint256 = staticcall margin_book.POLICY.maintenance(
            market, convert(abs(size - delta) * last, uint256)
        )
        relieved -= staticcall margin_book.POLICY.maintenance(market, convert(abs(size) * last, uint256))
        gained: int256 = delta * (last - price) * convert(units.BASIS_POINTS, int256)
        assert gained + convert(relieved, int256) >= 0, "margin_market: margin would fall"


@internal
@view
def _check_reserved(owner: address):
    """@dev While a market is frozen, a gain that may have to pay stays in its account."""
    if block.timestamp <= self._freeze().until:
        gain: uint256 = staticcall DELEVERAGER.reserved_of(owner)
        assert self._frozen_of(owner).equity >= convert(gain, int256), "margin_market: gain is reserved"


@internal
@view
def _check_mode():
    if RISK_POLICY != empty(address):
        policy: IRiskPolicy = IRiskPolicy(staticcall VAULT_ENGINE.risk_policy())
        assert staticcall policy.mode() < EMERGENCY, "margin_market: emergency"
    assert not staticcall VAULT_ENGINE.in_settlement(), "margin_market: in settlement"


@internal
def _remember(owner: address):
    """@dev Before an account changes in a freeze, have the deleverager keep what it was."""
    if block.timestamp <= self._freeze().until:
        extcall DELEVERAGER.remember(owner)


@internal
@view
def _frozen_of(owner: address) -> IMarginMarket.Frozen:
    market: uint256 = self._freeze().market
    position: margin_book.Position = margin_book._load_position(owner, market)
    worth: margin_book.Worth = margin_book._worth(owner, margin_book._load_account(owner), margin_book.FROZEN)
    price: int256 = 0
    index: int256 = 0
    price, index = margin_book._frozen(market)
    return IMarginMarket.Frozen(
        size=position.size,
        gain=position.size * (price - index) - position.cost,
        equity=worth.equity,
        notional=worth.notional,
    )


@internal
def _leave_unpaid(owner: address, market: uint256):
    """@dev What an account without positions owes, nobody pays."""
    account: margin_book.Account = margin_book._load_account(owner)
    if account.markets == 0 and account.cash < 0:
        interest: margin_book.Interest = margin_book._load_interest(market)
        interest.unpaid += convert(-account.cash, uint256)
        margin_book._store_interest(market, interest)
        log LossLeft(owner=owner, market=market, amount=convert(-account.cash, uint256))
        account.cash = 0
        margin_book._store_account(owner, account)


@internal
def _final_share(amount: uint256) -> uint256:
    """@dev What is held for an amount of cash; the rest of it is of the unpaid losses."""
    unpaid: uint256 = 0
    for market: uint256 in range(bounds.MAX_MARGIN_MARKETS):
        interest: margin_book.Interest = margin_book._load_interest(market)
        assert interest.open == 0, "margin_market: still open"
        unpaid += interest.unpaid
    if unpaid == 0:
        return amount
    available: uint256 = self._free()
    paid: uint256 = amount * available // (available + unpaid)
    rest: uint256 = amount - paid
    for market: uint256 in range(bounds.MAX_MARGIN_MARKETS):
        interest: margin_book.Interest = margin_book._load_interest(market)
        borne: uint256 = min(rest, interest.unpaid)
        interest.unpaid -= borne
        rest -= borne
        margin_book._store_interest(market, interest)
    return paid


@internal
@view
def _free() -> uint256:
    """@dev What is held beyond fees. A fee may be of a gain that its loser has not paid in."""
    return self.held - min(self.held, self.fees)


@internal
def _sweep():
    amount: uint256 = min(self.fees, self.held)
    if amount != 0:
        self.fees -= amount
        self.held -= amount
        extcall STABLECOIN.transfer(FUND.address, amount)
        extcall FUND.add_fees(amount)


@internal
@view
def _only_deleverager():
    assert msg.sender == DELEVERAGER.address, "margin_market: not deleverager"


@internal
@view
def _is_frozen(freeze: Freeze, market: uint256) -> bool:
    return block.timestamp <= freeze.until and freeze.market == market


@internal
@view
def _freeze() -> Freeze:
    word: uint256 = self.frozen
    return Freeze(market=word & MASK_8, until=word >> 8)


@internal
def _store_freeze(freeze: Freeze):
    self.frozen = freeze.market | (freeze.until << 8)
