"""Prices of the feed out of its tables alone, as rules that need one see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backstop.proof.properties.transition import Transition

_FEED = "PriceFeed"

Read = Callable[..., Any]
"""`step.before` or `step.after`."""


def time_weighted(step: Transition, read: Read, c: int) -> int:
    """Return the average since the older checkpoint up to now, rounded down; current without a history."""
    prices, average, now = read(_FEED, "prices", c), read(_FEED, "averages", c), step.model.timestamp
    if average.since == now:
        return int(prices.current)
    total = average.cumulative + prices.current * (now - average.stepped_at)
    return int(total // (now - average.since))


def fresh(step: Transition, read: Read, c: int) -> bool:
    """Return whether a price counts for new risk, were none held back."""
    return bool(step.model.timestamp <= read(_FEED, "prices", c).fresh_until)
