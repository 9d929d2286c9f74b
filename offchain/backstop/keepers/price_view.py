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
    """View of the price feed and its reports at one block."""

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
        """Return the feed's stored prices of a market, even if they are stale [ray]."""
        found: interfaces.Prices = self._feed["prices"].get(collateral_type, interfaces.Prices())
        return found

    def get_last_step_time(self, collateral_type: int) -> int:
        """Return the timestamp of the feed's last update step for a market; 0 if there was none."""
        return int(self._feed["averages"].get(collateral_type, price_feed.Average()).stepped_at)

    def get_feed_config(self, collateral_type: int) -> price_feed.Config:
        """Return the configuration by which the feed computes a market's price."""
        found: price_feed.Config = self._feed["configs"][collateral_type]
        return found

    @property
    def withdrawals_paused_until(self) -> int:
        """Timestamp until which withdrawals from pools are paused after a large price drop."""
        none = price_drops.PriceDropState()
        found: price_drops.PriceDropState = self._feed["price_drops.times"].get((), none)
        return found.withdrawals_paused_until

    def get_earliest_guardian_halt_time(self, collateral_type: int) -> int:
        """Return the timestamp from which a guardian may halt a market again; 0 if none has halted it yet."""
        return int(self._feed["halt_again_at"].get(collateral_type, 0))

    def get_current_price(self, collateral_type: int) -> int:
        """Return the current price of a market [ray]; 0 if it is stale."""
        prices = self.get_feed_price_record(collateral_type)
        return 0 if self.timestamp > prices.fresh_until else prices.current

    def get_liquidation_price(self, collateral_type: int) -> int:
        """Return the price at which liquidations start now [ray]; 0 if none may start.

        Halts and grace periods of the feed are obeyed.
        """
        if collateral_type not in self._liquidation_prices:
            self._liquidation_prices[collateral_type] = price_feed.compute_valid_price_or_zero(
                self.get_feed_price_record(collateral_type),
                self.get_feed_config(collateral_type),
                self.timestamp,
                obeys_halts=True,
            )
        return self._liquidation_prices[collateral_type]

    def get_current_or_last_price(self, collateral_type: int) -> int:
        """Return the current price, or the last price of a feed that counts as dead [ray]; 0 if none."""
        return price_feed.compute_valid_price_or_zero(
            self.get_feed_price_record(collateral_type), self.get_feed_config(collateral_type), self.timestamp
        )

    def get_higher_current_or_next(self, collateral_type: int) -> int:
        """Return the price from which an auction starts [ray]: the higher of current and next price.

        0 if there is no valid price. Without a stored next price, the median of fresh reports stands for it
        if they form a quorum.
        """
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
        """Return the lower of the price valid for auctions and the next price [ray].

        0 if no price is valid for auctions. Without a next price it is the valid price alone.
        """
        coming = self.get_feed_price_record(collateral_type).next or self._feed["withheld"].get(
            collateral_type, 0
        )
        price = self.get_current_or_last_price(collateral_type)
        return min(price, coming) if coming else price

    def get_risk_price(self, collateral_type: int) -> int:
        """Return the lower of the feed's current and next price [ray].

        The current price alone counts if there is no next price.
        """
        prices = self.get_feed_price_record(collateral_type)
        return min(prices.current, prices.next or prices.current)

    def get_lower_current_next_price(self, collateral_type: int) -> int:
        """Return the price at which new debt is valued [ray]: the lower of current and next price.

        0 if the current price is stale or there is no next price.
        """
        return min(self.get_current_price(collateral_type), self.get_feed_price_record(collateral_type).next)

    def get_next_price(self, collateral_type: int) -> int:
        """Return the feed's next price, even if a halt or grace period withholds it [ray].

        0 if there is none, for example while it waits for confirmation.
        """
        return int(
            self.get_feed_price_record(collateral_type).next or self._feed["withheld"].get(collateral_type, 0)
        )

    def is_next_price_renewable(self, collateral_type: int) -> bool:
        """Return True if newer reports may still replace the next price of the feed's last step."""
        return self.timestamp <= self.get_last_step_time(
            collateral_type
        ) + price_feed.compute_renewal_window_seconds(self.get_feed_config(collateral_type).step)

    def can_renew_next_price(
        self, collateral_type: int, reports: Mapping[str, int], minimum_deviation: int
    ) -> bool:
        """Return True if these reports would replace the feed's next price by a sufficiently different one.

        `reports` has prices by reporter [ray]; `minimum_deviation` is in basis points. If a price awaits
        confirmation, only a price within the feed's allowed deviation replaces it.
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
        """Return the time-weighted average price over the last one or two windows of the feed [ray]."""
        average = self._feed["averages"].get(collateral_type, price_feed.Average())
        current = self.get_feed_price_record(collateral_type).current
        if average.since == self.timestamp:
            return current
        cumulative = average.cumulative + current * (self.timestamp - average.stepped_at)
        return int(cumulative // (self.timestamp - average.since))

    def get_last_report(self, collateral_type: int, reporter: str) -> price_feed.Report | None:
        """Return a reporter's last stored report; None if the account is no reporter of this market."""
        index = self._feed["reporter_index"].get((collateral_type, reporter), 0)
        if index == 0:
            return None
        found: price_feed.Report = self._feed["reports"].get((collateral_type, index), price_feed.Report())
        return found

    def get_fresh_prices_by_reporter(self, collateral_type: int) -> dict[str, int]:
        """Return the prices of all reports that are recent enough to count now [ray], by reporter."""
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
