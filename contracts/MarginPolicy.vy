# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
"""
@title MarginPolicy
@license GNU Affero General Public License v3.0 only
@notice The terms of perpetual markets: the source of the price, the size of a lot, the margin of a position,
        a liquidator's reward, and the limit of funding. It holds no money and knows no account.
@dev Prices are wei of stablecoin for one lot, rounded down. Margins are exact, in basis points x wei, over
     a position's notional n; brackets are continuous, so nothing is gained at an edge:

       initial      n*initial + A(n)            A(n) = sum of max(0, n - above)*rate
       maintenance  n*maintenance + A(n)
       new risk     n*initial + max(A(n), A_market(N) - A_market(N - n)), N the notional that is open

     Packed by hand: one record is one slot, the first field at bit 0.
"""
from contracts.interfaces import IMarginPolicy
from contracts.interfaces import IPriceFeed
from contracts.modules import bounds
from contracts.modules import roles
from contracts.modules import units

implements: IMarginPolicy

initializes: roles

exports: (
    roles.admin,
    roles.pending_admin,
    roles.transfer_admin,
    roles.accept_admin,
    roles.grant_role,
    roles.revoke_role,
    roles.has_role,
)


event MarketAdded:
    market: indexed(uint256)  # [id]
    feed: uint256  # [id] Of the price feed's market.
    lot: uint256  # [wad] Of the base asset.


event TermsSet:
    market: indexed(uint256)  # [id]
    terms: Terms


event MarketDelisted:
    market: indexed(uint256)  # [id]
    ends_at: uint256  # [timestamp]


struct Bracket:
    above: uint256  # whole stablecoins of notional, 32 bits
    rate: uint256  # basis points, 14 bits


struct Terms:
    initial: uint256  # basis points of notional, 14 bits
    maintenance: uint256  # basis points of notional, 14 bits
    discount: uint256  # basis points of the shortage that a liquidator gets, 16 bits
    haircut: uint256  # basis points of realised gains that repay unpaid losses, 14 bits
    max_funding: uint256  # basis points of the price in a period, 14 bits
    of_accounts: Bracket[2]  # more margin for a large position
    of_market: Bracket[2]  # more margin for new risk in a large market
    open_limit: uint256  # lots that may be long, 63 bits
    dust: uint256  # whole stablecoins of notional, 32 bits
    insured: uint256  # basis points of what is open that insurance has to have, 14 bits; 0 is off


MASK_8: constant(uint256) = 2**8 - 1
MASK_14: constant(uint256) = 2**14 - 1
MASK_16: constant(uint256) = 2**16 - 1
MASK_32: constant(uint256) = 2**32 - 1
MASK_46: constant(uint256) = 2**46 - 1
MASK_63: constant(uint256) = 2**63 - 1
MASK_96: constant(uint256) = 2**96 - 1
# Where the moment is in which a market begins to be settled.
ENDS: constant(uint256) = 199
# Where the share is that insurance has to have.
INSURED: constant(uint256) = 231
# Where the brackets begin in their slot.
OF_ACCOUNTS: constant(uint256) = 72
OF_MARKET: constant(uint256) = 164

PRICE_FEED: public(immutable(IPriceFeed))

# How many markets there are.
markets: public(uint256)
# market -> Terms up to the brackets
terms: HashMap[uint256, uint256]
# market -> the limit and the dust of Terms, the lot (wad, 96 bits), the market of the feed (8 bits), when it
# begins to be settled (seconds, 32 bits; 0 is never), and what has to be insured
underlyings: HashMap[uint256, uint256]


@deploy
def __init__(price_feed: address, admin: address):
    """
    @param price_feed The feed that sets index and mark prices.
    @param admin Lists markets and sets their terms.
    """
    roles.__init__(admin)
    PRICE_FEED = IPriceFeed(price_feed)


# --------------------------------------------------------------- parameters


@external
def add_market(feed: uint256, lot: uint256, terms: Terms) -> uint256:
    """
    @notice List a market. Admin only. Its feed and its lot never change.
    @param feed [id] Market of the price feed. There is no trade before it has a price.
    @param lot [wad] Of the base asset.
    @param terms Margins, and the other terms that can be changed.
    @return [id] The market.
    """
    roles._only_admin()
    market: uint256 = self.markets
    assert market < bounds.MAX_MARGIN_MARKETS, "margin_policy: too many markets"
    assert lot != 0 and lot <= bounds.MAX_LOT, "margin_policy: lot bounds"
    assert feed <= bounds.EQUITY_MARKET, "margin_policy: feed bounds"
    self.markets = market + 1
    self.underlyings[market] = (lot << 95) | (feed << 191)
    log MarketAdded(market=market, feed=feed, lot=lot)
    self._set_terms(market, terms)
    return market


@external
def set_terms(market: uint256, terms: Terms):
    """
    @notice Set a market's terms. Admin only. An open limit of 0 lets it only shrink.
    @param market [id] The market.
    @param terms Margins, and the other terms that can be changed.
    """
    roles._only_admin()
    self._check_market(market)
    self._set_terms(market, terms)


@external
def delist(market: uint256, at: uint256):
    """
    @notice End a market, for good. Admin only. From now on its positions are only reduced, and pay no new
            funding; from a moment on the feed makes the price that they are settled at, as in settlement.
            Protects: there is time to leave, or to close hedged positions elsewhere; no account chooses the
            moment once it is known, and it cannot be revoked.
    @param market [id] The market.
    @param at [timestamp] The moment, `bounds.MIN_NOTICE` to `bounds.MAX_NOTICE` from now.
    """
    roles._only_admin()
    self._check_market(market)
    word: uint256 = self.underlyings[market]
    assert self._ends(word) == 0, "margin_policy: is delisted"
    assert (
        at >= block.timestamp + bounds.MIN_NOTICE and at <= block.timestamp + bounds.MAX_NOTICE
    ), "margin_policy: notice bounds"
    self.underlyings[market] = word | (at << ENDS)
    log MarketDelisted(market=market, ends_at=at)
    extcall PRICE_FEED.plan_final_price(self._feed(word), at)


# -------------------------------------------------------------------- views


@external
@view
def margin_requirement(
    market: uint256, size: int256, price: uint256, open: uint256, risk: bool
) -> IMarginPolicy.MarginRequirement:
    """
    @notice The margin that a position needs at a price.
    @param market [id] The market.
    @param size [lots] Above zero is long.
    @param price [wei a lot] Any.
    @param open [lots] Long in the market; they count for new risk.
    @param risk Whether the initial margin is that of new risk.
    @return The price, the notional and both margins, exactly.
    """
    notional: uint256 = convert(abs(size), uint256) * price
    terms: uint256 = self.terms[market]
    initial: uint256 = self._initial(terms, notional)
    if risk:
        everything: uint256 = max(notional, open * price)
        last: uint256 = self._sum_bracket_steps(terms >> OF_MARKET, everything)
        last -= self._sum_bracket_steps(terms >> OF_MARKET, everything - notional)
        own: uint256 = self._sum_bracket_steps(terms >> OF_ACCOUNTS, notional)
        initial += max(last, own) - own
    return IMarginPolicy.MarginRequirement(
        price=price, notional=notional, initial=initial, maintenance=self._maintenance(terms, notional)
    )


@external
@view
def mark_price(market: uint256, age: uint256) -> IMarginPolicy.Mark:
    """
    @notice Return the price from the reports of some seconds, and the range of the seconds before; for a
            market in settlement, its final price if these hold. Protects: a market that trades at it trades
            at no older one, and its last move is not known before it is made.
    @param market [id] The market.
    @param age [seconds] Of the oldest report that counts.
    @return Price and low rounded down, high up, at least 1; zeros without a quorum of such reports, or
            halted.
    """
    base: uint256 = self.underlyings[market]
    if base == 0:
        return empty(IMarginPolicy.Mark)
    mark: IPriceFeed.Mark = staticcall PRICE_FEED.mark_within(self._feed(base), age, self._ends(base))
    if mark.price == 0:
        return empty(IMarginPolicy.Mark)
    return IMarginPolicy.Mark(
        price=self._of_lot(base, mark.price),
        low=self._of_lot(base, mark.low),
        high=units._div_up(mark.high * self._lot(base), units.RAY),
    )


@external
@view
def index_price(market: uint256) -> uint256:
    """
    @notice Return the index of a market: the current price of its feed, which was public for a step of it.
            Protects: new risk is not taken at a mark that could not be contested.
    @param market [id] The market.
    @return [wei a lot] Rounded down, at least 1; 0 if it is stale, or there is none.
    """
    base: uint256 = self.underlyings[market]
    if base == 0:
        return 0
    price: uint256 = staticcall PRICE_FEED.current_price(self._feed(base))
    if price == 0:
        return 0
    return self._of_lot(base, price)


@external
@view
def final_price(market: uint256) -> uint256:
    """
    @notice The price that a market is settled at: of its own closing if it is delisted, or of the settlement
            of the protocol if that began before. Protects: one price for every caller, at any time.
    @param market [id] The market.
    @return [wei a lot] Rounded down, at least 1; 0 until it is final, and of no market.
    """
    base: uint256 = self.underlyings[market]
    if base == 0:
        return 0
    done: bool = False
    price: uint256 = 0
    done, price = staticcall PRICE_FEED.final_price_from(self._feed(base), self._ends(base))
    if not done:
        return 0
    return self._of_lot(base, price)


@external
@view
def ends_at(market: uint256) -> uint256:
    """
    @notice When a market that is delisted begins to be settled.
    @param market [id] The market.
    @return [timestamp] The moment; 0 if it is not delisted.
    """
    return self._ends(self.underlyings[market])


@external
@view
def maintenance(market: uint256, notional: uint256) -> uint256:
    """
    @notice The maintenance margin of a position.
    @param market [id] The market.
    @param notional [wei] Of the position.
    @return [basis points x wei] Exactly.
    """
    return self._maintenance(self.terms[market], notional)


@external
@view
def reward(takeover: IMarginPolicy.Takeover) -> (uint256, uint256):
    """
    @notice Return how many of the requested lots of an account under its maintenance margin are taken, and a
            liquidator's reward for them:

                min(equity, shortage*discount) * maintenance margin relieved / maintenance margin

            No more lots go than bring the account back to its initial margin; if the rest would be dust, all.
            Protects: a deposit or a trade just before makes a liquidation smaller, and does not refuse it;
            the account's equity never falls by a larger share than its maintenance margin.
    @param takeover The most lots, and the account before they go.
    @return [lots] How many go.
    @return [wad] Rounded down.
    """
    terms: uint256 = self.terms[takeover.market]
    lots: uint256 = takeover.lots
    if not self._is_short(terms, takeover, lots - 1):
        # The more lots have gone the less it is short: search for the first that need not go.
        fits: uint256 = 0
        for _: uint256 in range(64):
            if fits == lots:
                break
            middle: uint256 = (fits + lots) // 2
            if self._is_short(terms, takeover, middle):
                fits = middle + 1
            else:
                lots = middle
    assert lots != 0, "margin_policy: more than needed"
    dust: uint256 = (self.underlyings[takeover.market] >> 63 & MASK_32) * units.WAD
    if (takeover.whole - lots) * takeover.price < dust:
        lots = takeover.whole
    return lots, self._compute_liquidator_reward(terms, takeover, lots)


@external
@view
def max_funding_premium(market: uint256, price: uint256) -> uint256:
    """
    @notice How far from a price funding may follow trades: not at all in a market that is delisted. Protects:
            a trader that finds no counterparty to close against does not pay for that.
    @param market [id] The market.
    @param price [wei a lot] Any.
    @return [wei a lot] In a period, rounded down.
    """
    if self._ends(self.underlyings[market]) != 0:
        return 0
    return price * ((self.terms[market] >> 58) & MASK_14) // units.BASIS_POINTS


@external
@view
def open_limit(market: uint256) -> uint256:
    """
    @notice How much may be open in a market.
    @param market [id] The market.
    @return [lots] Long.
    """
    return self.underlyings[market] & MASK_63


@external
@view
def insured(market: uint256) -> uint256:
    """
    @notice Return the share of all open lots that insurance has to hold, before more are opened.
    @param market [id] The market.
    @return [basis points] Of lots at the mark; 0: the market does not ask.
    """
    return self.underlyings[market] >> INSURED


@external
@view
def haircut(market: uint256) -> uint256:
    """
    @notice Return the most that gains of a cycle give for losses that are late.
    @param market [id] The market.
    @return [basis points] Of the gains.
    """
    return (self.terms[market] >> 44) & MASK_14


@external
@view
def terms_of(market: uint256) -> Terms:
    """
    @notice A market's terms.
    @param market [id] The market.
    @return The record.
    """
    word: uint256 = self.terms[market]
    lots: uint256 = self.underlyings[market]
    return Terms(
        initial=word & MASK_14,
        maintenance=(word >> 14) & MASK_14,
        discount=(word >> 28) & MASK_16,
        haircut=(word >> 44) & MASK_14,
        max_funding=(word >> 58) & MASK_14,
        of_accounts=self._unpacked(word >> OF_ACCOUNTS),
        of_market=self._unpacked(word >> OF_MARKET),
        open_limit=lots & MASK_63,
        dust=(lots >> 63) & MASK_32,
        insured=lots >> INSURED,
    )


@external
@view
def base_of(market: uint256) -> (uint256, uint256):
    """
    @notice Return the source of a market's price, and the size of a lot.
    @param market [id] The market.
    @return [id] The market of the price feed.
    @return [wad] Of the base asset.
    """
    word: uint256 = self.underlyings[market]
    return self._feed(word), self._lot(word)


# ------------------------------------------------------------------ helpers


@internal
@view
def _check_market(market: uint256):
    assert market < self.markets, "margin_policy: unknown market"


@internal
@pure
def _feed(word: uint256) -> uint256:
    """@dev The market of the feed."""
    return (word >> 191) & MASK_8


@internal
@pure
def _ends(word: uint256) -> uint256:
    """@dev When it begins to be settled, seconds; 0 is never."""
    return (word >> ENDS) & MASK_32


@internal
@pure
def _of_lot(word: uint256, price: uint256) -> uint256:
    """@dev A price as one of a lot, rounded down. Never zero: dust is counted in lots of it."""
    return max(1, price * self._lot(word) // units.RAY)


@internal
@pure
def _lot(word: uint256) -> uint256:
    """@dev Wad of the base asset."""
    return (word >> 95) & MASK_96


@internal
@pure
def _initial(terms: uint256, notional: uint256) -> uint256:
    return notional * (terms & MASK_14) + self._sum_bracket_steps(terms >> OF_ACCOUNTS, notional)


@internal
@pure
def _maintenance(terms: uint256, notional: uint256) -> uint256:
    return notional * ((terms >> 14) & MASK_14) + self._sum_bracket_steps(terms >> OF_ACCOUNTS, notional)


@internal
@pure
def _sum_bracket_steps(brackets: uint256, notional: uint256) -> uint256:
    """@dev Sum of max(0, notional - above)*rate over two brackets."""
    found: uint256 = 0
    for i: uint256 in range(2):
        bracket: uint256 = (brackets >> (46 * i)) & MASK_46
        above: uint256 = (bracket & MASK_32) * units.WAD
        if notional > above:
            found += (notional - above) * (bracket >> 32)
    return found


@internal
@pure
def _is_short(terms: uint256, takeover: IMarginPolicy.Takeover, lots: uint256) -> bool:
    """@dev Whether an account is still under its initial margin once so many lots have gone."""
    left: uint256 = takeover.equity - self._compute_liquidator_reward(terms, takeover, lots)
    initial: uint256 = (
        takeover.initial
        - self._initial(terms, takeover.whole * takeover.price)
        + self._initial(terms, (takeover.whole - lots) * takeover.price)
    )
    return left * units.BASIS_POINTS < initial


@internal
@pure
def _compute_liquidator_reward(terms: uint256, takeover: IMarginPolicy.Takeover, lots: uint256) -> uint256:
    relieved: uint256 = self._maintenance(terms, takeover.whole * takeover.price)
    relieved -= self._maintenance(terms, (takeover.whole - lots) * takeover.price)
    shortage: uint256 = takeover.maintenance // units.BASIS_POINTS
    shortage -= min(shortage, takeover.equity)
    discount: uint256 = (terms >> 28) & MASK_16
    return min(takeover.equity, shortage * discount // units.BASIS_POINTS) * relieved // takeover.maintenance


@internal
def _set_terms(market: uint256, terms: Terms):
    assert terms.initial <= bounds.MAX_MARGIN, "margin_policy: initial bounds"
    assert (
        terms.maintenance >= bounds.MIN_MARGIN and terms.maintenance < terms.initial
    ), "margin_policy: upkeep bounds"
    assert terms.discount <= bounds.MAX_LIQUIDATION_DISCOUNT, "margin_policy: discount bounds"
    assert (
        terms.haircut >= bounds.MIN_HAIRCUT and terms.haircut <= units.BASIS_POINTS
    ), "margin_policy: haircut bounds"
    assert terms.max_funding <= bounds.MAX_FUNDING, "margin_policy: funding bounds"
    lot: uint256 = (self.underlyings[market] >> 95) & MASK_96
    assert (
        terms.open_limit <= bounds.MAX_OPEN_LOTS and terms.open_limit * lot <= bounds.MAX_OPEN
    ), "margin_policy: open bounds"
    assert terms.dust <= bounds.MAX_DEBT_FLOOR, "margin_policy: dust bounds"
    assert terms.insured <= units.BASIS_POINTS, "margin_policy: insured bounds"
    self.terms[market] = (
        terms.initial
        | (terms.maintenance << 14)
        | (terms.discount << 28)
        | (terms.haircut << 44)
        | (terms.max_funding << 58)
        | (self._packed(terms.of_accounts) << OF_ACCOUNTS)
        | (self._packed(terms.of_market) << OF_MARKET)
    )
    kept: uint256 = (self.underlyings[market] & (2**INSURED - 1)) >> 95 << 95
    self.underlyings[market] = kept | terms.open_limit | (terms.dust << 63) | (terms.insured << INSURED)
    log TermsSet(market=market, terms=terms)


@internal
@pure
def _packed(brackets: Bracket[2]) -> uint256:
    word: uint256 = 0
    total: uint256 = 0
    for i: uint256 in range(2):
        assert brackets[i].above <= bounds.MAX_DEBT_CEILING, "margin_policy: bracket bounds"
        total += brackets[i].rate
        word |= (brackets[i].above | (brackets[i].rate << 32)) << (46 * i)
    assert total <= bounds.MAX_MARGIN, "margin_policy: bracket rates"
    return word


@internal
@pure
def _unpacked(brackets: uint256) -> Bracket[2]:
    found: Bracket[2] = empty(Bracket[2])
    for i: uint256 in range(2):
        bracket: uint256 = (brackets >> (46 * i)) & MASK_46
        found[i] = Bracket(above=bracket & MASK_32, rate=bracket >> 32)
    return found
