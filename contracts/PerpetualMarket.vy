# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize codesize
"""
@title PerpetualMarket
@license GNU Affero General Public License v3.0 only
@notice Perpetual markets in the stablecoin, at marks that are seconds old, with one margin for all positions of
        an account. Positions are made by matching two signed orders, so in each market longs and shorts are of
        the same size. Losses that an account cannot bear are borne by insurance, and then by those who gained
        in the same time from the same moves, each by the same share of its gain, whatever it does afterwards;
        what these leave by unvested profits, by the protocol's waterfall within the market's line, and by
        later gains (docs/know/margin-cycles.md).
@dev The books balance to the wei: cash of all accounts + bonds + pot + fees == held + late. The account of the
     contract itself is the market's own: it takes the positions of the insolvent. Deposits, trades in which
     both sides only reduce, and bookings need no mode and no fresh price.
"""
from contracts.interfaces import IDomain
from contracts.interfaces import IMarginPolicy
from contracts.interfaces import IRiskPolicy
from contracts.interfaces import IVaultEngine
from contracts.modules import bounds
from contracts.modules import cycle_book
from contracts.modules import cycle_losses
from contracts.modules import price_path
from contracts.modules import units

initializes: price_path
initializes: cycle_book[price_path := price_path]
initializes: cycle_losses[price_path := price_path, cycle_book := cycle_book]

exports: (
    price_path.POLICY,
    price_path.MARK_AGE,
    cycle_book.HALF_BOND,
    cycle_book.fees,
    cycle_losses.STABLECOIN,
    cycle_losses.FUND,
    cycle_losses.WINDOW,
    cycle_losses.QUIET,
    cycle_losses.held,
    cycle_losses.late,
)


event Deposited:
    owner: indexed(address)
    payer: indexed(address)
    amount: uint256  # [wad]


event Withdrawn:
    owner: indexed(address)
    receiver: indexed(address)
    amount: uint256  # [wad] Of cash.
    paid: uint256  # [wad] At once.
    profit: uint256  # [wad] That has to vest.


event Liquidated:
    owner: indexed(address)
    liquidator: indexed(address)
    market: indexed(uint256)  # [id]
    lots: uint256  # [lots]
    price: uint256  # [wei a lot]
    reward: uint256  # [wad]
    fee: uint256  # [wad] Of the reward.


event Seized:
    owner: indexed(address)
    finder: indexed(address)


event ShortfallPosted:
    amount: uint256  # [wad]


event ClosingBegun:
    at: uint256  # [seconds]


struct Wiring:
    vault_engine: address
    margin_policy: address
    risk_policy: address  # the zero address if there is none: then there are no modes
    stablecoin: address
    margin_orders: address
    fund: address
    domain: address  # bears what nobody else does, within its line; the zero address if there is none


struct Rules:
    window: uint256  # seconds that a cycle is pending at least
    quiet: uint256  # seconds after the last booking
    mark_age: uint256  # seconds, of the oldest report that makes a mark
    band: uint256  # basis points that a trade may be from the mark
    maker_fee: uint256  # basis points of notional
    taker_fee: uint256  # basis points of notional
    fee_share: uint256  # basis points of a liquidator's reward that are insurance
    half_bond: uint256  # wad


EMERGENCY: constant(uint256) = 2

VAULT_ENGINE: public(immutable(IVaultEngine))
# The zero address if there is none: then there are no modes.
RISK_POLICY: public(immutable(address))
MARGIN_ORDERS: public(immutable(address))
# Bears what nobody else does, within its line; the zero address if there is none.
DOMAIN: public(immutable(address))
# [basis points] How far from the mark a trade may be.
BAND: public(immutable(uint256))
# [basis points] Of notional.
MAKER_FEE: public(immutable(uint256))
# [basis points] Of notional.
TAKER_FEE: public(immutable(uint256))
# [basis points] Of a liquidator's reward, that are insurance.
FEE_SHARE: public(immutable(uint256))

# [id] The cycle in which the prices became final, in settlement; 0: they are not.
closing_in: public(uint256)


@deploy
def __init__(wiring: Wiring, rules: Rules):
    """
    @notice The wiring and the rules are final.
    @param wiring The contracts that it works with.
    @param rules Times, bounds and fees.
    """
    price_path.__init__(wiring.margin_policy, rules.mark_age)
    cycle_book.__init__(rules.half_bond)
    cycle_losses.__init__(wiring.stablecoin, wiring.fund, rules.window, rules.quiet)
    assert rules.mark_age != 0 and rules.mark_age <= bounds.MAX_MARK_AGE, "perpetuals: mark bounds"
    assert rules.band <= bounds.MAX_BAND, "perpetuals: band bounds"
    assert max(rules.maker_fee, rules.taker_fee) <= bounds.MAX_TRADE_FEE, "perpetuals: fee bounds"
    assert rules.fee_share <= units.BASIS_POINTS, "perpetuals: share bounds"
    assert rules.half_bond <= bounds.MAX_HALF_BOND, "perpetuals: bond bounds"
    VAULT_ENGINE = IVaultEngine(wiring.vault_engine)
    RISK_POLICY = wiring.risk_policy
    MARGIN_ORDERS = wiring.margin_orders
    DOMAIN = wiring.domain
    BAND = rules.band
    MAKER_FEE = rules.maker_fee
    TAKER_FEE = rules.taker_fee
    FEE_SHARE = rules.fee_share


# --------------------------------------------------------------------- cash


@external
@nonreentrant
def deposit(owner: address, amount: uint256):
    """
    @notice Pay into an account. Anyone, with the caller's stablecoin, on an allowance. Protects: nothing stops
            it, no mode, no price, no loss.
    @param owner Whose account.
    @param amount [wad] Stablecoin.
    """
    cycle_book._credit(owner, convert(amount, int256))
    cycle_book.paid_in[owner] += amount
    cycle_losses.held += amount
    log Deposited(owner=owner, payer=msg.sender, amount=amount)
    extcall cycle_losses.STABLECOIN.transferFrom(msg.sender, self, amount)


@external
@nonreentrant
def withdraw(amount: uint256, receiver: address) -> uint256:
    """
    @notice Take cash out of the caller's account. What goes beyond its deposits is profit, which the fund holds
            until it has vested. With positions: the initial margin has to be left without any gain that is not
            final, at marks of now, in no emergency; without positions those gains have to be left, and in
            settlement the losses of its cycle to be final. Protects: no gain leaves that may have to bear a
            loss; while losses are late, the first and the last are paid alike.
    @param amount [wad] Of cash.
    @param receiver Who gets it, or its profit once that has vested.
    @return [wad] What was paid and locked: less than the amount while losses are late, rounded down.
    """
    cycle_book._touch(msg.sender)
    if self.closing_in != 0:
        assert price_path._cycle() >= self.closing_in + 2, "perpetuals: losses are open"
        self._close_out(msg.sender)
    cycle_book._credit(msg.sender, -convert(amount, int256))
    if cycle_book._holds(msg.sender):
        self._check_mode()
        self._check_initial(msg.sender)
    else:
        standing: cycle_book.Standing = cycle_book._standing(msg.sender)
        assert standing.own - convert(standing.haircut, int256) >= convert(
            standing.unfinal, int256
        ), "perpetuals: more than it has"
    available: uint256 = cycle_losses.held - min(cycle_losses.held, cycle_book.fees)
    late: uint256 = cycle_losses.late
    paid: uint256 = amount
    if late != 0:
        paid = amount * available // (available + late)
        cycle_losses.late = late - (amount - paid)
    assert paid <= available, "perpetuals: not held"
    own: uint256 = min(paid, cycle_book.paid_in[msg.sender])
    cycle_book.paid_in[msg.sender] -= own
    cycle_losses.held -= paid
    log Withdrawn(owner=msg.sender, receiver=receiver, amount=amount, paid=own, profit=paid - own)
    if own != 0:
        extcall cycle_losses.STABLECOIN.transfer(receiver, own)
    if paid != own:
        extcall cycle_losses.STABLECOIN.transfer(cycle_losses.FUND.address, paid - own)
        extcall cycle_losses.FUND.lock(receiver, paid - own)
    return paid


@external
@nonreentrant
def sweep():
    """
    @notice Hand fees over to the fund. Permissionless.
    """
    cycle_losses._sweep()


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
            zero-sum; the price lies in the band around the mark; an account takes new risk only with its
            initial margin, without any gain that is not final, at marks of now, in no emergency, within the
            market's limit; one that only reduces needs no more than to stay solvent, to be no further below
            its maintenance margin than before, and to give no gain away that is not final.
    @param market [id] The market.
    @param maker Whose order was there first.
    @param taker The other side.
    @param delta [lots] That the maker buys (above zero) or sells.
    @param price [wei a lot] Of the trade.
    @param maker_reduces Whether the maker's order may only reduce.
    @param taker_reduces Whether the taker's order may only reduce.
    """
    assert msg.sender == MARGIN_ORDERS, "perpetuals: not orders"
    assert self.closing_in == 0, "perpetuals: prices are final"
    assert market < staticcall price_path.POLICY.markets(), "perpetuals: unknown market"
    assert price != 0 and price <= bounds.MAX_LOT_PRICE, "perpetuals: price bounds"
    price_path._mark(market)
    mark: uint256 = price_path._load_path(market).price
    assert mark != 0, "perpetuals: no mark yet"
    assert (max(price, mark) - min(price, mark)) * units.BASIS_POINTS <= BAND * mark, "perpetuals: outside the band"
    cycle_book._touch(maker)
    self._check_solvent(maker)
    cycle_book._touch(taker)
    self._check_solvent(taker)
    at: int256 = convert(price, int256) - price_path._accrue(market)
    lots: uint256 = convert(abs(delta), uint256)
    over: int256 = price_path._note_premium(market, lots, price)
    before: uint256 = price_path.opened[market]
    cycle_book._move(maker, market, delta, at)
    cycle_book._move(taker, market, -delta, at)
    if over != 0:
        better: address = maker
        if (over > 0) == (delta > 0):
            better = taker
        # At least what the premium has one side pay the other in an interval.
        premium: uint256 = convert(abs(delta * over), uint256) * price_path.INTERVAL
        cycle_book._charge(better, units._div_up(premium, price_path.PERIOD))
    cycle_book._charge(maker, units._div_up(lots * price * MAKER_FEE, units.BASIS_POINTS))
    cycle_book._charge(taker, units._div_up(lots * price * TAKER_FEE, units.BASIS_POINTS))
    self._check_limit(market, before)
    self._check_side(maker, market, delta, price, maker_reduces)
    self._check_side(taker, market, -delta, price, taker_reduces)


@external
@nonreentrant
def take(market: uint256, lots: uint256):
    """
    @notice Take lots over from the market's own account, at the mark, for a taker's fee. Anyone, as a trade.
            Protects: who is on the other side of an insolvent position closes against it without having to
            find anybody; others need initial margin.
    @param market [id] The market.
    @param lots [lots] How many, of the side that the market's own account has.
    """
    assert self.closing_in == 0, "perpetuals: closes already"
    assert msg.sender != self, "perpetuals: its own lots"
    cycle_book._touch(msg.sender)
    cycle_book._touch(self)
    size: int256 = cycle_book._load_position(self, market).size
    assert lots != 0 and lots <= convert(abs(size), uint256), "perpetuals: not so many lots"
    assert price_path._mark(market), "perpetuals: no price for lots"
    self._check_solvent(msg.sender)
    before: uint256 = price_path.opened[market]
    price: uint256 = price_path._load_path(market).price
    delta: int256 = convert(lots, int256)
    if size < 0:
        delta = -delta
    at: int256 = convert(price, int256) - price_path._accrue(market)
    cycle_book._move(self, market, -delta, at)
    cycle_book._move(msg.sender, market, delta, at)
    cycle_book._charge(msg.sender, units._div_up(lots * price * TAKER_FEE, units.BASIS_POINTS))
    self._check_limit(market, before)
    self._check_side(msg.sender, market, delta, price, False)


@external
def accrue(market: uint256):
    """
    @notice Bring a market's mark and funding up to now. Permissionless.
    @param market [id] The market.
    """
    assert market < staticcall price_path.POLICY.markets(), "perpetuals: no such market"
    if self.closing_in == 0:
        price_path._mark(market)
        price_path._accrue(market)


# ------------------------------------------------------------------- losses


@external
@nonreentrant
def liquidate(owner: address, market: uint256, lots: uint256) -> uint256:
    """
    @notice Take over lots of an account that is under its maintenance margin, into the caller's own account, at
            the mark less a reward:

                min(equity, shortage*discount) * maintenance margin relieved / maintenance margin

            Permissionless. Protects: a solvent account above its maintenance margin is never touched; no more
            is taken than brings it back to its initial margin, but dust; its equity never falls faster than
            its maintenance margin, so no account is left worse; the caller needs initial margin for what it
            takes over. No gain is reserved: nothing stops it.
    @param owner Whose account.
    @param market [id] The market.
    @param lots [lots] How many, above zero.
    @return [wad] The reward, rounded down; a share of it is the fund's.
    """
    assert owner != msg.sender, "perpetuals: own account"
    assert owner != self, "perpetuals: take them"
    assert self.closing_in == 0, "perpetuals: is closing"
    cycle_book._touch(owner)
    cycle_book._touch(msg.sender)
    size: int256 = cycle_book._load_position(owner, market).size
    whole: uint256 = convert(abs(size), uint256)
    assert lots != 0 and lots <= whole, "perpetuals: not that many"
    assert self._mark_all(owner), "perpetuals: no price of now"
    standing: cycle_book.Standing = cycle_book._standing(owner)
    equity: int256 = standing.own - convert(standing.haircut, int256)
    assert equity >= 0, "perpetuals: meet it"
    initial: uint256 = 0
    maintenance: uint256 = 0
    initial, maintenance = self._margins(owner, False)
    assert convert(equity, uint256) * units.BASIS_POINTS < maintenance, "perpetuals: safe account"
    price: uint256 = price_path._load_path(market).price
    at: int256 = convert(price, int256) - price_path._accrue(market)
    reward: uint256 = staticcall price_path.POLICY.reward(
        IMarginPolicy.Takeover(
            market=market,
            whole=whole,
            lots=lots,
            price=price,
            equity=convert(equity, uint256),
            initial=initial,
            maintenance=maintenance,
        )
    )
    fee: uint256 = reward * FEE_SHARE // units.BASIS_POINTS
    delta: int256 = convert(lots, int256)
    if size > 0:
        delta = -delta
    cycle_book._move(owner, market, delta, at)
    cycle_book._move(msg.sender, market, -delta, at)
    cycle_book._credit(owner, -convert(reward, int256))
    cycle_book._credit(msg.sender, convert(reward - fee, int256))
    cycle_book.fees += fee
    self._check_side(msg.sender, market, -delta, price, False)
    log Liquidated(
        owner=owner,
        liquidator=msg.sender,
        market=market,
        lots=lots,
        price=price,
        reward=reward,
        fee=fee,
    )
    return reward


@external
@nonreentrant
def meet(owner: address):
    """
    @notice Meet an account that owes: its positions go to the market's own account at marks of now, and what it
            lacked at the end of the pending cycle is booked against those who gained. Permissionless, as often
            as there is something to do; its bond pays half for the one and half for the other. Protects: a
            debtor keeps no option; losses are borne in the cycle they are made in; booking costs the same
            however many gained.
    @param owner Whose account.
    """
    cycle_book._touch(owner)
    seized: bool = self._seize(owner)
    booked: bool = cycle_losses._book(owner)
    if booked:
        cycle_book._pay_half(owner, cycle_book.BOOKED, msg.sender)
    assert seized or booked, "perpetuals: nothing to do"


@external
def wake(owner: address):
    """
    @notice Bring an account that has slept for long up to now, as far as one call may. Permissionless.
    @param owner Whose account.
    """
    cycle_book._wake(owner)


@external
@nonreentrant
def roll():
    """
    @notice Make the pending cycle final, the open one pending, and open the next. Permissionless. Protects: a
            window in which every loss can be booked, and a quiet time after the last.
    """
    cycle_losses._roll()


@external
@nonreentrant
def post_shortfall() -> uint256:
    """
    @notice Have the protocol bear what is late, as far as the market's line allows. Permissionless.
    @return [wad] How much.
    """
    late: uint256 = cycle_losses.late
    assert late != 0 and DOMAIN != empty(address), "perpetuals: nothing to post"
    posted: uint256 = extcall IDomain(DOMAIN).lose(late, self)
    cycle_losses.late = late - posted
    cycle_losses.held += posted
    log ShortfallPosted(amount=posted)
    return posted


# --------------------------------------------------------------- settlement


@external
@nonreentrant
def begin_close():
    """
    @notice Mark all markets at the feed's final prices, for good. Permissionless, in settlement of the
            protocol. Protects: one price whoever calls and whenever; losses are met as at all times, by two
            more rolls.
    """
    assert staticcall VAULT_ENGINE.in_settlement(), "perpetuals: no settlement"
    assert self.closing_in == 0, "perpetuals: closes once"
    for market: uint256 in range(staticcall price_path.POLICY.markets(), bound=bounds.MAX_MARGIN_MARKETS):
        price: uint256 = staticcall price_path.POLICY.final_price(market)
        assert price != 0, "perpetuals: no final price"
        price_path._stop_funding(market)
        price_path._walk(market, price)
    self.closing_in = price_path._cycle()
    log ClosingBegun(at=block.timestamp)


@external
@nonreentrant
def close_out(owner: address):
    """
    @notice Close all positions of an account at the final prices, against the market's own account.
            Permissionless, once prices are final.
    @param owner Whose account.
    """
    assert self.closing_in != 0, "perpetuals: not closing"
    cycle_book._touch(owner)
    self._close_out(owner)


# -------------------------------------------------------------------- views


@external
@view
def standing_of(owner: address) -> cycle_book.Standing:
    """
    @notice What an account has at the last marks, as of the cycle that it is in.
    @param owner Whose account.
    @return Cash and value, haircuts as far as they are known, gains that are not final.
    """
    return cycle_book._standing(owner)


@external
@view
def account_of(owner: address) -> cycle_book.Account:
    """
    @notice An account as it was touched last.
    @param owner Whose account.
    @return The record.
    """
    return cycle_book._load_account(owner)


@external
@view
def paid_in(owner: address) -> uint256:
    """
    @notice What an account may withdraw that is no profit.
    @param owner Whose account.
    @return [wad] Deposits less what was withdrawn of them or lost.
    """
    return cycle_book.paid_in[owner]


@external
@view
def position_of(owner: address, market: uint256) -> cycle_book.Position:
    """
    @notice A position as it was touched last.
    @param owner Whose account.
    @param market [id] The market.
    @return Its size, and its value when the cycle began plus what its trades paid since.
    """
    return cycle_book._load_position(owner, market)


@external
@view
def pending_of(
    owner: address, market: uint256
) -> (price_path.Sides, price_path.Sides, price_path.Sides):
    """
    @notice What an account has in the pending cycle, as it was touched last.
    @param owner Whose account.
    @param market [id] The market.
    @return Its gains, its losses, and what was booked for it by who gained it.
    """
    return (
        price_path._as_sides(cycle_book.pending_gained[owner][market]),
        price_path._as_sides(cycle_book.pending_lost[owner][market]),
        price_path._as_sides(cycle_book.booked[owner][market]),
    )


@external
@view
def clock_of() -> price_path.Clock:
    """
    @notice The open cycle, and its times.
    @return The record.
    """
    return price_path._load_clock()


@external
@view
def path_of(market: uint256) -> (price_path.Path, price_path.Moves, uint256):
    """
    @notice A market's mark and path, its moves, and its open lots.
    @param market [id] The market.
    @return Mark and extreme; sums of moves; lots that are long.
    """
    return price_path._load_path(market), price_path._load_moves(market), price_path.opened[market]


@external
@view
def cycle_of(market: uint256, cycle: uint256) -> (price_path.Sides, price_path.Sides):
    """
    @notice What the sides of a market gained in a cycle, and what they bear of its losses.
    @param market [id] The market.
    @param cycle [id] The cycle.
    @return Gains and losses.
    """
    return price_path._load_totals(market, cycle), price_path._as_sides(cycle_book.losses[market][cycle])


# ------------------------------------------------------------------ helpers


@internal
def _seize(owner: address) -> bool:
    """@dev Move the positions of an account that owes to the market's own, if there are marks of now."""
    if owner == self or self.closing_in != 0 or not cycle_book._holds(owner):
        return False
    if not self._mark_all(owner):
        return False
    standing: cycle_book.Standing = cycle_book._standing(owner)
    if standing.own >= convert(standing.haircut, int256):
        return False
    self._close_out(owner)
    cycle_book._pay_half(owner, cycle_book.SEIZED, msg.sender)
    log Seized(owner=owner, finder=msg.sender)
    return True


@internal
def _close_out(owner: address):
    """@dev Move all positions of a touched account to the market's own, at the marks."""
    cycle_book._touch(self)
    if owner == self:
        return
    markets: uint256 = cycle_book._load_account(owner).markets
    for market: uint256 in range(bounds.MAX_MARGIN_MARKETS):
        if (markets >> market) & 1 == 0:
            continue
        size: int256 = cycle_book._load_position(owner, market).size
        if size != 0:
            at: int256 = price_path._level(market)
            cycle_book._move(owner, market, -size, at)
            cycle_book._move(self, market, size, at)


@internal
def _mark_all(owner: address) -> bool:
    """@dev Mark all markets that an account has positions in; whether all have a price of now."""
    fresh: bool = True
    markets: uint256 = cycle_book._load_account(owner).markets
    for market: uint256 in range(bounds.MAX_MARGIN_MARKETS):
        if (markets >> market) & 1 == 1 and cycle_book._load_position(owner, market).size != 0:
            marked: bool = price_path._mark(market)
            fresh = fresh and marked
    return fresh


@internal
@view
def _margins(owner: address, risk: bool) -> (uint256, uint256):
    """@dev The initial and the maintenance margin of an account at the marks, basis points x wei."""
    initial: uint256 = 0
    maintenance: uint256 = 0
    markets: uint256 = cycle_book._load_account(owner).markets
    for market: uint256 in range(bounds.MAX_MARGIN_MARKETS):
        if (markets >> market) & 1 == 0:
            continue
        size: int256 = cycle_book._load_position(owner, market).size
        if size != 0:
            price: uint256 = price_path._load_path(market).price
            needs: IMarginPolicy.Needs = staticcall price_path.POLICY.needs_at(
                market, size, price, price_path.opened[market], risk
            )
            initial += needs.initial
            maintenance += needs.maintenance
    return initial, maintenance


@internal
@view
def _check_limit(market: uint256, before: uint256):
    limit: uint256 = staticcall price_path.POLICY.open_limit(market)
    assert price_path.opened[market] <= max(before, limit), "perpetuals: open limit"


@internal
@view
def _check_solvent(owner: address):
    standing: cycle_book.Standing = cycle_book._standing(owner)
    assert standing.own >= convert(standing.haircut, int256), "perpetuals: owes, only pays in"


@internal
def _check_side(owner: address, market: uint256, delta: int256, price: uint256, only_reduce: bool):
    """@dev Whether an account may do what it has just done."""
    old: int256 = cycle_book._load_position(owner, market).size - delta
    if (old > 0 and delta < 0 and -delta <= old) or (old < 0 and delta > 0 and delta <= -old):
        self._check_reduced(owner, market, delta, price)
    else:
        assert not only_reduce, "perpetuals: would not reduce"
        self._check_mode()
        self._check_initial(owner)


@internal
def _check_initial(owner: address):
    """@dev Margin without any gain that is not final covers all positions, at marks of now."""
    assert self._mark_all(owner), "perpetuals: no price for risk"
    standing: cycle_book.Standing = cycle_book._standing(owner)
    equity: int256 = standing.own - convert(standing.haircut + standing.unfinal, int256)
    initial: uint256 = self._margins(owner, True)[0]
    assert (
        equity * convert(units.BASIS_POINTS, int256) >= convert(initial, int256)
    ), "perpetuals: initial margin"


@internal
@view
def _check_reduced(owner: address, market: uint256, delta: int256, price: uint256):
    """@dev Solvent, no further below maintenance than before, no gain given away that is not final."""
    standing: cycle_book.Standing = cycle_book._standing(owner)
    equity: int256 = standing.own - convert(standing.haircut, int256)
    assert equity >= 0, "perpetuals: insolvent"
    mark: uint256 = price_path._load_path(market).price
    gained: int256 = delta * (convert(mark, int256) - convert(price, int256))
    maintenance: uint256 = self._margins(owner, False)[1]
    if convert(equity, uint256) * units.BASIS_POINTS < maintenance:
        size: int256 = cycle_book._load_position(owner, market).size
        needed: uint256 = staticcall price_path.POLICY.maintenance(
            market, convert(abs(size - delta), uint256) * mark
        )
        left: uint256 = staticcall price_path.POLICY.maintenance(market, convert(abs(size), uint256) * mark)
        relieved: int256 = convert(needed, int256) - convert(left, int256)
        assert (
            gained * convert(units.BASIS_POINTS, int256) + relieved >= 0
        ), "perpetuals: margin would fall"
    assert gained >= 0 or equity >= convert(standing.unfinal, int256), "perpetuals: gains are not final"


@internal
@view
def _check_mode():
    if RISK_POLICY != empty(address):
        policy: IRiskPolicy = IRiskPolicy(staticcall VAULT_ENGINE.risk_policy())
        assert staticcall policy.mode() < EMERGENCY, "perpetuals: emergency"
    assert not staticcall VAULT_ENGINE.in_settlement(), "perpetuals: in settlement"
