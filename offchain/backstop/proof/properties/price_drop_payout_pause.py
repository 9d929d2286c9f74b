"""The property of price drops: no pool pays an exit while debt that a price exposed may be unflagged."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties.property_registry import PropertyViolationError, history_property

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem

_FEED = "PriceFeed"
_LOOK, _DAY = 600, 86_400
_TYPES = 224
_PAID = "ClaimsRepaid", "IncomeShared", "FundInsured", "SurplusSold"
_PART = 2**20
"""Units in which the feed counts the size of a price drop: a step is rounded by one of them."""


class _PricePoint(NamedTuple):
    """Lowest known price [ray] of a market from a time [seconds] on."""

    at: int  # seconds
    price: int  # ray


@history_property(83, writes=["price_drops.times"], events=["PriceFeed.Poked", "*.BatchPaid", "*.RoundPaid"])
class PoolPayoutsPauseAfterPriceDrop:
    """Checker that pools pay no exits within ten minutes of a 5% price drop (property 83).

    The drop is measured on the lowest known price of each type. A series of drops stops payments for one day
    at most. A series is drops of 5%, each within twenty minutes of the one before. Prices set by an issuer do
    not count, and in settlement nothing waits.
    """

    def __init__(self, model: ModelSystem) -> None:
        tables = model.world.contracts[_FEED].tables
        # Market -> its last prices; the highest since its last fall, and how many steps ago that was.
        self._seen: dict[int, list[_PricePoint]] = {}
        self._highest: dict[int, tuple[int, int]] = {}
        for c, prices in tables["prices"].items():
            if c < _TYPES and c not in tables["issuer_of"]:
                lowest = min(prices.current, prices.next or tables["withheld"][c] or prices.current)
                self._seen[c] = [_PricePoint(0, lowest)]
                self._highest[c] = lowest * _PART // (_PART - tables["averages"][c].fallen), 1

    def check_step(self, step: Transition, changes: Changes) -> None:
        """Record each new price, and check recorded price drops and pool payments.

        Raises PropertyViolationError if the feed misses a drop or a pool pays too early.
        """
        fell, now = False, step.model.timestamp
        for log in step.outcome.logs:
            if (log.contract, log.event) == (_FEED, "Poked"):
                fell = self._record_price_and_check_fall(step, log.values[0])
            elif (
                log.event in ("BatchPaid", "RoundPaid")
                and not step.read_post_state("LossWaterfall", "books").settlement
            ):
                self._check_payment(step, log.contract)
        old, new = (
            step.read_pre_state(_FEED, "price_drops.times"),
            step.read_post_state(_FEED, "price_drops.times"),
        )
        expected = tuple(old)
        if fell:
            expected = now, now if now > old.last + 2 * _LOOK else old.began
        if tuple(new) != expected:
            raise PropertyViolationError(
                f"falls were {tuple(old)}, they are {tuple(new)} at {now}, not {expected}"
            )

    def _record_price_and_check_fall(self, step: Transition, collateral_type: int) -> bool:
        """Record a market's lowest known price; return whether the feed registered a price drop.

        Rounding in the feed may turn slightly less than 5% into a drop. Raises PropertyViolationError if a
        drop of 5% was not registered.
        """
        if collateral_type >= _TYPES or int(step.read_post_state(_FEED, "issuer_of", collateral_type), 16):
            return False
        prices, now = step.read_post_state(_FEED, "prices", collateral_type), step.model.timestamp
        lowest = min(
            prices.current,
            prices.next or step.read_post_state(_FEED, "withheld", collateral_type) or prices.current,
        )
        seen = self._seen.setdefault(collateral_type, [])
        seen.append(_PricePoint(now, lowest))
        # Of those from before the ten minutes only the last one matters.
        while len(seen) > 1 and seen[1].at <= now - _LOOK:
            del seen[0]
        highest, steps = self._highest.get(collateral_type, (lowest, 0))
        begins_anew = step.read_post_state(_FEED, "averages", collateral_type).fallen == 0
        fell = begins_anew and lowest * 10**6 <= highest * (950_000 + steps + 1)
        if lowest * 100 <= highest * 95 and not fell:
            raise PropertyViolationError(
                f"type {collateral_type} has fallen from {highest} to {lowest}, and nobody noted it"
            )
        self._highest[collateral_type] = (lowest, 0) if fell or lowest >= highest else (highest, steps + 1)
        return fell

    def _check_payment(self, step: Transition, pool: str) -> None:
        now = step.model.timestamp
        if now >= step.read_post_state(_FEED, "price_drops.times").began + _DAY:
            return
        for c, seen in self._seen.items():
            first = max((k for k, each in enumerate(seen) if each.at <= now - _LOOK), default=0)
            highest = max(each.price for each in seen[first:])
            if seen[-1].price * 100 <= highest * 95:
                raise PropertyViolationError(
                    f"{pool} pays while type {c} falls from {highest} to {seen[-1].price}"
                )


@history_property(
    157,
    events=["PriceFeed.Poked", *(f"Treasury.{each}" for each in _PAID)],
)
class TreasuryPaymentsPauseAfterPriceDrop(PoolPayoutsPauseAfterPriceDrop):
    """Checker that the treasury pays nothing within ten minutes of a 5% price drop (property 157).

    Payments are to claims, pools, insurance and buyers of surplus. A series of drops stops payments for one
    day at most.
    """

    def check_step(self, step: Transition, changes: Changes) -> None:
        """Record each new price, and check the treasury's payments against recent price drops.

        Raises PropertyViolationError if the treasury pays too early.
        """
        for log in step.outcome.logs:
            if (log.contract, log.event) == (_FEED, "Poked"):
                self._record_price_and_check_fall(step, log.values[0])
            elif log.contract == "Treasury" and log.event in _PAID:
                self._check_payment(step, "the treasury")
