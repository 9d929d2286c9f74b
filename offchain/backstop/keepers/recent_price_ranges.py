"""The range of prices that a reporter saw in the last seconds."""

from __future__ import annotations

from dataclasses import dataclass, field

from backstop.model.signed_reports import Span


@dataclass
class PriceRanges:
    """Recent prices of markets that a reporter has observed; older ones are dropped."""

    _seen: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    def record_price_and_get_range(self, market: int, price: int, now: int, window_seconds: int) -> Span:
        """Note the price [ray] at `now` [seconds]; return the range of the last `length` seconds.

        A price holds until the next one is seen, so the last one before those seconds counts as well. A
        keeper that has watched for less time gets a shorter range.
        """
        since = now - window_seconds
        seen = [(at, each) for at, each in self._seen.get(market, []) if at < now] + [(now, price)]
        first = max((i for i, (at, _) in enumerate(seen) if at <= since), default=0)
        self._seen[market] = seen = seen[first:]
        prices = [each for _, each in seen]
        return Span(min(prices), max(prices), max(since, seen[0][0]))
