# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title PerpetualTrading
@license GNU Affero General Public License v3.0 only
@notice Decides which accounts may trade in the perpetual markets, and at which price: two signed orders in a
        band around the mark, unassigned lots at the mark, liquidations for a reward. New risk needs its
        initial margin without any gain that is not final, at current marks. It holds nothing and keeps
        nothing.
"""
from contracts.interfaces import IMarginFund
from contracts.interfaces import IMarginPolicy
from contracts.interfaces import IPerpetualTrading
from contracts.interfaces import IPerpetualMarket
from contracts.interfaces import IRiskPolicy
from contracts.interfaces import IVaultEngine
from contracts.modules import bounds
from contracts.modules import account_owner
from contracts.modules import units

implements: IPerpetualTrading


event Liquidated:
    owner: indexed(address)
    liquidator: indexed(address)
    market: indexed(uint256)  # [id]
    lots: uint256  # [lots]
    price: uint256  # [wei a lot]
    reward: uint256  # [wad]
    fee: uint256  # [wad] Of the reward.


event Taken:
    taker: indexed(address)
    market: indexed(uint256)  # [id]
    delta: int256  # [lots]
    price: uint256  # [wei a lot]


event Deleveraged:
    owner: indexed(address)
    market: indexed(uint256)  # [id]
    delta: int256  # [lots]
    price: uint256  # [wei a lot]
    prover: indexed(address)


struct Marks:
    fresh: uint256  # bit m: the account has lots in market m, and there is a price of now
    silent: bool  # it has lots in a market without one
    better: uint256  # by how much more its lots with a price were worth at the better end of the range, wei
    worse: uint256  # by how much less at the worse end, wei


struct Rewarded:
    pot: uint256  # wad
    notional: uint256  # wei


struct Rules:
    band: uint256  # basis points that a trade may be from the mark
    maker_fee: uint256  # basis points of notional
    taker_fee: uint256  # basis points of notional
    fee_share: uint256  # basis points of a liquidator's reward that are insurance
    divergence: uint256  # basis points that a mark may be from its index for new risk; 0 is off


EMERGENCY: constant(uint256) = 2
# Funding is said for a period, and follows the trades of an interval; seconds.
PERIOD: constant(uint256) = 28_800
INTERVAL: constant(uint256) = 3_600

VAULT_ENGINE: public(immutable(IVaultEngine))
POLICY: public(immutable(IMarginPolicy))
# The zero address if there is none: then there are no modes.
RISK_POLICY: public(immutable(address))
MARGIN_ORDERS: public(immutable(address))
# Says whose lots are closed against those that are nobody's; the zero address if nobody does.
CLOSER: public(immutable(address))
MARKET: public(immutable(IPerpetualMarket))
# [basis points] How far from the mark a trade may be.
BAND: public(immutable(uint256))
# [basis points] Of notional.
MAKER_FEE: public(immutable(uint256))
# [basis points] Of notional.
TAKER_FEE: public(immutable(uint256))
# [basis points] Of a liquidator's reward, that are insurance.
FEE_SHARE: public(immutable(uint256))
# [basis points] How far a mark may be from its index for new risk; 0 is off.
DIVERGENCE: public(immutable(uint256))


@deploy
def __init__(
    vault_engine: address,
    margin_policy: address,
    risk_policy: address,
    margin_orders: address,
    market: address,
    closer: address,
    rules: Rules,
):
    """
    @notice The wiring and the rules are final.
    @param vault_engine Knows the mode.
    @param margin_policy Knows margins.
    @param risk_policy Whether there are modes: the zero address if there are none.
    @param margin_orders Matches signed orders.
    @param market The market that it trades in.
    @param closer Chooses the accounts that are closed against unassigned lots; the zero address for none.
    @param rules The band, fees, and how far a mark may be from its index.
    """
    assert rules.band <= bounds.MAX_BAND, "trading: band bounds"
    assert max(rules.maker_fee, rules.taker_fee) <= bounds.MAX_TRADE_FEE, "trading: fee bounds"
    assert rules.fee_share <= units.BASIS_POINTS, "trading: share bounds"
    assert rules.divergence <= bounds.MAX_DIVERGENCE, "trading: divergence bounds"
    VAULT_ENGINE = IVaultEngine(vault_engine)
    POLICY = IMarginPolicy(margin_policy)
    RISK_POLICY = risk_policy
    MARGIN_ORDERS = margin_orders
    MARKET = IPerpetualMarket(market)
    CLOSER = closer
    BAND = rules.band
    MAKER_FEE = rules.maker_fee
    TAKER_FEE = rules.taker_fee
    FEE_SHARE = rules.fee_share
    DIVERGENCE = rules.divergence


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
    @notice Book a trade that both accounts have signed. Margin orders only. Protects: the price lies in the
            band around the mark; open lots stay within the market's limit, and within the insurance's cover
            where the market asks for that. The account with a better price than the mark pays the resulting
            change of an hour's funding. An account takes new risk only with its initial margin, without any
            gain that is not final, at current marks, in no emergency. An account that only reduces has to
            stay solvent, to be no further below its maintenance margin than before, and to give no gain away
            that is not final. In a market that is delisted both may only reduce.
    @param market [id] The market.
    @param maker The account with the earlier order.
    @param taker The other side.
    @param delta [lots] That the maker buys (above zero) or sells.
    @param price [wei a lot] Of the trade.
    @param maker_reduces Whether the maker's order may only reduce.
    @param taker_reduces Whether the taker's order may only reduce.
    """
    assert msg.sender == MARGIN_ORDERS, "trading: not orders"
    assert price != 0 and price <= bounds.MAX_LOT_PRICE, "trading: price bounds"
    mark: uint256 = (extcall MARKET.accrue(market)).price
    assert mark != 0, "trading: no mark yet"
    apart: uint256 = max(price, mark) - min(price, mark)
    assert apart * units.BASIS_POINTS <= BAND * mark, "trading: outside the band"
    self._check_solvent(maker)
    self._check_solvent(taker)
    notional: uint256 = convert(abs(delta), uint256) * price
    maker_pays: int256 = self._compute_fee(notional, MAKER_FEE)
    taker_pays: int256 = self._compute_fee(notional, TAKER_FEE)
    if (price > mark) == (delta > 0):
        taker_pays += self._premium_fee(market, convert(abs(delta), uint256), mark, apart)
    else:
        maker_pays += self._premium_fee(market, convert(abs(delta), uint256), mark, apart)
    before: uint256 = self._get_open_lots(market)
    extcall MARKET.execute_trade(market, maker, taker, delta, price, -maker_pays, -taker_pays)
    opened: uint256 = self._get_open_lots(market)
    if opened > before:
        assert opened <= staticcall POLICY.open_limit(market), "trading: open limit"
        if staticcall POLICY.insured(market) != 0:
            assert self._has_insurance_for_open_lots(), "trading: not insured"
    ends: bool = self._is_delisted(market)
    self._check_account_after_trade(maker, market, delta, price, mark, maker_reduces or ends, True)
    self._check_account_after_trade(taker, market, -delta, price, mark, taker_reduces or ends, True)


@external
@nonreentrant
def take(market: uint256, lots: uint256, owner: address = msg.sender):
    """
    @notice Take over unassigned lots (taken from insolvent accounts), at the mark, for a taker's fee. Anyone,
            as a trade, into an account of its own. Protects: an account on the other side of an insolvent
            position closes against it without a search for a counterparty. Others need initial margin, and a
            market that is not delisted; the taker gets the bonds' payment for that.
    @param market [id] The market.
    @param lots [lots] How many, of the side that lacks them.
    @param owner The account that gets them, one of the caller's.
    """
    assert account_owner._is_owner(owner, msg.sender), "trading: not its owner"
    mark: IMarginPolicy.Mark = extcall MARKET.accrue(market)
    price: uint256 = mark.price
    assert mark.high != 0, "trading: no price for lots"
    self._check_solvent(owner)
    long: uint256 = 0
    short: uint256 = 0
    long, short = staticcall MARKET.lots_of(market)
    assert lots != 0 and lots <= max(long, short) - min(long, short), "trading: not so many lots"
    delta: int256 = convert(lots, int256)
    if long > short:
        delta = -delta
    rewarded: Rewarded = self._compute_reward_pot_and_notional()
    fee: int256 = self._compute_fee(lots * price, TAKER_FEE)
    extcall MARKET.execute_trade(market, owner, MARKET.address, delta, price, -fee, 0)
    self._pay_finder(owner, self._compute_pot_share(rewarded, lots * price))
    self._check_account_after_trade(owner, market, delta, price, price, self._is_delisted(market), True)
    log Taken(taker=owner, market=market, delta=delta, price=price)


@external
@nonreentrant
def deleverage(
    market: uint256,
    side: uint256,
    accounts: DynArray[address, bounds.MAX_CLOSED],
    most: DynArray[uint256, bounds.MAX_CLOSED],
    prover: address,
    executor: address,
) -> (DynArray[uint256, bounds.MAX_CLOSED], uint256):
    """
    @notice Close lots of accounts against unassigned lots, at the mark, one account after the other. Closer
            only, which decides the turn of each account. Protects: only accounts on the side that has more
            lots are closed, and no further than there are unassigned lots.
    @param market [id] The market.
    @param side [id] 0 for accounts that are long, 1 for short.
    @param accounts The accounts to close, in order.
    @param most [lots] For each of them.
    @param prover The account that has ranked them; gets half of the bonds' payment for that, rounded down.
    @param executor Receiver of the other half.
    @return [lots] How many were closed, for each of them.
    @return [lots] The unassigned lots that still face that side.
    """
    assert msg.sender == CLOSER, "trading: not the closer"
    mark: IMarginPolicy.Mark = extcall MARKET.accrue(market)
    price: uint256 = mark.price
    assert mark.high != 0, "trading: no price to close at"
    lots: uint256[2] = empty(uint256[2])
    lots[0], lots[1] = staticcall MARKET.lots_of(market)
    left: uint256 = lots[side] - min(lots[side], lots[1 - side])
    rewarded: Rewarded = self._compute_reward_pot_and_notional()
    found: DynArray[uint256, bounds.MAX_CLOSED] = []
    all: uint256 = 0
    for i: uint256 in range(len(accounts), bound=bounds.MAX_CLOSED):
        owner: address = accounts[i]
        size: int256 = self._get_size(owner, market)
        closed: uint256 = 0
        if size != 0 and convert(size < 0, uint256) == side:
            closed = min(min(convert(abs(size), uint256), most[i]), left)
        if closed != 0:
            delta: int256 = convert(closed, int256)
            if size > 0:
                delta = -delta
            extcall MARKET.execute_trade(market, owner, MARKET.address, delta, price, 0, 0)
            left -= closed
            all += closed
            log Deleveraged(owner=owner, market=market, delta=delta, price=price, prover=prover)
        found.append(closed)
    amount: uint256 = self._compute_pot_share(rewarded, all * price)
    self._pay_finder(prover, amount // 2)
    self._pay_finder(executor, amount - amount // 2)
    return found, left


@external
@nonreentrant
def liquidate(owner: address, market: uint256, lots: uint256, liquidator: address = msg.sender) -> uint256:
    """
    @notice Take over lots of an account that is under its maintenance margin, into an account of the
            caller's, at the mark less a reward:

                min(equity, shortage*discount) * maintenance margin relieved / maintenance margin

            Permissionless. The market needs a current price, and the account has to be under its maintenance
            margin at the better end of the range of each such price, too. Another market without one counts
            at its last mark, and asks for no margin. Protects: a solvent account above its maintenance margin
            is never touched, and a caller chooses no second in which it is below; a market without a price
            shields no other. No more of the requested lots go than bring it back to its initial margin, but
            for dust, so a deposit just before makes the amount smaller and does not refuse it. Its equity
            never falls faster than its maintenance margin, so no account is left worse; the account that gets
            the lots needs initial margin there. No gain is reserved: nothing stops it, not in a market that
            is delisted either, until its price is final: then lots carry no risk that a reward could be for.
    @param owner Owner of the account.
    @param market [id] The market.
    @param lots [lots] How many at most, above zero.
    @param liquidator The account that gets them and the reward, another one and the caller's.
    @return [wad] The reward, rounded down; a share of it is the fund's.
    """
    assert owner != liquidator, "trading: own account"
    assert account_owner._is_owner(liquidator, msg.sender), "trading: not its liquidator"
    extcall MARKET.update_account(owner)
    extcall MARKET.update_account(liquidator)
    size: int256 = self._get_size(owner, market)
    whole: uint256 = convert(abs(size), uint256)
    assert lots != 0 and whole != 0, "trading: not that many"
    marks: Marks = self._mark_markets_of_account(owner)
    assert (marks.fresh >> market) & 1 == 1, "trading: no price of now"
    equity: int256 = self._compute_equity_and_unfinal_gains(owner)[0]
    assert equity >= 0, "trading: seize first"
    initial: uint256 = 0
    maintenance: uint256 = 0
    initial, maintenance = self._compute_margins(owner, False, marks.fresh)
    assert (
        (convert(equity, uint256) + marks.better) * units.BASIS_POINTS < maintenance
    ), "trading: safe account"
    if self._is_delisted(market) or staticcall VAULT_ENGINE.in_settlement():
        assert staticcall POLICY.final_price(market) == 0, "trading: price is final"
    price: uint256 = (extcall MARKET.accrue(market)).price
    taken: uint256 = 0
    reward: uint256 = 0
    taken, reward = staticcall POLICY.reward(
        IMarginPolicy.Takeover(
            market=market,
            whole=whole,
            lots=min(lots, whole),
            price=price,
            equity=convert(equity, uint256),
            initial=initial,
            maintenance=maintenance,
        )
    )
    fee: uint256 = reward * FEE_SHARE // units.BASIS_POINTS
    delta: int256 = convert(taken, int256)
    if size > 0:
        delta = -delta
    cost: int256 = -convert(reward, int256)
    gain: int256 = convert(reward - fee, int256)
    extcall MARKET.execute_trade(market, owner, liquidator, delta, price, cost, gain)
    self._check_account_after_trade(liquidator, market, -delta, price, price, False, False)
    log Liquidated(
        owner=owner, liquidator=liquidator, market=market, lots=taken, price=price, reward=reward, fee=fee
    )
    return reward


@external
def check_risk(owner: address):
    """
    @notice Revert unless an account may have its present risk: its initial margin without any gain that is
            not final, at current marks and at the worse ends of their ranges, in no emergency, while no mark
            is further from its index than `DIVERGENCE`. Permissionless: it marks, and changes nothing else.
            Protects: no caller picks the second in which the account's margin suffices, or takes risk at a
            mark far from the hour before.
    @param owner Owner of the account.
    """
    self._check_risk(owner, True)


# ------------------------------------------------------------------ helpers


@internal
@view
def _is_delisted(market: uint256) -> bool:
    """@dev Whether a market is delisted: then positions are only reduced."""
    return staticcall POLICY.ends_at(market) != 0


@internal
@view
def _compute_fee(notional: uint256, share: uint256) -> int256:
    """@dev Of a trade, wad, rounded up."""
    return convert(units._div_up(notional * share, units.BASIS_POINTS), int256)


@internal
@view
def _premium_fee(market: uint256, lots: uint256, mark: uint256, apart: uint256) -> int256:
    """
    @dev Fee of a price off the mark, for the account that it is better for. It is at least the payment
         between the sides in an interval due to the premium, as far as funding goes; wad, rounded up.
    """
    over: uint256 = min(apart, staticcall POLICY.max_funding_premium(market, mark))
    return convert(units._div_up(lots * over * INTERVAL, PERIOD), int256)


@internal
@view
def _get_open_lots(market: uint256) -> uint256:
    """@dev Lots of the side that has more."""
    long: uint256 = 0
    short: uint256 = 0
    long, short = staticcall MARKET.lots_of(market)
    return max(long, short)


@internal
@view
def _has_insurance_for_open_lots() -> bool:
    """
    @dev Whether insurance has the sum that all markets that ask for it need together, at their last marks: it
         is one insurance, and pays for each of them. Exactly, and no more than it may pay in this bucket of
         time. A market that has ended asks for none: its price moves no more, for any account still in it.
    """
    needed: uint256 = 0
    ended: uint256 = (staticcall MARKET.clock_of()).ended
    for market: uint256 in range(staticcall POLICY.markets(), bound=bounds.MAX_MARGIN_MARKETS):
        share: uint256 = staticcall POLICY.insured(market)
        if share != 0 and (ended >> market) & 1 == 0:
            needed += self._get_open_lots(market) * staticcall MARKET.mark_of(market) * share
    fund: IMarginFund = staticcall MARKET.FUND()
    return needed <= staticcall fund.spendable() * units.BASIS_POINTS


@internal
@view
def _compute_reward_pot_and_notional() -> Rewarded:
    """@dev The bonds' payment for unassigned lots, wad, and the worth of all of these at the marks, wei."""
    found: Rewarded = Rewarded(pot=0, notional=0)
    found.pot = staticcall MARKET.rewards()
    if found.pot != 0:
        for market: uint256 in range(staticcall POLICY.markets(), bound=bounds.MAX_MARGIN_MARKETS):
            long: uint256 = 0
            short: uint256 = 0
            long, short = staticcall MARKET.lots_of(market)
            lots: uint256 = max(long, short) - min(long, short)
            found.notional += lots * staticcall MARKET.mark_of(market)
    return found


@internal
@pure
def _compute_pot_share(rewarded: Rewarded, notional: uint256) -> uint256:
    """@dev The part of the pot for a taken over part of the notional, wei; wad, rounded down."""
    return 0 if rewarded.notional == 0 else rewarded.pot * notional // rewarded.notional


@internal
def _pay_finder(finder: address, amount: uint256):
    """@dev Pay a taker or deleverager of unassigned lots an amount in wad."""
    if amount != 0:
        extcall MARKET.reward(finder, amount)


@internal
@view
def _compute_equity_and_unfinal_gains(owner: address) -> (int256, int256):
    """@dev The equity of an account less the known haircuts, and its gains that are not final; wei."""
    standing: IPerpetualMarket.Standing = staticcall MARKET.standing_of(owner)
    return standing.own - convert(standing.haircut, int256), convert(standing.unfinal, int256)


@internal
@view
def _get_size(owner: address, market: uint256) -> int256:
    """@dev Of a position, lots."""
    for held: IPerpetualMarket.Holding in staticcall MARKET.holdings_of(owner):
        if held.market == market:
            return held.size
    return 0


@internal
def _mark_markets_of_account(owner: address) -> Marks:
    """@dev Mark all markets that an account has positions in."""
    found: Marks = empty(Marks)
    for held: IPerpetualMarket.Holding in staticcall MARKET.holdings_of(owner):
        mark: IMarginPolicy.Mark = extcall MARKET.accrue(held.market)
        if mark.high == 0:
            found.silent = True
            continue
        found.fresh |= 1 << held.market
        above: uint256 = convert(abs(held.size), uint256) * (mark.high - mark.price)
        below: uint256 = convert(abs(held.size), uint256) * (mark.price - mark.low)
        found.better += above if held.size > 0 else below
        found.worse += below if held.size > 0 else above
    return found


@internal
@view
def _compute_margins(owner: address, risk: bool, markets: uint256) -> (uint256, uint256):
    """
    @dev The initial and the maintenance margin of an account in some markets, by bits, at the marks, basis
         points x wei.
    """
    initial: uint256 = 0
    maintenance: uint256 = 0
    for held: IPerpetualMarket.Holding in staticcall MARKET.holdings_of(owner):
        if (markets >> held.market) & 1 == 0:
            continue
        needs: IMarginPolicy.MarginRequirement = staticcall POLICY.margin_requirement(
            held.market, held.size, held.price, held.open, risk
        )
        initial += needs.initial
        maintenance += needs.maintenance
    return initial, maintenance


@internal
@view
def _has_mark_diverged_from_index(owner: address) -> bool:
    """@dev Whether a mark of a market that an account has lots in is too far from its index, or has none."""
    if DIVERGENCE == 0:
        return False
    for held: IPerpetualMarket.Holding in staticcall MARKET.holdings_of(owner):
        index: uint256 = staticcall POLICY.index_price(held.market)
        apart: uint256 = max(held.price, index) - min(held.price, index)
        if apart * units.BASIS_POINTS > index * DIVERGENCE:
            return True
    return False


@internal
def _check_solvent(owner: address):
    extcall MARKET.update_account(owner)
    assert self._compute_equity_and_unfinal_gains(owner)[0] >= 0, "trading: owes, only pays in"


@internal
def _check_account_after_trade(
    owner: address,
    market: uint256,
    delta: int256,
    price: uint256,
    mark: uint256,
    only_reduce: bool,
    guards: bool,
):
    """@dev Whether an account's last action is allowed; a liquidator waits for no index."""
    size: int256 = self._get_size(owner, market)
    old: int256 = size - delta
    if (old > 0 and delta < 0 and -delta <= old) or (old < 0 and delta > 0 and delta <= -old):
        self._check_reduced(owner, market, size, delta, price, mark)
    else:
        assert not only_reduce, "trading: would not reduce"
        self._check_risk(owner, guards)


@internal
@view
def _check_reduced(
    owner: address, market: uint256, size: int256, delta: int256, price: uint256, mark: uint256
):
    """@dev Solvent, no further below maintenance than before, no gain given away that is not final."""
    equity: int256 = 0
    unfinal: int256 = 0
    equity, unfinal = self._compute_equity_and_unfinal_gains(owner)
    assert equity >= 0, "trading: insolvent"
    gained: int256 = delta * (convert(mark, int256) - convert(price, int256))
    maintenance: uint256 = self._compute_margins(owner, False, max_value(uint256))[1]
    if convert(equity, uint256) * units.BASIS_POINTS < maintenance:
        before: uint256 = staticcall POLICY.maintenance(market, convert(abs(size - delta), uint256) * mark)
        left: uint256 = staticcall POLICY.maintenance(market, convert(abs(size), uint256) * mark)
        relieved: int256 = convert(before, int256) - convert(left, int256)
        assert gained * convert(units.BASIS_POINTS, int256) + relieved >= 0, "trading: margin would fall"
    assert gained >= 0 or equity >= unfinal, "trading: gains are not final"


@internal
def _check_risk(owner: address, guards: bool):
    """@dev As in `check_risk`; the index counts if asked."""
    if RISK_POLICY != empty(address):
        policy: IRiskPolicy = IRiskPolicy(staticcall VAULT_ENGINE.risk_policy())
        assert staticcall policy.mode() < EMERGENCY, "trading: emergency"
    assert not staticcall VAULT_ENGINE.in_settlement(), "trading: in settlement"
    marks: Marks = self._mark_markets_of_account(owner)
    assert not marks.silent, "trading: no price for risk"
    assert not (guards and self._has_mark_diverged_from_index(owner)), "trading: mark is off its index"
    equity: int256 = 0
    unfinal: int256 = 0
    equity, unfinal = self._compute_equity_and_unfinal_gains(owner)
    left: int256 = equity - unfinal - convert(marks.worse, int256)
    initial: uint256 = self._compute_margins(owner, True, marks.fresh)[0]
    assert left * convert(units.BASIS_POINTS, int256) >= convert(initial, int256), "trading: initial margin"
