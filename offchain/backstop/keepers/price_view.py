"""What keepers see of prices: the feed's, and its reports."""

from __future__ import annotations

from collections.abc import Mapping

from backstop.deployment.parameters import Parameters
from backstop.keepers.seen import Outside, Tables
from backstop.model import falls, interfaces, price_feed
from backstop.model.arithmetic import BASIS_POINTS
from backstop.model.bounds import EQUITY_MARKET
from backstop.system import Snapshot


class PriceView:
    """The prices at one block."""

    def __init__(
        self,
        snapshot: Snapshot,
        addresses: Mapping[str, str],
        timestamp: int,
        outside: Outside,
        parameters: Parameters,
    ) -> None:
        self.timestamp = timestamp
        self.outside = outside
        self.addresses = addresses
        self.symbols = tuple(each.symbol for each in parameters.collateral_types)
        # All types: those of domains have no market outside.
        self.types = range(len(parameters.type_names))
        # Prices outside by their market in the feed.
        self.markets = dict(enumerate(outside.sources or outside.prices))
        if "Equity" in snapshot:
            self.markets[EQUITY_MARKET] = outside.equity_price
        self._parameters = parameters
        self._snapshot = snapshot
        self._feed: Tables = snapshot["PriceFeed"]

    def prices(self, c: int) -> interfaces.Prices:
        """Return the feed's prices, fresh or not [ray]."""
        found: interfaces.Prices = self._feed["prices"].get(c, interfaces.Prices())
        return found

    def stepped_at(self, c: int) -> int:
        """Return the time of the feed's last step; 0 if it never stepped."""
        return int(self._feed["averages"].get(c, price_feed.Average()).stepped_at)

    def feed_config(self, c: int) -> price_feed.Config:
        """Return how the feed makes its price."""
        found: price_feed.Config = self._feed["configs"][c]
        return found

    @property
    def look_until(self) -> int:
        """Time from which members of pools are paid again, after a price has fallen far."""
        found: falls.Falls = self._feed["falls.times"].get((), falls.Falls())
        return found.look_until

    def halt_again_at(self, c: int) -> int:
        """Return the time from which a guardian may halt a market; 0 if none has."""
        return int(self._feed["halt_again_at"].get(c, 0))

    def price(self, c: int) -> int:
        """Return the current price [ray]; 0 if stale."""
        prices = self.prices(c)
        return 0 if self.timestamp > prices.fresh_until else prices.current

    def liquidation_price(self, c: int) -> int:
        """Return the price at which liquidations start [ray]; 0 if none may."""
        return price_feed.valid_price(self.prices(c), self.feed_config(c), self.timestamp, starts=True)

    def auction_price(self, c: int) -> int:
        """Return the current price [ray], or the last of a feed given up as dead; 0 if there is none."""
        return price_feed.valid_price(self.prices(c), self.feed_config(c), self.timestamp)

    def highest_price(self, c: int) -> int:
        """Return the price from which lots are sold [ray], the higher of current and next; 0 without one."""
        prices, config = self.prices(c), self.feed_config(c)
        coming = prices.next or self._feed["withheld"].get(c, 0)
        if coming == 0 and self.timestamp <= prices.fresh_until:
            said = list(self.fresh_reports(c).values())
            coming = price_feed.middle(said) if len(said) >= config.quorum else 0
        return price_feed.highest_price(prices, coming, config, self.timestamp)

    def lowest_price(self, c: int) -> int:
        """Return the lowest price that is known, the next one included [ray]; 0 if auctions have none."""
        coming = self.prices(c).next or self._feed["withheld"].get(c, 0)
        price = self.auction_price(c)
        return min(price, coming) if coming else price

    def risk_price(self, c: int) -> int:
        """Return the lower of the feed's current and next price, or the only one there is [ray]."""
        prices = self.prices(c)
        return min(prices.current, prices.next or prices.current)

    def new_risk_price(self, c: int) -> int:
        """Return the price at which new risk is measured [ray]; 0 if there is none."""
        return min(self.price(c), self.prices(c).next)

    def pending(self, c: int) -> int:
        """Return the next price, also while a halt or a grace holds it back [ray]; 0 while it waits."""
        return int(self.prices(c).next or self._feed["withheld"].get(c, 0))

    def is_renewable(self, c: int) -> bool:
        """Check whether newer reports may still replace the next price of the feed's last step."""
        return self.timestamp <= self.stepped_at(c) + price_feed.renewal_window(self.feed_config(c).step)

    def renews(self, c: int, reports: Mapping[str, int], deviation: int) -> bool:
        """Check whether reports would replace the next price by one that far from it [basis points].

        Where a price waits for its confirmation, only one that need not wait replaces it.
        """
        config, pending = self.feed_config(c), self.pending(c)
        if not self.is_renewable(c) or len(reports) < config.quorum:
            return False
        price = price_feed.middle(reports.values())
        if not pending:
            return not config.deviation or not price_feed.deviates(
                price, self.time_weighted(c), config.deviation
            )
        return price != pending and abs(price - pending) * BASIS_POINTS >= pending * deviation

    def time_weighted(self, c: int) -> int:
        """Return the average price over the last one or two windows [ray]."""
        average = self._feed["averages"].get(c, price_feed.Average())
        current = self.prices(c).current
        if average.since == self.timestamp:
            return current
        cumulative = average.cumulative + current * (self.timestamp - average.stepped_at)
        return int(cumulative // (self.timestamp - average.since))

    def report_of(self, c: int, reporter: str) -> price_feed.Report | None:
        """Return a reporter's last report; None if the account does not report for this type."""
        index = self._feed["reporter_index"].get((c, reporter), 0)
        if index == 0:
            return None
        found: price_feed.Report = self._feed["reports"].get((c, index), price_feed.Report())
        return found

    def fresh_reports(self, c: int) -> dict[str, int]:
        """Return the prices of the reports that would count now, by reporter [ray]."""
        config, reports, names = self.feed_config(c), self._feed["reports"], self._feed["reporters"]
        return {
            names[c, i]: reports[c, i].price
            for i in range(1, config.reporters + 1)
            if (c, i) in reports and self.timestamp <= reports[c, i].reported_at + config.max_age
        }
