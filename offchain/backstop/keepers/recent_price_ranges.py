"""The range of prices that a reporter saw in the last seconds."""

from __future__ import annotations

from dataclasses import dataclass, field

from backstop.model.signed_reports import Span


@dataclass
class PriceRanges:
    """Recent prices that a reporter observed, by market; prices older than the window are dropped."""

    _seen: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    def record_price_and_get_range(self, market: int, price: int, now: int, window_seconds: int) -> Span:
        """Record a price [ray] at time `now`, and return the price range of the last `window_seconds`.

        A price holds until the next observation, so the last one before the window counts as well. The range
        covers less time if the observations began later.
        """
        since = now - window_seconds
        seen = [(at, each) for at, each in self._seen.get(market, []) if at < now] + [(now, price)]
        first = max((i for i, (at, _) in enumerate(seen) if at <= since), default=0)
        self._seen[market] = seen = seen[first:]
        prices = [each for _, each in seen]
        return Span(min(prices), max(prices), max(since, seen[0][0]))
