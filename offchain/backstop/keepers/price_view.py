"""Keepers' view of prices: the feed's, and its reports."""

from __future__ import annotations

from collections.abc import Mapping

from backstop.deployment.parameter_dataclasses import Parameters
from backstop.keepers.view_records import MarketData, Tables
from backstop.model import interfaces, price_drops, price_feed
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
        outside: MarketData,
        parameters: Parameters,
    ) -> None:
        self.timestamp = timestamp
        self.outside = outside
        self.addresses = addresses
        self.symbols = tuple(each.symbol for each in parameters.collateral_types)
        # All types: those of facilitators have no market outside.
        self.types = range(len(parameters.collateral_and_facilitator_names))
        # Prices outside by their market in the feed.
        self.markets = dict(enumerate(outside.sources or outside.prices))
        if "Equity" in snapshot:
            self.markets[EQUITY_MARKET] = outside.equity_price
        self._parameters = parameters
        self._snapshot = snapshot
        self._feed: Tables = snapshot["PriceFeed"]
        self._liquidation_prices: dict[int, int] = {}
        self._sale_prices: dict[int, int] = {}

    def get_feed_price_record(self, collateral_type: int) -> interfaces.Prices:
        """Return the feed's prices, fresh or not [ray]."""
        found: interfaces.Prices = self._feed["prices"].get(collateral_type, interfaces.Prices())
        return found

    def get_last_step_time(self, collateral_type: int) -> int:
        """Return the time of the feed's last step; 0 if it never stepped."""
        return int(self._feed["averages"].get(collateral_type, price_feed.Average()).stepped_at)

    def get_feed_config(self, collateral_type: int) -> price_feed.Config:
        """Return how the feed makes its price."""
        found: price_feed.Config = self._feed["configs"][collateral_type]
        return found

    @property
    def withdrawals_paused_until(self) -> int:
        """Time from which members of pools are paid again, after a price has fallen far."""
        none = price_drops.PriceDropState()
        found: price_drops.PriceDropState = self._feed["price_drops.times"].get((), none)
        return found.withdrawals_paused_until

    def get_earliest_guardian_halt_time(self, collateral_type: int) -> int:
        """Return the time from which a guardian may halt a market; 0 if none has."""
        return int(self._feed["halt_again_at"].get(collateral_type, 0))

    def get_current_price(self, collateral_type: int) -> int:
        """Return the current price [ray]; 0 if stale."""
        prices = self.get_feed_price_record(collateral_type)
        return 0 if self.timestamp > prices.fresh_until else prices.current

    def get_liquidation_price(self, collateral_type: int) -> int:
        """Return the price at which liquidations start [ray]; 0 if none may."""
        if collateral_type not in self._liquidation_prices:
            self._liquidation_prices[collateral_type] = price_feed.compute_valid_price_or_zero(
                self.get_feed_price_record(collateral_type),
                self.get_feed_config(collateral_type),
                self.timestamp,
                obeys_halts=True,
            )
        return self._liquidation_prices[collateral_type]

    def get_current_or_last_price(self, collateral_type: int) -> int:
        """Return the current price [ray], or the last of a feed given up as dead; 0 if there is none."""
        return price_feed.compute_valid_price_or_zero(
            self.get_feed_price_record(collateral_type), self.get_feed_config(collateral_type), self.timestamp
        )

    def get_higher_current_or_next(self, collateral_type: int) -> int:
        """Return the price from which lots are sold [ray], the higher of current and next; 0 without one."""
        if collateral_type not in self._sale_prices:
            self._sale_prices[collateral_type] = self._compute_higher_current_or_next(collateral_type)
        return self._sale_prices[collateral_type]

    def _compute_higher_current_or_next(self, collateral_type: int) -> int:
        prices, config = self.get_feed_price_record(collateral_type), self.get_feed_config(collateral_type)
        coming = prices.next or self._feed["withheld"].get(collateral_type, 0)
        if coming == 0 and self.timestamp <= prices.fresh_until:
            said = list(self.get_fresh_prices_by_reporter(collateral_type).values())
            coming = price_feed.get_lower_median(said) if len(said) >= config.quorum else 0
        return price_feed.highest_price(prices, coming, config, self.timestamp)

    def get_lower_auction_or_next(self, collateral_type: int) -> int:
        """Return the lowest price that is known, the next one included [ray]; 0 if auctions have none."""
        coming = self.get_feed_price_record(collateral_type).next or self._feed["withheld"].get(
            collateral_type, 0
        )
        price = self.get_current_or_last_price(collateral_type)
        return min(price, coming) if coming else price

    def get_risk_price(self, collateral_type: int) -> int:
        """Return the lower of the feed's current and next price, or the only one there is [ray]."""
        prices = self.get_feed_price_record(collateral_type)
        return min(prices.current, prices.next or prices.current)

    def get_lower_current_next_price(self, collateral_type: int) -> int:
        """Return the price at which new risk is measured [ray]; 0 if there is none."""
        return min(self.get_current_price(collateral_type), self.get_feed_price_record(collateral_type).next)

    def get_next_price(self, collateral_type: int) -> int:
        """Return the next price, also while a halt or a grace holds it back [ray]; 0 while it waits."""
        return int(
            self.get_feed_price_record(collateral_type).next or self._feed["withheld"].get(collateral_type, 0)
        )

    def is_next_price_renewable(self, collateral_type: int) -> bool:
        """Check whether newer reports may still replace the next price of the feed's last step."""
        return self.timestamp <= self.get_last_step_time(
            collateral_type
        ) + price_feed.compute_renewal_window_seconds(self.get_feed_config(collateral_type).step)

    def can_renew_next_price(
        self, collateral_type: int, reports: Mapping[str, int], minimum_deviation: int
    ) -> bool:
        """Check whether reports would replace the next price by one that far from it [basis points].

        Where a price waits for its confirmation, only one that need not wait replaces it.
        """
        config, pending = self.get_feed_config(collateral_type), self.get_next_price(collateral_type)
        if not self.is_next_price_renewable(collateral_type) or len(reports) < config.quorum:
            return False
        price = price_feed.get_lower_median(reports.values())
        if not pending:
            return not config.deviation or not price_feed.is_deviating(
                price, self.get_time_weighted_price(collateral_type), config.deviation
            )
        return price != pending and abs(price - pending) * BASIS_POINTS >= pending * minimum_deviation

    def get_time_weighted_price(self, collateral_type: int) -> int:
        """Return the average price over the last one or two windows [ray]."""
        average = self._feed["averages"].get(collateral_type, price_feed.Average())
        current = self.get_feed_price_record(collateral_type).current
        if average.since == self.timestamp:
            return current
        cumulative = average.cumulative + current * (self.timestamp - average.stepped_at)
        return int(cumulative // (self.timestamp - average.since))

    def get_last_report(self, collateral_type: int, reporter: str) -> price_feed.Report | None:
        """Return a reporter's last report; None if the account does not report for this type."""
        index = self._feed["reporter_index"].get((collateral_type, reporter), 0)
        if index == 0:
            return None
        found: price_feed.Report = self._feed["reports"].get((collateral_type, index), price_feed.Report())
        return found

    def get_fresh_prices_by_reporter(self, collateral_type: int) -> dict[str, int]:
        """Return the prices of the reports that would count now, by reporter [ray]."""
        config, reports, names = (
            self.get_feed_config(collateral_type),
            self._feed["reports"],
            self._feed["reporters"],
        )
        return {
            names[collateral_type, i]: reports[collateral_type, i].price
            for i in range(1, config.reporters + 1)
            if (collateral_type, i) in reports
            and self.timestamp <= reports[collateral_type, i].reported_at + config.max_age
        }
