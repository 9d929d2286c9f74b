"""One price for each collateral type: a delayed median with a time-weighted average and a limit on its age.

Prices in ray per 1e18 of collateral; zero means "no price". A market is its collateral type's id. A price
that a guard holds back makes `next` zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from backstop.contract_base import (
    ZERO_ADDRESS,
    World,
    declare_record_slot_bit_widths,
    external,
    require,
    view,
)
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, div_up
from backstop.model.interfaces import Mark, Prices
from backstop.model.price_drops import PriceDrops, PriceDropState
from backstop.model.roles import GUARDIAN, SETTLEMENT
from backstop.model.settlement_price import Closing, Market, SettlementPrices, build_key
from backstop.model.signed_reports import (
    DOMAIN_NAME,
    DOMAIN_VERSION,
    SignedReport,
    recover_signer,
    report_digest,
)

RAY_TO_8_DECIMALS = 10**19
# The ends of a range are in millionths of the price.
MILLION = 10**6


# The last second that its field holds.
FOREVER = 2**32 - 1


@declare_record_slot_bit_widths(8, 8, 32, 32, 32, 32, 14, 2, 24, 24, 1, 2, 32, 1, 1, 1)
class Config(NamedTuple):
    """How a market's price is made, its guards, and the state of the guards; times in seconds."""

    reporters: int = 0
    quorum: int = 0
    step: int = 0
    max_age: int = 0
    stale_after: int = 0
    window: int = 0
    deviation: int = 0
    confirmations: int = 0
    grace: int = 0
    dead_after: int = 0
    halted: bool = False
    suspect: int = 0
    grace_until: int = 0
    closing: bool = False
    planned: bool = False
    settled: bool = False

    def has_halt_or_grace(self, now: int) -> bool:
        """Return True if a halt or grace period suspends new risk and liquidations at `now` [seconds]."""
        return self.halted or now < self.grace_until


# Fields of a Config that are no guards, and those from which on nothing holds a price back.
MAKING = Config._fields.index("deviation")
CLOSING = Config._fields.index("closing")


@declare_record_slot_bit_widths(144, 32, 32, 32, 16)
class Average(NamedTuple):
    """State of a market's time-weighted average: cumulative price [ray x seconds] and checkpoint times."""

    cumulative: int = 0
    since: int = 0
    stepped_at: int = 0
    checkpoint_at: int = 0
    fallen: int = 0  # how far the lowest known price is under its highest (see falls)


@declare_record_slot_bit_widths(112, 24, 24, 64, 32)
class Report(NamedTuple):
    """Last price that a reporter submitted, and the range of prices it saw since a given time."""

    price: int = 0
    low: int = 0  # millionths of the price, rounded down
    high: int = 0  # millionths of the price, rounded up
    since: int = 0  # when the range begins [seconds]
    reported_at: int = 0

    @classmethod
    def build_price_report(cls, price: int, low: int, high: int, since: int, reported_at: int) -> Report:
        """Return a report with its range stored in millionths of the price, rounded outward.

        The arguments are in ray and seconds. Raises RevertError if `low <= price <= high` does not hold, or
        if `high` is more than 16 times the price.
        """
        require(low <= price <= high <= 16 * price and since <= reported_at, "price_feed: range bounds")
        return cls(price, low * MILLION // price, div_up(high * MILLION, price), since, reported_at)

    @property
    def ends(self) -> tuple[int, int]:
        """Lower and upper end of the reported price range [ray], rounded outward."""
        return self.price * self.low // MILLION, div_up(self.price * self.high, MILLION)


def is_deviating(price: int, other: int, deviation: int) -> bool:
    """Return True if a price differs from another by more than `deviation` [basis points of the other]."""
    return abs(price - other) * BASIS_POINTS > other * deviation


def compute_minority_proof_quorum(reporter_count: int) -> int:
    """Return the smallest quorum of which the largest minority of reporters is less than half."""
    return 2 * ((reporter_count - 1) // 2) + 1


def compute_renewal_window_seconds(step_seconds: int) -> int:
    """Return how long after a step the next price may be replaced by a newer median [seconds].

    This is the longer of a sixth of the step and the maximum age of a signed report. It is at most half a
    step. After this window the next price is fixed until the next step.
    """
    return max(step_seconds // 6, min(step_seconds // 2, bounds.MAX_SIGNED_AGE))


def get_lower_median(prices: Iterable[int]) -> int:
    """Return the median of prices; of an even number of prices, the lower of the two middle ones."""
    ordered = sorted(prices)
    return ordered[(len(ordered) - 1) // 2]


def compute_valid_price_or_zero(prices: Prices, config: Config, now: int, obeys_halts: bool = False) -> int:
    """Return the current price if it is fresh, or if the feed has been silent long enough to be dead [ray].

    Return 0 in between. With `obeys_halts` also return 0 during a halt or a grace period.
    """
    if obeys_halts and config.has_halt_or_grace(now):
        return 0
    late = now - prices.fresh_until
    dead = config.dead_after != 0 and late > config.dead_after
    return prices.current if late <= 0 or dead else 0


def highest_price(prices: Prices, coming: int, config: Config, now: int) -> int:
    """Return the higher of the current price and the `coming` price [ray].

    If the current price is stale, `coming` is ignored, since it was made before the gap.
    """
    price = compute_valid_price_or_zero(prices, config, now)
    return max(price, coming) if now <= prices.fresh_until else price


def build_market_for_final_price(prices: Prices, withheld_price: int, config: Config) -> Market:
    """Return the market state that the computation of a final price depends on."""
    waits = config.suspect != 0 and prices.next == 0 and withheld_price == 0
    held_until = MAX_UINT256 if config.halted else config.grace_until
    return Market(prices.current, prices.fresh_until, held_until, waits)


class PriceFeed(PriceDrops, SettlementPrices):
    """Price oracle: delayed median of reporters' prices with guards (model of contracts/PriceFeed.vy)."""

    KIND = "PriceFeed"

    def __init__(self, world: World, name: str, address: str, admin: str) -> None:
        super().__init__(world, name, address, admin)
        self.configs = self.table("configs", Config())
        self.prices = self.table("prices", Prices())
        self.withheld_prices = self.table("withheld")
        self.averages = self.table("averages", Average())
        self.checkpoints = self.table("checkpoints")
        self.reports = self.table("reports", Report())
        self.reporters = self.table("reporters", ZERO_ADDRESS)
        self.reporter_index = self.table("reporter_index")
        self.issuers = self.table("issuer_of", ZERO_ADDRESS)
        # Seconds: from when on a planned price is made.
        self.plans = self.table("planned_for")
        self.halts_again_at = self.table("halt_again_at")

    @external
    def report(self, sender: str, collateral_type: int, price: int) -> None:
        """Store the caller's price report for a market [ray]; the caller must be a listed reporter."""
        index, now = self._get_reporter_index(collateral_type, sender, price), self.world.timestamp
        self.reports[collateral_type, index] = Report.build_price_report(price, price, price, now, now)
        self.emit("Reported", collateral_type, sender, price)

    @external
    def report_range(
        self, sender: str, collateral_type: int, price: int, low: int, high: int, since: int
    ) -> None:
        """Store the caller's price [ray] and the range of prices since `since` [seconds].

        The caller must be a listed reporter.
        """
        index = self._get_reporter_index(collateral_type, sender, price)
        report = Report.build_price_report(price, low, high, since, self.world.timestamp)
        self.reports[collateral_type, index] = report
        self.emit("RangeReported", collateral_type, sender, price, low, high, since)

    @external
    def submit_signed_reports(self, sender: str, reports: Sequence[SignedReport]) -> int:
        """Store price reports signed by listed reporters, and return the number of reports accepted.

        A report that is too old, or not newer than the reporter's last report, is skipped. An invalid
        signature, price or time raises RevertError.
        """
        now, count = self.world.timestamp, 0
        for report in (SignedReport(*each) for each in reports):
            reporter = recover_signer(report, self.world.chain_id, self.address)
            index = self.reporter_index[report.market, reporter]
            require(index != 0, "price_feed: not signed")
            require(0 < report.price <= bounds.MAX_PRICE, "price_feed: price bounds")
            require(report.signed_at <= now, "price_feed: from the future")
            new = Report.build_price_report(*report[1:-1])
            last = self.reports[report.market, index].reported_at
            if now - report.signed_at > bounds.MAX_SIGNED_AGE or report.signed_at <= last:
                continue
            self.reports[report.market, index] = new
            self.emit("SignedReportAccepted", report.market, reporter, *report[1:-1])
            count += 1
        return count

    @external
    def poke(self, sender: str, collateral_type: int) -> None:
        """Advance the price by one step: the next price becomes current, the reporters' median becomes next.

        After a gap in the updates the median becomes current and next at once. A median that deviates too far
        from the average becomes next only after a number of steps in a row. Early in a step the call only
        replaces the next price by a newer median.
        """
        now = self.world.timestamp
        config = self._count_final_price_time(collateral_type, self._get_config(collateral_type))
        old: Prices = self.prices[collateral_type]
        average: Average = self.averages[collateral_type]
        median = self._compute_median(collateral_type, config)
        if now < average.stepped_at + config.step:
            self._replace_next_price(collateral_type, config, median)
            return

        lowest = self._compute_lower_current_next_price(collateral_type)
        cumulative = average.cumulative + old.current * (now - average.stepped_at)
        weighted = cumulative // (now - average.since)
        current, following = self._compute_guarded_current_next_prices(
            collateral_type, config, old, median, weighted
        )
        if now > old.fresh_until:
            current = median
        average = average._replace(cumulative=cumulative, stepped_at=now)
        if now >= average.checkpoint_at + config.window:
            # What is older than the newest checkpoint counts no more.
            cumulative -= self.checkpoints[collateral_type]
            average = Average(cumulative, average.checkpoint_at or now, now, now, average.fallen)
            self.checkpoints[collateral_type] = cumulative

        self.prices[collateral_type] = Prices(current, following, now + config.stale_after)
        # No debt is secured by what is no collateral type; and the first price has not fallen.
        if lowest and collateral_type < bounds.MAX_TYPES:
            fallen = self._update_fall_from_highest(
                average.fallen, lowest, self._compute_lower_current_next_price(collateral_type)
            )
            average = average._replace(fallen=fallen)
        self.averages[collateral_type] = average
        self.emit("Poked", collateral_type, current, following)

    def _replace_next_price(self, collateral_type: int, config: Config, median: int) -> None:
        """Replace the next price by a median [ray]; the current price, step time and average do not change.

        Raises RevertError if the renewal window is over or nothing would change.
        """
        now, average = self.world.timestamp, self.averages[collateral_type]
        old: Prices = self.prices[collateral_type]
        pending, lowest = (
            self._get_next_or_withheld_price(collateral_type),
            self._compute_lower_current_next_price(collateral_type),
        )
        in_time = now <= average.stepped_at + compute_renewal_window_seconds(config.step)
        require(in_time and median != pending, "price_feed: too early")
        weighted = self._compute_average(collateral_type, now)
        _, following = self._compute_guarded_current_next_prices(
            collateral_type, config, old, median, weighted, renews=True
        )
        # A price that waits goes on waiting.
        changed = pending or following or self.withheld_prices[collateral_type]
        require(changed != 0, "price_feed: too early")
        self.prices[collateral_type] = old._replace(next=following)
        if collateral_type < bounds.MAX_TYPES:
            fallen = self._update_fall_from_highest(
                average.fallen, lowest, self._compute_lower_current_next_price(collateral_type)
            )
            self.averages[collateral_type] = average._replace(fallen=fallen)
        self.emit("Poked", collateral_type, old.current, following)

    @external
    def set_price(self, sender: str, collateral_type: int, price: int) -> None:
        """Set the price of an issuer's token [ray], effective at once and never stale.

        The price replaces current price, next price and average. Only the token's issuer may call.
        """
        require(sender == self.issuers[collateral_type], "price_feed: not the issuer")
        require(0 < price <= bounds.MAX_PRICE, "price_feed: price bounds")
        now = self.world.timestamp
        self.averages[collateral_type] = Average(0, now, now, now)
        self.prices[collateral_type] = Prices(price, price, FOREVER)
        self.emit("Poked", collateral_type, price, price)

    @external
    def begin_final_price(self, sender: str, collateral_type: int) -> None:
        """Start the computation of a market's final price for settlement.

        If an issuer sets the price, its current price is final at once. Needs the settlement role.
        """
        self._check_role(sender, SETTLEMENT)
        require(not self._has_begun(collateral_type), "price_feed: closing has begun")
        now = self.world.timestamp
        if self.issuers[collateral_type] != ZERO_ADDRESS:
            self._set_final(collateral_type, self.prices[collateral_type].current)
            return
        self._begin_closing(collateral_type, now, self._get_last_fresh_average(collateral_type, now))
        self.configs[collateral_type] = self.configs[collateral_type]._replace(closing=True, settled=True)

    @external
    def plan_final_price(self, sender: str, collateral_type: int, at: int) -> None:
        """Plan the computation of a final price that starts at time `at` [seconds], without settlement.

        Perpetual markets that are delisted end at this price. Needs the settlement role.
        """
        self._check_role(sender, SETTLEMENT)
        require(not self._has_begun(collateral_type), "price_feed: closing has begun")
        config = self._count_final_price_time(collateral_type, self._get_config(collateral_type))
        require(self.world.timestamp < at <= FOREVER, "price_feed: plan bounds")
        same = self.plans[collateral_type] == at
        require(not config.planned or same, "price_feed: another is planned")
        self.plans[collateral_type] = at
        self.configs[collateral_type] = config._replace(planned=True)
        self.emit("FinalPricePlanned", collateral_type, at)

    @external
    def set_issuer(self, sender: str, collateral_type: int, issuer: str) -> None:
        """Set a token's issuer as the only price source of its market, permanently.

        Only the admin may call, and only for a market without reporters.
        """
        self._only_admin(sender)
        self._get_config_unless_closing(collateral_type, self.configs[collateral_type])
        require(self.configs[collateral_type].reporters == 0, "price_feed: has reporters")
        require(self.issuers[collateral_type] == ZERO_ADDRESS, "price_feed: has an issuer")
        require(issuer != ZERO_ADDRESS, "price_feed: zero issuer")
        self.issuers[collateral_type] = issuer
        self.emit("IssuerSet", collateral_type, issuer)

    @external
    def set_market(
        self,
        sender: str,
        collateral_type: int,
        reporters: Sequence[str],
        quorum: int,
        step: int,
        max_age: int,
        stale_after: int,
        window: int,
    ) -> None:
        """Set a market's reporters, quorum and time rules [seconds].

        Stored reports are deleted; prices and guards stay. Only the admin may call.
        """
        require(len(reporters) <= bounds.MAX_REPORTERS, "")
        self._only_admin(sender)
        require(self.issuers[collateral_type] == ZERO_ADDRESS, "price_feed: has an issuer")
        require(bounds.MIN_QUORUM <= quorum <= len(reporters), "price_feed: quorum bounds")
        require(quorum >= compute_minority_proof_quorum(len(reporters)), "price_feed: minority is half")
        require(bounds.MIN_STEP <= step <= bounds.MAX_STEP, "price_feed: step bounds")
        require(0 < max_age <= bounds.MAX_REPORT_AGE, "price_feed: age bounds")
        require(step <= stale_after <= bounds.MAX_STALE_AFTER, "price_feed: stale bounds")
        require(bounds.MIN_WINDOW <= window <= bounds.MAX_WINDOW, "price_feed: window bounds")

        self._get_config_unless_closing(collateral_type, self.configs[collateral_type])
        for index in range(1, self.configs[collateral_type].reporters + 1):
            self.reporter_index[collateral_type, self.reporters[collateral_type, index]] = 0
            self.reporters[collateral_type, index] = ZERO_ADDRESS
            self.reports[collateral_type, index] = Report()
        for index, reporter in enumerate(reporters, 1):
            require(reporter != ZERO_ADDRESS, "price_feed: zero reporter")
            require(self.reporter_index[collateral_type, reporter] == 0, "price_feed: reporter twice")
            self.reporter_index[collateral_type, reporter] = index
            self.reporters[collateral_type, index] = reporter
        guards = self.configs[collateral_type][MAKING:]
        making = len(reporters), quorum, step, max_age, stale_after, window
        self.configs[collateral_type] = Config(*making, *guards)
        self.emit("MarketSet", collateral_type, tuple(reporters), *making[1:])

    @external
    def set_guards(
        self,
        sender: str,
        collateral_type: int,
        deviation: int,
        confirmations: int,
        grace: int,
        dead_after: int,
    ) -> None:
        """Set the guards of a market: deviation limit, confirmations, grace period and dead time.

        A halt, grace period or pending confirmation that has begun continues. Only the admin may call.
        """
        self._only_admin(sender)
        config = self._get_config_unless_closing(collateral_type, self._get_config(collateral_type))
        require(deviation <= bounds.MAX_DEVIATION, "price_feed: deviation bounds")
        require(
            bounds.MIN_CONFIRMATIONS <= confirmations <= bounds.MAX_CONFIRMATIONS,
            "price_feed: confirmation bounds",
        )
        require(grace <= bounds.MAX_GRACE, "price_feed: grace bounds")
        require(dead_after <= bounds.MAX_DEAD_AFTER, "price_feed: dead bounds")
        self.configs[collateral_type] = config._replace(
            deviation=deviation, confirmations=confirmations, grace=grace, dead_after=dead_after
        )
        self.emit("GuardsSet", collateral_type, deviation, confirmations, grace, dead_after)

    @external
    def set_halted(self, sender: str, collateral_type: int, halted: bool) -> None:
        """Halt new risk and liquidations in a market, or end the halt; price updates continue.

        The admin's halt lasts until the admin ends it. A guardian can only start a halt, which ends after a
        fixed time and can be repeated only after a pause.
        """
        config = self._count_final_price_time(collateral_type, self._get_config(collateral_type))
        if sender != self.admins[()]:
            self._check_role(sender, GUARDIAN)
            require(halted, "price_feed: only halt")
            now = self.world.timestamp
            require(now >= self.halts_again_at[collateral_type], "price_feed: halted lately")
            until = now + bounds.GUARDIAN_HALT
            self.halts_again_at[collateral_type] = until + bounds.GUARDIAN_PAUSE
            config = config._replace(grace_until=max(config.grace_until, until))
            self.emit("GraceStarted", collateral_type, config.grace_until)
        else:
            config = config._replace(halted=halted)
        self.configs[collateral_type] = config
        prices: Prices = self.prices[collateral_type]
        if config.has_halt_or_grace(self.world.timestamp):
            if prices.next != 0:
                self.withheld_prices[collateral_type] = prices.next
                prices = prices._replace(next=0)
        elif prices.next == 0:
            prices = prices._replace(next=self.withheld_prices[collateral_type])
            self.withheld_prices[collateral_type] = 0
        self.prices[collateral_type] = prices
        self.emit("HaltSet", collateral_type, halted)

    @view
    def current_price(self, sender: str, collateral_type: int) -> int:
        """Return the current price [ray]; 0 if it is stale."""
        return self._get_prices_if_fresh(collateral_type).current

    @view
    def liquidation_price(self, sender: str, collateral_type: int) -> int:
        """Return the price at which liquidations start [ray]; 0 if stale, or in a halt or grace period.

        If the feed has been silent long enough to be dead, its last price counts.
        """
        prices: Prices = self.prices[collateral_type]
        config: Config = self.configs[collateral_type]
        return compute_valid_price_or_zero(prices, config, self.world.timestamp, obeys_halts=True)

    @view
    def sale_prices(self, sender: str, collateral_type: int) -> tuple[int, int]:
        """Return the price at which a sale starts and the highest known price [ray].

        The highest known price includes the next price, even if a guard holds that back. If the next price
        waits for confirmation, the reporters' current median counts in its place.
        """
        prices: Prices = self.prices[collateral_type]
        config: Config = self.configs[collateral_type]
        start = compute_valid_price_or_zero(prices, config, self.world.timestamp, obeys_halts=True)
        return start, self._highest_price(collateral_type, prices, config)

    @view
    def highest_and_average(self, sender: str, collateral_type: int) -> tuple[int, int]:
        """Return the highest known price and the time-weighted average price [ray]."""
        highest = self._highest_price(
            collateral_type, self.prices[collateral_type], self.configs[collateral_type]
        )
        return highest, self._compute_average(collateral_type, self.world.timestamp)

    @view
    def auction_price(self, sender: str, collateral_type: int) -> int:
        """Return the current price for auctions [ray]; 0 if it is stale.

        If the feed has been silent long enough to be dead, return its last price.
        """
        prices: Prices = self.prices[collateral_type]
        config: Config = self.configs[collateral_type]
        return compute_valid_price_or_zero(prices, config, self.world.timestamp)

    @view
    def issuer_of(self, sender: str, collateral_type: int) -> str:
        """Return the issuer that sets a market's price; the zero address if reporters make the price."""
        return str(self.issuers[collateral_type])

    @view
    def withheld(self, sender: str, collateral_type: int) -> int:
        """Return the next price that a halt or a grace period holds back [ray]; 0 if there is none."""
        return int(self.withheld_prices[collateral_type])

    @view
    def last_price(self, sender: str, collateral_type: int) -> int:
        """Return the last current price, fresh or stale [ray]; 0 if there never was a price."""
        return int(self.prices[collateral_type].current)

    @view
    def risk_price(self, sender: str, collateral_type: int) -> int:
        """Return the price for new risk [ray]: the lower of the current and the next price.

        Return 0 if the price is stale or a guard holds the next price back.
        """
        prices = self._get_prices_if_fresh(collateral_type)
        return min(prices.current, prices.next)

    @view
    def mark_within(self, sender: str, collateral_type: int, age: int, at: int) -> Mark:
        """Return the medians of reporters' prices and range ends for the last `age` seconds [ray].

        A report counts if its range contains the time `age` seconds ago. Return zeros without a quorum or in
        a halt. In settlement, or from time `at` on, return the final price that would result if these prices
        stay.
        """
        config: Config = self.configs[collateral_type]
        mark = self._compute_median_mark(collateral_type, config, age)
        now = self.world.timestamp
        begins, closing = now, Closing()
        if config.settled or 0 < at <= now:
            is_final, fixed, closing = self._compute_first_final_price(collateral_type, at, config)
            if is_final:
                return Mark(fixed, fixed, fixed)
        elif not at:
            return mark
        else:
            begins = at
        if not mark.price:
            return mark
        total, left = Mark(closing.sum, closing.sum, closing.sum), bounds.FINAL_WINDOW - closing.valid
        prices = self.prices[collateral_type]
        if now <= prices.fresh_until:
            # The current price counts until the next step, the next one for a step after it.
            stepped_at = self.averages[collateral_type].stepped_at
            until = stepped_at + config.step
            replaceable = now <= stepped_at + compute_renewal_window_seconds(config.step)
            for known, end, is_sure in (
                (prices.current, until, not config.deviation),
                (prices.next, max(now, until) + config.step, False),
            ):
                seconds = min(left, max(0, end - begins))
                piece = Mark(known, known, known) if prices.next else mark
                if replaceable and known and not is_sure:
                    piece = Mark(piece.price, min(known, mark.low), max(known, mark.high))
                total = Mark(*(so_far + each * seconds for so_far, each in zip(total, piece, strict=True)))
                left -= seconds
                begins += seconds
        price, low, high = (so_far + each * left for so_far, each in zip(total, mark, strict=True))
        window = bounds.FINAL_WINDOW
        return Mark(price // window, low // window, div_up(high, window))

    @view
    def time_weighted(self, sender: str, collateral_type: int) -> int:
        """Return the average price over one to two windows [ray], rounded down.

        Return the current price if there is no history.
        """
        return self._compute_average(collateral_type, self.world.timestamp)

    @view
    def withdrawals_paused_until(self, sender: str) -> int:
        """Return the time until which pools pay no withdrawals after a large price drop [seconds]."""
        times: PriceDropState = self.falls[()]
        return times.withdrawals_paused_until

    @view
    def current_and_average(self, sender: str, collateral_type: int) -> tuple[int, int]:
        """Return the current price (0 if stale) and the time-weighted average price [ray]."""
        return self._get_prices_if_fresh(collateral_type).current, self._compute_average(
            collateral_type, self.world.timestamp
        )

    @view
    def final_price(self, sender: str, collateral_type: int) -> tuple[bool, int]:
        """Return True and the settlement price [ray] if the price is final; False and 0 before."""
        return self._compute_first_final_price(collateral_type, 0, self.configs[collateral_type])[:2]

    @view
    def final_price_from(self, sender: str, collateral_type: int, at: int) -> tuple[bool, int]:
        """Return whether the final price planned for time `at` is final, and this price [ray]; 0 before.

        If settlement began before `at`, the price of the settlement counts.
        """
        return self._compute_first_final_price(collateral_type, at, self.configs[collateral_type])[:2]

    @view
    def planned_for(self, sender: str, collateral_type: int) -> int:
        """Return the start time of the last planned final price [seconds]; 0 if there never was a plan."""
        return int(self.plans[collateral_type])

    @view
    def digest_of(
        self, sender: str, market: int, price: int, low: int, high: int, since: int, signed_at: int
    ) -> bytes:
        """Return the EIP-712 digest that a reporter signs for a price report."""
        content = market, price, low, high, since, signed_at
        return report_digest(content, self.world.chain_id, self.address)

    @view
    def eip712Domain(self, sender: str) -> tuple[bytes, str, str, int, str, bytes, list[int]]:
        """Return the fields of the EIP-712 signing domain (EIP-5267)."""
        return b"\x0f", DOMAIN_NAME, DOMAIN_VERSION, self.world.chain_id, self.address, bytes(32), []

    @view
    def prices_of(self, sender: str, collateral_type: int) -> Prices:
        """Return the current price, the next price [ray] and the end of their validity, even if stale."""
        prices: Prices = self.prices[collateral_type]
        return prices

    @view
    def config_of(self, sender: str, collateral_type: int) -> tuple[int, ...]:
        """Return how a market's price is made: number of reporters, quorum, and times [seconds]."""
        return tuple(self.configs[collateral_type][:MAKING])

    @view
    def guards_of(self, sender: str, collateral_type: int) -> tuple[int, ...]:
        """Return a market's guards and their present state."""
        return tuple(self.configs[collateral_type][MAKING:])

    @view
    def reporters_of(self, sender: str, collateral_type: int) -> tuple[str, ...]:
        """Return the addresses of a market's reporters."""
        count = self.configs[collateral_type].reporters
        return tuple(self.reporters[collateral_type, index] for index in range(1, count + 1))

    @view
    def report_of(self, sender: str, collateral_type: int, reporter: str) -> Report:
        """Return a reporter's last report for a market; zeros if there is none."""
        report: Report = self.reports[collateral_type, self.reporter_index[collateral_type, reporter]]
        return report

    @view
    def decimals(self, sender: str) -> int:
        """Return 8, the number of decimals in the answers of `latest_round_data`."""
        return 8

    @view
    def latest_round_data(self, sender: str, collateral_type: int) -> tuple[int, int, int, int, int]:
        """Return the current price in Chainlink's format, with 8 decimals, rounded down.

        The round's id and all its times are the time of the last step [seconds].
        """
        at = self.averages[collateral_type].stepped_at
        return at, self.prices[collateral_type].current // RAY_TO_8_DECIMALS, at, at, at

    def _count_final_price_time(self, collateral_type: int, config: Config) -> Config:
        """Count the elapsed time in running final price computations and return the new configuration."""
        if not config.closing and not config.planned:
            return config
        market, at = self._build_market_for_final_price(collateral_type, config), self.plans[collateral_type]
        if config.closing and self._count_time_and_finalise_price(collateral_type, market):
            config = config._replace(closing=False)
        if config.planned and self.world.timestamp >= at:
            key = build_key(collateral_type, at)
            if not self._has_begun(key):
                self._begin_closing(key, at, self._get_last_fresh_average(collateral_type, at))
            if self._count_time_and_finalise_price(key, market):
                config = config._replace(planned=False)
        self.configs[collateral_type] = config
        return config

    def _get_config_unless_closing(self, collateral_type: int, config: Config) -> Config:
        """Return a market's configuration; raise RevertError while its final price is being computed."""
        found = self._count_final_price_time(collateral_type, config)
        making = found.closing or (found.planned and self.world.timestamp >= self.plans[collateral_type])
        require(not making, "price_feed: is closing")
        return found

    def _compute_first_final_price(
        self, collateral_type: int, at: int, config: Config
    ) -> tuple[bool, int, Closing]:
        """Return the state of the final price that was planned or the settlement's, whichever began earlier.

        The result holds a flag for a final price, the price [ray], and the computation counted up to now.
        """
        key, begun, otherwise = self._choose_earlier_closing_key(collateral_type, at), 0, 0
        due = key != collateral_type and self.world.timestamp >= at and self.plans[collateral_type] == at
        if due and not self._has_begun(key):
            begun, otherwise = at, self._get_last_fresh_average(collateral_type, at)
        return self._compute_final_price(
            key, self._build_market_for_final_price(collateral_type, config), begun, otherwise
        )

    def _get_last_fresh_average(self, collateral_type: int, at: int) -> int:
        """Return the average price [ray] at time `at`, but not after the last price went stale."""
        return self._compute_average(collateral_type, min(at, self.prices[collateral_type].fresh_until))

    def _get_reporter_index(self, collateral_type: int, sender: str, price: int) -> int:
        """Return the index of the listed reporter `sender`; raise RevertError if it is not listed."""
        index = int(self.reporter_index[collateral_type, sender])
        require(index != 0, "price_feed: not a reporter")
        require(0 < price <= bounds.MAX_PRICE, "price_feed: price bounds")
        return index

    def _compute_median_mark(self, collateral_type: int, config: Config, age: int) -> Mark:
        """Return the medians of reported prices and range ends [ray], `age` seconds back.

        A report counts if its range contains the time `age` seconds ago. Return zeros if fewer than a quorum
        of reports count, or in a halt.
        """
        oldest = self.world.timestamp - min(age, config.max_age)
        reports: list[Report] = [
            self.reports[collateral_type, index] for index in range(1, config.reporters + 1)
        ]
        found = [each for each in reports if each.since <= oldest <= each.reported_at]
        if not found or len(found) < config.quorum or config.halted:
            return Mark()
        lows, highs = zip(*(each.ends for each in found), strict=True)
        return Mark(
            get_lower_median(each.price for each in found), get_lower_median(lows), get_lower_median(highs)
        )

    def _build_market_for_final_price(self, collateral_type: int, config: Config) -> Market:
        """Return the present market state that the computation of a final price depends on."""
        return build_market_for_final_price(
            self.prices[collateral_type], self.withheld_prices[collateral_type], config
        )

    def _compute_average(self, collateral_type: int, at: int) -> int:
        """Return the time-weighted average price at time `at` [ray]; `at` must not precede the last step."""
        current, average = self.prices[collateral_type].current, self.averages[collateral_type]
        if average.since == at:
            return int(current)
        return int((average.cumulative + current * (at - average.stepped_at)) // (at - average.since))

    def _highest_price(self, collateral_type: int, prices: Prices, config: Config) -> int:
        """Return the higher of the current and next price [ray], even if a guard holds the next one back."""
        coming = prices.next or self.withheld_prices[collateral_type]
        if coming == 0 and self.world.timestamp <= prices.fresh_until:
            coming = self._compute_recent_median(collateral_type, config, config.max_age)
        return highest_price(prices, coming, config, self.world.timestamp)

    def _compute_lower_current_next_price(self, collateral_type: int) -> int:
        """Return the lower of the current and next price [ray], even if a guard holds the next one back."""
        current, coming = (
            self.prices[collateral_type].current,
            self._get_next_or_withheld_price(collateral_type),
        )
        return min(current, coming) if coming else int(current)

    def _get_next_or_withheld_price(self, collateral_type: int) -> int:
        """Return the next price, also if a halt or grace period holds it back [ray].

        Return 0 while the price waits for confirmation.
        """
        return int(self.prices[collateral_type].next or self.withheld_prices[collateral_type])

    def _compute_median(self, collateral_type: int, config: Config) -> int:
        """Return the median of recent reports [ray]; raise RevertError without a quorum."""
        price = self._compute_recent_median(collateral_type, config, config.max_age)
        require(price != 0, "price_feed: no quorum")
        return price

    def _compute_recent_median(self, collateral_type: int, config: Config, age: int) -> int:
        """Return the median of reports at most `age` seconds old [ray]; 0 without a quorum."""
        reports = [self.reports[collateral_type, index] for index in range(1, config.reporters + 1)]
        fresh = [r.price for r in reports if self.world.timestamp <= r.reported_at + age]
        return get_lower_median(fresh) if len(fresh) >= config.quorum else 0

    def _get_config(self, collateral_type: int) -> Config:
        config: Config = self.configs[collateral_type]
        require(config.reporters != 0, "price_feed: no market")
        return config

    def _compute_guarded_current_next_prices(
        self,
        collateral_type: int,
        config: Config,
        old: Prices,
        median: int,
        weighted: int,
        *,
        renews: bool = False,
    ) -> tuple[int, int]:
        """Return the current and next price after the guards have seen a new median [ray].

        With `renews` the step's current price is already set, and only the next price is replaced. A median
        outside the deviation limit counts only after its confirmations, or if it continues a confirmed move.
        If the next price waits or is held back, it is 0.
        """
        # Confirmations and the time until it is dead hold nothing back.
        if config._replace(confirmations=0, dead_after=0)[MAKING:CLOSING] == Config()[MAKING:CLOSING]:
            return old.next, median
        pending = self._get_next_or_withheld_price(collateral_type)
        current = old.current if renews or not pending else pending
        following, suspect = median, 0
        if config.deviation and weighted and is_deviating(median, weighted, config.deviation):
            suspect = config.suspect
            if pending == 0:
                # It waits already.
                if renews:
                    following = 0
                elif suspect < config.confirmations:
                    suspect, following = suspect + 1, 0
            elif suspect == 0 or (
                is_deviating(median, current, config.deviation)
                and not is_deviating(pending, current, config.deviation)
            ):
                # Seen for the first time, or another leap from one that was confirmed.
                suspect, following = 1, 0
            if following == 0:
                self.emit("Suspected", collateral_type, median, weighted)
        if suspect != config.suspect:
            config = config._replace(suspect=suspect)
            self.configs[collateral_type] = config
        if config.grace and self.world.timestamp > old.fresh_until and old.current:
            config = config._replace(grace_until=self.world.timestamp + config.grace)
            self.configs[collateral_type] = config
            self.emit("GraceStarted", collateral_type, config.grace_until)
        if config.has_halt_or_grace(self.world.timestamp):
            self.withheld_prices[collateral_type] = following
            following = 0
        elif old.next == 0:
            self.withheld_prices[collateral_type] = 0
        return current, following

    def _get_prices_if_fresh(self, collateral_type: int) -> Prices:
        prices: Prices = self.prices[collateral_type]
        return Prices() if self.world.timestamp > prices.fresh_until else prices
