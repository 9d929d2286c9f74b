"""Prices of the feed out of its tables alone, as rules that need one see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backstop.lockstep.step_transition import Transition

_FEED = "PriceFeed"

Read = Callable[..., Any]
"""`step.before` or `step.after`."""


def compute_time_weighted_price(step: Transition, read: Read, collateral_type: int) -> int:
    """Return the time-weighted price since the older checkpoint [ray, rounded down].

    The current price is returned if the record starts now.
    """
    prices, average, now = (
        read(_FEED, "prices", collateral_type),
        read(_FEED, "averages", collateral_type),
        step.model.timestamp,
    )
    if average.since == now:
        return int(prices.current)
    total = average.cumulative + prices.current * (now - average.stepped_at)
    return int(total // (now - average.since))


def is_price_fresh(step: Transition, read: Read, collateral_type: int) -> bool:
    """Return whether the market's current price is not older than its freshness limit."""
    return bool(step.model.timestamp <= read(_FEED, "prices", collateral_type).fresh_until)


def list_known_prices(step: Transition, collateral_type: int) -> list[int]:
    """Return the publicly known prices of a market that count for sales [ray].

    The current price counts while it is fresh, or if it is the last price of a dead feed (stale for a set
    time). While it is fresh, the next price counts as well. That includes a withheld price and a reported
    price that waits for confirmation. The list is empty without a price.
    """
    prices, config = (
        step.read_post_state(_FEED, "prices", collateral_type),
        step.read_post_state(_FEED, "configs", collateral_type),
    )
    late = step.model.timestamp - prices.fresh_until
    if late > 0:
        return [int(prices.current)] if 0 < config.dead_after < late else []
    coming = (
        prices.next
        or step.read_post_state(_FEED, "withheld", collateral_type)
        or _compute_reported_median(step, collateral_type, config)
    )
    return [int(each) for each in (prices.current, coming) if each]


def _compute_reported_median(step: Transition, collateral_type: int, config: Any) -> int:
    """Return the lower median of recent reports [ray], or 0 without a quorum."""
    reports = [
        step.read_post_state(_FEED, "reports", (collateral_type, i)) for i in range(1, config.reporters + 1)
    ]
    said = sorted(each.price for each in reports if each.reported_at + config.max_age >= step.model.timestamp)
    return int(said[(len(said) - 1) // 2]) if len(said) >= config.quorum else 0
