"""The property of final prices: each is recomputed from the prices of its market, interval by interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.arithmetic import RAY
from backstop.model.listed_types import decode_listed_types
from backstop.proof.properties.property_registry import (
    PropertyViolationError,
    history_property,
    refusal_property,
)

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem

_FEED, _SETTLEMENT, _PERPETUALS, _POLICY = "PriceFeed", "Settlement", "PerpetualMarket", "MarginPolicy"
_CLOSINGS = "settlement_price.closings"
_HOUR, _DAY, _FOREVER = 3_600, 86_400, 2**63


class _PricePiece(NamedTuple):
    """Interval in which a market's price and state did not change."""

    since: int  # seconds
    price: int  # ray
    fresh_until: int  # seconds
    held_until: int  # seconds
    waits: bool


@dataclass
class _FinalPriceRecord:
    """Final price in progress: start [seconds], intervals of prices, and fallback price [ray]."""

    begun_at: int
    pieces: list[_PricePiece]
    otherwise: int | None = None

    def evaluate_finality_and_price(self, now: int) -> tuple[bool, int]:
        """Return whether the price is final at time `now`, and the price [ray], or (False, 0).

        The price is the mean over the first six hours of valid seconds. After three days the price is final
        with at least a quarter of them. With less, the fallback price is final.
        """
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
class FinalPriceIsMeanOfFeedPrices:
    """Checker that each final price is the mean over six hours of valid prices (property 75).

    The six hours count from the start of settlement. A valid price is fresh and has no successor that waits
    for confirmation. It is not withheld by a halt or a grace period, which count for two days at most. If
    less than a quarter of six hours is valid within three days, the final price is the average before
    settlement. The final price of a market priced by its issuer is its price at the start. A delisted
    perpetual market ends at the same kind of price, from its own announced time.
    """

    def __init__(self, model: ModelSystem) -> None:
        # None of types whose beginning this has not seen.
        self._begun_at = 0
        self._settled: dict[int, _FinalPriceRecord] = {}
        self._planned: dict[tuple[int, int], _FinalPriceRecord] = {}
        self._words: dict[int, int] = {}
        # Types that the feed did not begin with.
        self._failed: set[int] = set()

    def check_step(self, step: Transition, changes: Changes) -> None:
        """Record an interval for each change of a market's price, and check each final price.

        Raises PropertyViolationError if the contract's final price differs from the recomputed price.
        """
        for log in step.outcome.logs:
            if (log.contract, log.event) == (_SETTLEMENT, "Begun"):
                self._create_final_price_records(step)
            elif (log.contract, log.event) == (_SETTLEMENT, "FeedFailed"):
                self._failed.add(log.values[0])
            elif (log.contract, log.event) == (_SETTLEMENT, "PriceFixed") and self._begun_at:
                self._check_final_price(step, *log.values)
            elif (log.contract, log.event) == (_PERPETUALS, "MarketEnded"):
                self._check_market_end(step, *log.values)
        touched = {log.values[0] for log in step.outcome.logs if log.contract == _FEED and log.values}
        for c in touched & self._settled.keys():
            self._settled[c].pieces.append(self._build_current_piece(step, c))
        for (c, at), making in self._planned.items():
            if c in touched:
                self._note_starting_average(step, c, at, making)
                making.pieces.append(self._build_current_piece(step, c))
        for log in step.outcome.logs:
            if (log.contract, log.event) == (_FEED, "FinalPricePlanned"):
                c, at = log.values
                self._planned.setdefault((c, at), _FinalPriceRecord(at, [self._build_current_piece(step, c)]))

    def _note_starting_average(
        self, step: Transition, collateral_type: int, start_time: int, final_price_record: _FinalPriceRecord
    ) -> None:
        """Store the fallback average of a planned final price once its start time has passed."""
        if final_price_record.otherwise is None and step.model.timestamp >= start_time:
            final_price_record.otherwise = _compute_past_average(step, collateral_type, start_time)

    def _create_final_price_records(self, step: Transition) -> None:
        now = self._begun_at = step.model.timestamp
        for c in decode_listed_types(step.read_post_state("VaultEngine", "terms.listed")):
            if int(step.read_pre_state(_FEED, "issuer_of", c), 16):
                self._words[c] = step.read_pre_state(_FEED, "prices", c).current
                continue
            self._settled[c] = _FinalPriceRecord(
                now, [self._build_current_piece(step, c)], _compute_past_average(step, c, now)
            )

    def _build_current_piece(self, step: Transition, collateral_type: int) -> _PricePiece:
        prices, config = (
            step.read_post_state(_FEED, "prices", collateral_type),
            step.read_post_state(_FEED, "configs", collateral_type),
        )
        waits = (
            bool(config.suspect)
            and not prices.next
            and not step.read_post_state(_FEED, "withheld", collateral_type)
        )
        now = step.model.timestamp
        # A halt may be older than what it holds back.
        held_until = _FOREVER if config.halted else config.grace_until
        return _PricePiece(now, prices.current, prices.fresh_until, held_until, waits)

    def _check_final_price(self, step: Transition, collateral_type: int, price: int) -> None:
        now = step.model.timestamp
        if (
            collateral_type not in self._settled
            and collateral_type not in self._words
            and collateral_type not in self._failed
        ):
            return  # it was retired: nobody has a debt in it
        if collateral_type in self._failed:
            found = now >= self._begun_at + 3 * _DAY, 0
        else:
            found = (
                (True, self._words[collateral_type])
                if collateral_type in self._words
                else self._settled[collateral_type].evaluate_finality_and_price(now)
            )
        if found != (True, price):
            raise PropertyViolationError(
                f"type {collateral_type} is settled at {price}, its market says {found}"
            )

    def _check_market_end(self, step: Transition, market_id: int, price: int) -> None:
        base = step.read_post_state(_POLICY, "underlyings", market_id)
        c, at = base.feed, base.ends_at
        making = self._planned.get((c, at)) if at else self._settled.get(c)
        if at and 0 < self._begun_at < at:
            making = self._settled.get(c, making)
        if making is None:
            return  # it began before this was there
        self._note_starting_average(step, c, at, making)
        is_final, final = making.evaluate_finality_and_price(step.model.timestamp)
        if not is_final or price != max(1, final * base.lot // RAY):
            raise PropertyViolationError(
                f"perpetual market {market_id} ends at {price}, its feed says {is_final}, {final}"
            )


@refusal_property(148, calls=["PriceFeed.set_market", "PriceFeed.set_guards"])
def feed_terms_are_locked_for_three_days_at_most(step: Transition) -> None:
    """Check that a feed's terms are locked only while a final price is made (property 148).

    The terms are its reporters and guards. The lock begins with settlement, or at the announced time of a
    delisting. It ends once the price is final, or three days later. Raises PropertyViolationError for a
    refusal at any other time.
    """
    if step.outcome.reason != "price_feed: is closing":
        return
    c, now = step.action.args[0], step.model.timestamp
    settled, planned = (
        step.read_post_state(_FEED, _CLOSINGS, c).begun_at,
        step.read_post_state(_FEED, "planned_for", c),
    )
    # A plan has a price of its own, under its moment; ids of markets have eight bits.
    for begun_at, key in ((settled, c), (planned, c + 256 * planned)):
        is_final = step.read_post_state(_FEED, "settlement_price.final_prices", key).is_final
        if begun_at and not is_final and begun_at <= now < begun_at + 3 * _DAY:
            return
    raise PropertyViolationError(
        f"market {c} refuses its terms at {now}, its moments are {settled} and {planned}"
    )


def _compute_past_average(step: Transition, collateral_type: int, at: int) -> int:
    """Return the market's time-weighted price at a past second `at` [ray], while it was fresh.

    The second `at` lies after the last price update before this step.
    """
    prices, average = (
        step.read_pre_state(_FEED, "prices", collateral_type),
        step.read_pre_state(_FEED, "averages", collateral_type),
    )
    until = min(at, prices.fresh_until)
    total = average.cumulative + prices.current * (until - average.stepped_at)
    return int(total // (until - average.since) if until > average.since else prices.current)
