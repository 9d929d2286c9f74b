"""The property of final prices: each is made again from what its market was at, piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from backstop.model.listing import ids_of
from backstop.proof.properties.registry import Violation, history_property
from backstop.proof.properties.transition import Changes, Transition

if TYPE_CHECKING:
    from backstop.hosts.model import ModelSystem

_FEED, _SETTLEMENT = "PriceFeed", "Settlement"
_HOUR, _DAY = 3_600, 86_400


class _Piece(NamedTuple):
    """A time in which a market stayed as it was."""

    since: int  # seconds
    price: int  # ray
    fresh_until: int  # seconds
    held_until: int  # seconds
    waits: bool


@history_property(75, events=["PriceFeed.*", "Settlement.*"])
class FinalPricesFollowFromTheFeed:
    """A type is settled at the mean over the first six hours of valid prices since settlement began.

    Valid is what is fresh, not held back by a halt or a grace (for two days) and not beside a price that
    waits to be confirmed. With less than a quarter of that it is, three days later, the average of before;
    an issuer's is that of the beginning.
    """

    def __init__(self, model: ModelSystem) -> None:
        # None of types whose beginning this has not seen.
        self._begun_at = 0
        self._pieces: dict[int, list[_Piece]] = {}
        self._otherwise: dict[int, int] = {}
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
        touched = {log.values[0] for log in step.outcome.logs if log.contract == _FEED and log.values}
        for c in touched & self._pieces.keys():
            self._pieces[c].append(self._now(step, c))

    def _begin(self, step: Transition) -> None:
        now = self._begun_at = step.model.timestamp
        for c in ids_of(step.after("VaultEngine", "terms.listed")):
            prices, average = step.before(_FEED, "prices", c), step.before(_FEED, "averages", c)
            if int(step.before(_FEED, "issuer_of", c), 16):
                self._words[c] = prices.current
                continue
            at = min(now, prices.fresh_until)
            total = average.cumulative + prices.current * (at - average.stepped_at)
            self._otherwise[c] = total // (at - average.since) if at > average.since else prices.current
            self._pieces[c] = [self._now(step, c)]

    def _now(self, step: Transition, c: int) -> _Piece:
        prices, config = step.after(_FEED, "prices", c), step.after(_FEED, "configs", c)
        waits = bool(config.suspect) and not prices.next and not step.after(_FEED, "withheld", c)
        now = step.model.timestamp
        held_until = now + 3 * _DAY if config.halted else config.grace_until
        return _Piece(now, prices.current, prices.fresh_until, held_until, waits)

    def _check(self, step: Transition, c: int, price: int) -> None:
        now = step.model.timestamp
        if c not in self._pieces and c not in self._words and c not in self._failed:
            return  # it was retired: nobody has a debt in it
        if c in self._failed:
            found = now >= self._begun_at + 3 * _DAY, 0
        else:
            found = (True, self._words[c]) if c in self._words else self._made(c, now)
        if found != (True, price):
            raise Violation(f"type {c} is settled at {price}, its market says {found}")

    def _made(self, c: int, now: int) -> tuple[bool, int]:
        """Return whether a price is final, and which it is; second by second it would be the same."""
        pieces, last = self._pieces[c], self._begun_at + 3 * _DAY
        seconds = total = 0
        for piece, end in zip(pieces, [*(each.since for each in pieces[1:]), now], strict=True):
            valid = range(piece.since, min(end, last, piece.fresh_until + 1))
            held_until = min(piece.held_until, self._begun_at + 2 * _DAY)
            valid = range(max(piece.since, held_until), valid.stop)
            if not piece.waits:
                valid = valid[: 6 * _HOUR - seconds]
                seconds, total = seconds + len(valid), total + len(valid) * piece.price
        if seconds < 6 * _HOUR and now < last:
            return False, 0
        return True, total // seconds if 4 * seconds >= 6 * _HOUR else self._otherwise[c]
