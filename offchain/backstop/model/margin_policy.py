"""Terms of perpetual markets: the price source, lot size, margins, rewards, limits of funding.

Prices are wei of stablecoin a lot, rounded down; margins basis points x wei over a position's notional,
exactly:

    initial      n*initial + A(n)            A(n) = sum of max(0, n - above)*rate
    maintenance  n*maintenance + A(n)
    new risk     n*initial + max(A(n), A_market(N) - A_market(N - n)), N the notional that is open
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from backstop.contract_base import (
    World,
    declare_record_slot_bit_widths,
    external,
    immutable,
    require,
    view,
)
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD, add_uint256, div, div_up, mul_uint256, sub
from backstop.model.interfaces import Bracket, IPriceFeed, MarginRequirement, Mark, Takeover
from backstop.model.roles import Administered


class MarketTerms(NamedTuple):
    """Terms of a perpetual market as the admin sets them: margins, brackets, limits and funding."""

    initial: int  # basis points of notional
    maintenance: int
    discount: int  # basis points of the shortage
    haircut: int  # basis points of realised gains
    max_funding: int  # basis points of the price in a period
    of_accounts: tuple[Bracket, Bracket]
    of_market: tuple[Bracket, Bracket]
    open_limit: int  # lots
    dust: int  # whole stablecoins
    insured: int  # basis points of what is open that insurance has to have; 0 is off


@declare_record_slot_bit_widths(14, 14, 16, 14, 14, 32, 14, 32, 14, 32, 14, 32, 14)
class Margins(NamedTuple):
    """Margin terms and size brackets of a perpetual market, as the contract stores them."""

    initial: int = 0
    maintenance: int = 0
    discount: int = 0
    haircut: int = 0
    max_funding: int = 0
    account_above_1: int = 0
    account_rate_1: int = 0
    account_above_2: int = 0
    account_rate_2: int = 0
    market_above_1: int = 0
    market_rate_1: int = 0
    market_above_2: int = 0
    market_rate_2: int = 0

    @property
    def of_accounts(self) -> tuple[Bracket, Bracket]:
        return Bracket(*self[5:7]), Bracket(*self[7:9])

    @property
    def of_market(self) -> tuple[Bracket, Bracket]:
        return Bracket(*self[9:11]), Bracket(*self[11:13])

    def initial_margin(self, notional: int) -> int:
        """Return the initial margin of a position with this notional value [basis points x wei]."""
        return add_uint256(
            mul_uint256(notional, self.initial), _sum_bracket_steps(self.of_accounts, notional)
        )

    def new_risk_margin(self, notional: int, market_open_notional: int) -> int:
        """Return the initial margin of a trade that raises risk [basis points x wei].

        Above the plain rate it adds brackets for size: the higher of the position's own brackets and those of
        the last part of the market's open notional value.
        """
        everything = max(notional, market_open_notional)
        last = _sum_bracket_steps(self.of_market, everything) - _sum_bracket_steps(
            self.of_market, everything - notional
        )
        own = _sum_bracket_steps(self.of_accounts, notional)
        return add_uint256(self.initial_margin(notional), max(last, own) - own)

    def maintenance_margin(self, notional: int) -> int:
        """Return the maintenance margin of a position with this notional value [basis points x wei]."""
        return add_uint256(
            mul_uint256(notional, self.maintenance), _sum_bracket_steps(self.of_accounts, notional)
        )


@declare_record_slot_bit_widths(63, 32, 96, 8, 32, 14)
class Underlying(NamedTuple):
    """Base asset, limits and end time of a perpetual market."""

    open_limit: int = 0
    dust: int = 0
    lot: int = 0  # wad of the base asset
    feed: int = 0  # market of the price feed
    ends_at: int = 0  # seconds: when a market that is delisted begins to be settled
    insured: int = 0  # basis points of what is open that insurance has to have; 0 is off

    def of_lot(self, price: int) -> int:
        """Return the price of one lot [wei] for a price of the asset [ray], rounded down, at least 1.

        The price is never 0, because small remainders (dust) are counted in lots.
        """
        return max(1, price * self.lot // RAY)


class MarginPolicy(Administered):
    """Contract with the prices, margin terms and liquidation rewards of perpetual markets.

    Model of contracts/MarginPolicy.vy.
    """

    KIND = "MarginPolicy"

    price_feed_address = immutable("PRICE_FEED", str)

    def __init__(self, world: World, name: str, address: str, price_feed: str, admin: str) -> None:
        super().__init__(world, name, address, admin)
        self.price_feed_address = price_feed
        self.count = self.table("markets")
        self.terms = self.table("terms", Margins())
        self.underlyings = self.table("underlyings", Underlying())

    @property
    def feed(self) -> IPriceFeed:
        return cast(IPriceFeed, self.world.at(self.price_feed_address))

    @external
    def add_market(self, sender: str, feed: int, lot: int, terms: Sequence[Any]) -> int:
        """List a perpetual market, and return its id. Only the admin may call this.

        `feed` is the market of the price feed, and `lot` the size of a lot of the base asset [wad].
        """
        self._only_admin(sender)
        market = int(self.count[()])
        require(market < bounds.MAX_MARGIN_MARKETS, "margin_policy: too many markets")
        require(0 < lot <= bounds.MAX_LOT, "margin_policy: lot bounds")
        require(feed <= bounds.EQUITY_MARKET, "margin_policy: feed bounds")
        self.count[()] = market + 1
        self.underlyings[market] = Underlying(lot=lot, feed=feed)
        self.emit("MarketAdded", market, feed, lot)
        self._set_terms(market, terms)
        return market

    @external
    def set_terms(self, sender: str, market: int, terms: Sequence[Any]) -> None:
        """Set the terms of a perpetual market; with an open limit of 0, positions can only be reduced.

        Only the admin may call this.
        """
        self._only_admin(sender)
        require(market < self.count[()], "margin_policy: unknown market")
        self._set_terms(market, terms)

    @external
    def delist(self, sender: str, market: int, at: int) -> None:
        """Delist a perpetual market permanently: positions can only be reduced, until it is settled.

        Settlement at a final price begins at the time `at` [seconds]. Only the admin may call this.
        """
        self._only_admin(sender)
        require(market < self.count[()], "margin_policy: unknown market")
        base: Underlying = self.underlyings[market]
        require(base.ends_at == 0, "margin_policy: is delisted")
        now = self.world.timestamp
        require(now + bounds.MIN_NOTICE <= at <= now + bounds.MAX_NOTICE, "margin_policy: notice bounds")
        self.underlyings[market] = base._replace(ends_at=at)
        self.emit("MarketDelisted", market, at)
        self.feed.plan_final_price(self.address, base.feed, at)

    @view
    def margin_requirement(
        self, sender: str, market: int, size: int, price: int, open: int, risk: bool
    ) -> MarginRequirement:
        """Return the margins of a position of `size` lots at a price [wei a lot].

        If `risk` is True, the initial margin is that of a trade that raises risk. `open` is the market's open
        interest in lots.
        """
        notional = mul_uint256(abs(size), price)
        terms: Margins = self.terms[market]
        if risk:
            initial = terms.new_risk_margin(notional, mul_uint256(open, price))
        else:
            initial = terms.initial_margin(notional)
        return MarginRequirement(price, notional, initial, terms.maintenance_margin(notional))

    @view
    def mark_price(self, sender: str, market: int, age: int) -> Mark:
        """Return a market's mark price with the range of reported prices [wei a lot].

        Reports are at most `age` seconds old. All are zero without a price. The price and the low are rounded
        down, the high up. For a market in settlement, the result is its final price if the present prices
        hold.
        """
        base: Underlying = self.underlyings[market]
        if not base.lot:
            return Mark()
        mark = self.feed.mark_within(self.address, base.feed, age, base.ends_at)
        if not mark.price:
            return Mark()
        return Mark(base.of_lot(mark.price), base.of_lot(mark.low), div_up(mark.high * base.lot, RAY))

    @view
    def index_price(self, sender: str, market: int) -> int:
        """Return the feed's current price for a market [wei a lot, rounded down]; 0 if it is stale."""
        base: Underlying = self.underlyings[market]
        price = self.feed.current_price(self.address, base.feed) if base.lot else 0
        return base.of_lot(price) if price else 0

    @view
    def final_price(self, sender: str, market: int) -> int:
        """Return the price at which a market is settled [wei a lot, rounded down]; 0 if there is none yet."""
        base: Underlying = self.underlyings[market]
        if base == Underlying():
            return 0
        done, price = self.feed.final_price_from(self.address, base.feed, base.ends_at)
        return base.of_lot(price) if done else 0

    @view
    def ends_at(self, sender: str, market: int) -> int:
        """Return the time at which a delisted market's settlement begins [seconds]; 0 if not delisted."""
        return int(self.underlyings[market].ends_at)

    @view
    def maintenance(self, sender: str, market: int, notional: int) -> int:
        """Return the maintenance margin of a position with this notional value [basis points x wei]."""
        terms: Margins = self.terms[market]
        return terms.maintenance_margin(notional)

    @view
    def reward(self, sender: str, takeover: Takeover) -> tuple[int, int]:
        """Return the number of lots that a liquidator takes over, and the liquidator's reward [wad].

        Reverts if the account is not under its initial margin.
        """
        each = Takeover(*takeover)
        return compute_takeover_lots_and_reward(
            self.terms[each.market], self.underlyings[each.market].dust, each
        )

    @view
    def max_funding_premium(self, sender: str, market: int, price: int) -> int:
        """Return the most that funding may deviate from the price [wei a lot, each funding period].

        0 in a delisted market.
        """
        if self.underlyings[market].ends_at:
            return 0
        return mul_uint256(price, int(self.terms[market].max_funding)) // BASIS_POINTS

    @view
    def open_limit(self, sender: str, market: int) -> int:
        """Return the limit on a market's open interest [lots]."""
        return int(self.underlyings[market].open_limit)

    @view
    def insured(self, sender: str, market: int) -> int:
        """Return the part of open interest that insurance must hold [basis points]; 0 if none is required."""
        return int(self.underlyings[market].insured)

    @view
    def haircut(self, sender: str, market: int) -> int:
        """Return the part of realised gains that repays unpaid losses [basis points]."""
        return int(self.terms[market].haircut)

    @view
    def terms_of(self, sender: str, market: int) -> MarketTerms:
        """Return the terms of a perpetual market, as the admin set them."""
        terms: Margins = self.terms[market]
        base: Underlying = self.underlyings[market]
        last = base.open_limit, base.dust, base.insured
        return MarketTerms(*terms[:5], terms.of_accounts, terms.of_market, *last)

    @view
    def base_of(self, sender: str, market: int) -> tuple[int, int]:
        """Return the market of the price feed that prices the base asset, and the size of a lot [wad]."""
        base: Underlying = self.underlyings[market]
        return base.feed, base.lot

    @view
    def markets(self, sender: str) -> int:
        """Return the number of perpetual markets."""
        return int(self.count[()])

    def _set_terms(self, market: int, terms: Sequence[Any]) -> None:
        new = MarketTerms(*terms)
        require(new.initial <= bounds.MAX_MARGIN, "margin_policy: initial bounds")
        require(bounds.MIN_MARGIN <= new.maintenance < new.initial, "margin_policy: upkeep bounds")
        require(new.discount <= bounds.MAX_LIQUIDATION_DISCOUNT, "margin_policy: discount bounds")
        require(bounds.MIN_HAIRCUT <= new.haircut <= BASIS_POINTS, "margin_policy: haircut bounds")
        require(new.max_funding <= bounds.MAX_FUNDING, "margin_policy: funding bounds")
        most = min(bounds.MAX_OPEN_LOTS, bounds.MAX_OPEN // self.underlyings[market].lot)
        require(new.open_limit <= most, "margin_policy: open bounds")
        require(new.dust <= bounds.MAX_DEBT_FLOOR, "margin_policy: dust bounds")
        require(new.insured <= BASIS_POINTS, "margin_policy: insured bounds")
        brackets: list[int] = []
        for pair in (new.of_accounts, new.of_market):
            total = 0
            for above, rate in pair:
                require(above <= bounds.MAX_DEBT_CEILING, "margin_policy: bracket bounds")
                total = add_uint256(total, rate)
                # What does not fit its field reverts in the end, and says so first only if a bound does.
                brackets += (above, rate)
            require(total <= bounds.MAX_MARGIN, "margin_policy: bracket rates")
        self.terms[market] = Margins(*new[:5], *brackets)
        self.underlyings[market] = self.underlyings[market]._replace(
            open_limit=new.open_limit, dust=new.dust, insured=new.insured
        )
        plain = new._replace(
            of_accounts=cast(Any, tuple(map(tuple, new.of_accounts))),
            of_market=cast(Any, tuple(map(tuple, new.of_market))),
        )
        self.emit("TermsSet", market, tuple(plain))


def compute_takeover_lots_and_reward(
    terms: Margins, min_remainder: int, takeover: Takeover
) -> tuple[int, int]:
    """Return the number of lots that a liquidator takes over, and the reward [wad, rounded down].

    The lots are at most those that bring the account back to its initial margin. The whole position is taken
    if the rest would be worth less than `min_remainder` [whole stablecoins]. Raises RevertError if no lot is
    needed.
    """
    lots = takeover.lots
    if not _is_short(terms, takeover, sub(lots, 1)):
        # The more lots have gone the less it is short: search for the first that need not go.
        fits = 0
        while fits != lots:
            middle = (fits + lots) // 2
            if _is_short(terms, takeover, middle):
                fits = middle + 1
            else:
                lots = middle
    require(lots != 0, "margin_policy: more than needed")
    if (takeover.whole - lots) * takeover.price < min_remainder * WAD:
        lots = takeover.whole
    return lots, _compute_liquidator_reward(terms, takeover, lots)


def _is_short(terms: Margins, each: Takeover, lots: int) -> bool:
    """Return True if an account would still be under its initial margin after `lots` lots are taken over."""
    left = sub(each.equity, _compute_liquidator_reward(terms, each, lots))
    initial = add_uint256(
        sub(each.initial, terms.initial_margin(mul_uint256(each.whole, each.price))),
        terms.initial_margin(sub(each.whole, lots) * each.price),
    )
    return mul_uint256(left, BASIS_POINTS) < initial


def _sum_bracket_steps(brackets: tuple[Bracket, Bracket], notional: int) -> int:
    """Return the extra margin for size: the sum of max(0, notional - above)*rate over both brackets."""
    return sum(max(0, notional - bracket.above * WAD) * bracket.rate for bracket in brackets)


def _compute_liquidator_reward(terms: Margins, each: Takeover, lots: int) -> int:
    relieved = terms.maintenance_margin(mul_uint256(each.whole, each.price))
    relieved -= terms.maintenance_margin(sub(each.whole, lots) * each.price)
    shortage = each.maintenance // BASIS_POINTS
    shortage -= min(shortage, each.equity)
    share = min(each.equity, shortage * terms.discount // BASIS_POINTS)
    return div(share * relieved, each.maintenance)
