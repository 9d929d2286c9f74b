"""The property of final prices: each is made again from what its market was at, piece by piece."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from backstop.model.arithmetic import RAY
from backstop.model.listing import ids_of
from backstop.proof.properties.registry import Violation, history_property, refusal_property
from backstop.proof.properties.transition import Changes, Transition

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem

_FEED, _SETTLEMENT, _PERPETUALS, _POLICY = "PriceFeed", "Settlement", "PerpetualMarket", "MarginPolicy"
_CLOSINGS = "settlement_price.closings"
_HOUR, _DAY, _FOREVER = 3_600, 86_400, 2**63


class _Piece(NamedTuple):
    """A time in which a market stayed as it was."""

    since: int  # seconds
    price: int  # ray
    fresh_until: int  # seconds
    held_until: int  # seconds
    waits: bool


@dataclass
class _Making:
    """A final price that is made: from when on, of what pieces; what it is for want of time [ray]."""

    begun_at: int
    pieces: list[_Piece]
    otherwise: int | None = None

    def made(self, now: int) -> tuple[bool, int]:
        """Return whether the price is final, and which it is; second by second it would be the same."""
        last = self.begun_at + 3 * _DAY
        seconds = total = 0
        for piece, end in zip(self.pieces, [*(each.since for each in self.pieces[1:]), now], strict=True):
            valid = range(piece.since, min(end, last, piece.fresh_until + 1))
            held_until = min(piece.held_until, self.begun_at + 2 * _DAY)
            valid = range(max(piece.since, held_until, self.begun_at), valid.stop)
            if not piece.waits:
                valid = valid[: 6 * _HOUR - seconds]
                seconds, total = seconds + len(valid), total + len(valid) * piece.price
        if now < self.begun_at or (seconds < 6 * _HOUR and now < last):
            return False, 0
        return True, total // seconds if 4 * seconds >= 6 * _HOUR else int(self.otherwise or 0)


@history_property(75, events=["PriceFeed.*", "Settlement.*", "PerpetualMarket.MarketEnded"])
class FinalPricesFollowFromTheFeed:
    """A type is settled at the mean over the first six hours of valid prices since settlement began.

    Valid is what is fresh, not held back by a halt or a grace (for two days) and not beside a price that
    waits to be confirmed. With less than a quarter of that it is, three days later, the average of before;
    an issuer's is that of the beginning. A perpetual market that is delisted ends at the same of its moment,
    unless settlement began before.
    """

    def __init__(self, model: ModelSystem) -> None:
        # None of types whose beginning this has not seen.
        self._begun_at = 0
        self._settled: dict[int, _Making] = {}
        self._planned: dict[tuple[int, int], _Making] = {}
        self._words: dict[int, int] = {}
        # Types that the feed did not begin with.
        self._failed: set[int] = set()

    def see(self, step: Transition, changes: Changes) -> None:
        """Keep a piece for each change of a market; look at what is made final."""
        for log in step.outcome.logs:
            if (log.contract, log.event) == (_SETTLEMENT, "Begun"):
                self._begin(step)
            elif (log.contract, log.event) == (_SETTLEMENT, "FeedFailed"):
                self._failed.add(log.values[0])
            elif (log.contract, log.event) == (_SETTLEMENT, "PriceFixed") and self._begun_at:
                self._check(step, *log.values)
            elif (log.contract, log.event) == (_PERPETUALS, "MarketEnded"):
                self._check_end(step, *log.values)
        touched = {log.values[0] for log in step.outcome.logs if log.contract == _FEED and log.values}
        for c in touched & self._settled.keys():
            self._settled[c].pieces.append(self._now(step, c))
        for (c, at), making in self._planned.items():
            if c in touched:
                self._see_beginning(step, c, at, making)
                making.pieces.append(self._now(step, c))
        for log in step.outcome.logs:
            if (log.contract, log.event) == (_FEED, "FinalPricePlanned"):
                c, at = log.values
                self._planned.setdefault((c, at), _Making(at, [self._now(step, c)]))

    def _see_beginning(self, step: Transition, c: int, at: int, making: _Making) -> None:
        """Note the average of a moment that has come since the last change of its market."""
        if making.otherwise is None and step.model.timestamp >= at:
            making.otherwise = _average(step, c, at)

    def _begin(self, step: Transition) -> None:
        now = self._begun_at = step.model.timestamp
        for c in ids_of(step.after("VaultEngine", "terms.listed")):
            if int(step.before(_FEED, "issuer_of", c), 16):
                self._words[c] = step.before(_FEED, "prices", c).current
                continue
            self._settled[c] = _Making(now, [self._now(step, c)], _average(step, c, now))

    def _now(self, step: Transition, c: int) -> _Piece:
        prices, config = step.after(_FEED, "prices", c), step.after(_FEED, "configs", c)
        waits = bool(config.suspect) and not prices.next and not step.after(_FEED, "withheld", c)
        now = step.model.timestamp
        # A halt may be older than what it holds back.
        held_until = _FOREVER if config.halted else config.grace_until
        return _Piece(now, prices.current, prices.fresh_until, held_until, waits)

    def _check(self, step: Transition, c: int, price: int) -> None:
        now = step.model.timestamp
        if c not in self._settled and c not in self._words and c not in self._failed:
            return  # it was retired: nobody has a debt in it
        if c in self._failed:
            found = now >= self._begun_at + 3 * _DAY, 0
        else:
            found = (True, self._words[c]) if c in self._words else self._settled[c].made(now)
        if found != (True, price):
            raise Violation(f"type {c} is settled at {price}, its market says {found}")

    def _check_end(self, step: Transition, m: int, price: int) -> None:
        base = step.after(_POLICY, "underlyings", m)
        c, at = base.feed, base.ends_at
        making = self._planned.get((c, at)) if at else self._settled.get(c)
        if at and 0 < self._begun_at < at:
            making = self._settled.get(c, making)
        if making is None:
            return  # it began before this was there
        self._see_beginning(step, c, at, making)
        is_final, final = making.made(step.model.timestamp)
        if not is_final or price != max(1, final * base.lot // RAY):
            raise Violation(f"perpetual market {m} ends at {price}, its feed says {is_final}, {final}")


@refusal_property(148, calls=["PriceFeed.set_market", "PriceFeed.set_guards"])
def terms_of_a_feed_stand_still_for_three_days_at_most(step: Transition) -> None:
    """Assert that a feed's terms are refused as being settled only while a final price of it is made.

    That begins at the moment of a plan, or with settlement, and is over three days later.
    """
    if step.outcome.reason != "price_feed: is closing":
        return
    c, now = step.action.args[0], step.model.timestamp
    settled, planned = step.after(_FEED, _CLOSINGS, c).begun_at, step.after(_FEED, "planned_for", c)
    # A plan has a price of its own, under its moment; ids of markets have eight bits.
    for begun_at, key in ((settled, c), (planned, c + 256 * planned)):
        is_final = step.after(_FEED, "settlement_price.final_prices", key).is_final
        if begun_at and not is_final and begun_at <= now < begun_at + 3 * _DAY:
            return
    raise Violation(f"market {c} refuses its terms at {now}, its moments are {settled} and {planned}")


def _average(step: Transition, c: int, at: int) -> int:
    """Return the average of a second since the last step before this one, when the price was fresh [ray]."""
    prices, average = step.before(_FEED, "prices", c), step.before(_FEED, "averages", c)
    until = min(at, prices.fresh_until)
    total = average.cumulative + prices.current * (until - average.stepped_at)
    return int(total // (until - average.since) if until > average.since else prices.current)
