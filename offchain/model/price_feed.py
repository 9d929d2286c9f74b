"""One price for each collateral type: a delayed median with a time-weighted average and a limit on its age.

Prices in ray per 1e18 of collateral; zero means "no price". A market is its collateral type's id.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from offchain.model import bounds
from offchain.model.roles import Administered
from offchain.model.state import ZERO_ADDRESS, World, external, require, slot, view

RAY_TO_8_DECIMALS = 10**19


@slot(8, 8, 32, 32, 32, 32)
class Config(NamedTuple):
    """How a market's price is made; times in seconds."""

    reporters: int = 0
    quorum: int = 0
    step: int = 0
    max_age: int = 0
    stale_after: int = 0
    window: int = 0


@slot(112, 112, 32)
class Prices(NamedTuple):
    """The price that counts, the one that follows, and until when they are fresh."""

    current: int = 0
    next: int = 0
    fresh_until: int = 0


@slot(144, 32, 32, 32)
class Average(NamedTuple):
    """Cumulative price (ray x seconds) from the older checkpoint up to the last step; times of all three."""

    cumulative: int = 0
    since: int = 0
    stepped_at: int = 0
    checkpoint_at: int = 0


@slot(112, 32)
class Report(NamedTuple):
    """A reporter's last word."""

    price: int = 0
    reported_at: int = 0


class PriceFeed(Administered):
    """See contracts/PriceFeed.vy."""

    KIND = "PriceFeed"

    def __init__(self, world: World, name: str, address: str, admin: str) -> None:
        super().__init__(world, name, address, admin)
        self.configs = self.table("configs", Config())
        self.prices = self.table("prices", Prices())
        self.averages = self.table("averages", Average())
        self.checkpoints = self.table("checkpoints")
        self.reports = self.table("reports", Report())
        self.reporters = self.table("reporters", ZERO_ADDRESS)
        self.reporter_index = self.table("reporter_index")

    @external
    def report(self, sender: str, collateral_type: int, price: int) -> None:
        """Report a price; listed reporters only."""
        index = self.reporter_index[collateral_type, sender]
        require(index != 0, "price_feed: not a reporter")
        require(0 < price <= bounds.MAX_PRICE, "price_feed: price bounds")
        self.reports[collateral_type, index] = Report(price, self.world.timestamp)
        self.emit("Reported", collateral_type, sender, price)

    @external
    def poke(self, sender: str, collateral_type: int) -> None:
        """Step the price: next becomes current, the median becomes next; both the median after a gap."""
        now = self.world.timestamp
        config: Config = self.configs[collateral_type]
        require(config.reporters != 0, "price_feed: no market")
        old: Prices = self.prices[collateral_type]
        average: Average = self.averages[collateral_type]
        require(now >= average.stepped_at + config.step, "price_feed: too early")

        median = self._median(collateral_type, config)
        current = median if now > old.fresh_until else old.next
        cumulative = average.cumulative + old.current * (now - average.stepped_at)
        average = average._replace(cumulative=cumulative, stepped_at=now)
        if now >= average.checkpoint_at + config.window:
            # What is older than the newest checkpoint counts no more.
            cumulative -= self.checkpoints[collateral_type]
            average = Average(cumulative, average.checkpoint_at or now, now, now)
            self.checkpoints[collateral_type] = cumulative

        self.averages[collateral_type] = average
        self.prices[collateral_type] = Prices(current, median, now + config.stale_after)
        self.emit("Poked", collateral_type, current, median)

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
        """Set who reports a price and how it is made; old reports are dropped, prices stay."""
        require(len(reporters) <= bounds.MAX_REPORTERS, "")
        self._only_admin(sender)
        require(bounds.MIN_QUORUM <= quorum <= len(reporters), "price_feed: quorum bounds")
        require(bounds.MIN_STEP <= step <= bounds.MAX_STEP, "price_feed: step bounds")
        require(0 < max_age <= bounds.MAX_REPORT_AGE, "price_feed: age bounds")
        require(step <= stale_after <= bounds.MAX_STALE_AFTER, "price_feed: stale bounds")
        require(bounds.MIN_WINDOW <= window <= bounds.MAX_WINDOW, "price_feed: window bounds")

        for index in range(1, self.configs[collateral_type].reporters + 1):
            self.reporter_index[collateral_type, self.reporters[collateral_type, index]] = 0
            self.reporters[collateral_type, index] = ZERO_ADDRESS
            self.reports[collateral_type, index] = Report()
        for index, reporter in enumerate(reporters, 1):
            require(reporter != ZERO_ADDRESS, "price_feed: zero reporter")
            require(self.reporter_index[collateral_type, reporter] == 0, "price_feed: reporter twice")
            self.reporter_index[collateral_type, reporter] = index
            self.reporters[collateral_type, index] = reporter
        self.configs[collateral_type] = Config(len(reporters), quorum, step, max_age, stale_after, window)
        self.emit("MarketSet", collateral_type, tuple(reporters), quorum, step, max_age, stale_after, window)

    @view
    def current_price(self, sender: str, collateral_type: int) -> int:
        """What liquidations and auctions use; 0 if stale."""
        return self._fresh_prices(collateral_type).current

    @view
    def last_price(self, sender: str, collateral_type: int) -> int:
        """The current price, fresh or not; 0 if there never was one."""
        return int(self.prices[collateral_type].current)

    @view
    def risk_price(self, sender: str, collateral_type: int) -> int:
        """What new risk is measured at: the lower of current and next; 0 if stale."""
        prices = self._fresh_prices(collateral_type)
        return min(prices.current, prices.next)

    @view
    def time_weighted(self, sender: str, collateral_type: int) -> int:
        """The average over a window or two up to now, rounded down; current if there is no history."""
        now = self.world.timestamp
        prices: Prices = self.prices[collateral_type]
        average: Average = self.averages[collateral_type]
        if average.since == now:
            return prices.current
        cumulative = average.cumulative + prices.current * (now - average.stepped_at)
        return int(cumulative // (now - average.since))

    @view
    def prices_of(self, sender: str, collateral_type: int) -> Prices:
        """The current and the next price, fresh or not, and until when they are fresh."""
        prices: Prices = self.prices[collateral_type]
        return prices

    @view
    def config_of(self, sender: str, collateral_type: int) -> Config:
        """How a market's price is made."""
        config: Config = self.configs[collateral_type]
        return config

    @view
    def reporters_of(self, sender: str, collateral_type: int) -> tuple[str, ...]:
        """Who reports for a market."""
        count = self.configs[collateral_type].reporters
        return tuple(self.reporters[collateral_type, index] for index in range(1, count + 1))

    @view
    def report_of(self, sender: str, collateral_type: int, reporter: str) -> Report:
        """A reporter's last report; zeros if there is none."""
        report: Report = self.reports[collateral_type, self.reporter_index[collateral_type, reporter]]
        return report

    @view
    def decimals(self, sender: str) -> int:
        """Of the answers of `latest_round_data`."""
        return 8

    @view
    def latest_round_data(self, sender: str, collateral_type: int) -> tuple[int, int, int, int, int]:
        """The current price as a Chainlink aggregator gives it, 8 decimals, rounded down."""
        at = self.averages[collateral_type].stepped_at
        return at, self.prices[collateral_type].current // RAY_TO_8_DECIMALS, at, at, at

    def _median(self, collateral_type: int, config: Config) -> int:
        """Of the reports that are not too old; of an even number the lower of the two in the middle."""
        reports = [self.reports[collateral_type, index] for index in range(1, config.reporters + 1)]
        fresh = sorted(r.price for r in reports if self.world.timestamp <= r.reported_at + config.max_age)
        require(len(fresh) >= config.quorum, "price_feed: no quorum")
        return int(fresh[(len(fresh) - 1) // 2])

    def _fresh_prices(self, collateral_type: int) -> Prices:
        prices: Prices = self.prices[collateral_type]
        return Prices() if self.world.timestamp > prices.fresh_until else prices
