"""The property of funding, with a clock of its own: what longs pay shorts for every second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.proof.properties.figures.margin import (
    DELEVERAGER,
    FUNDING_INTERVAL,
    FUNDING_PERIOD,
    FUNDINGS,
    INTERESTS,
    MARKET,
    last_price,
    most_premium,
)
from backstop.proof.properties.registry import Violation, history_property
from backstop.proof.properties.transition import Changes, Transition

if TYPE_CHECKING:
    from backstop.hosts.model import ModelSystem

_PREMIUMS = "margin_book.premiums"
_MOST_LOTS = 2**63 - 1
_OURS = (MARKET, "MarginOrders", DELEVERAGER)
# Events of calls that charge a market, which is their third value.
_CHARGING = ((DELEVERAGER, "Begun"), ("MarginOrders", "Filled"))


@dataclass
class _Clock:
    """What lots have paid so far, what they pay a second, and the trades that the next rate follows from."""

    paid: int
    rate: int
    at: int
    premium: int
    lots: int
    since: int


@history_property(
    55,
    writes=[FUNDINGS, _PREMIUMS],
    calls=["MarginMarket.accrue", "MarginMarket.liquidate"],
    events=[f"{contract}.{event}" for contract, event in _CHARGING],
)
class FundingFollowsItsRate:
    """Assert that a lot pays its market's rate for each second that passes, however often it is charged.

    The rate changes once in an interval at most, to what trades since were above the last price for each lot
    that was open, as far as the terms let it go. Both divisions are toward zero.
    """

    def __init__(self, model: ModelSystem) -> None:
        self._clocks: dict[int, _Clock] = {}
        if MARKET in model.world.contracts:
            tables = model.world.contracts[MARKET].tables
            for m in range(8):
                self._clocks[m] = _Clock(*tables[FUNDINGS][m], *tables[_PREMIUMS][m])

    def see(self, step: Transition, changes: Changes) -> None:
        """Move the clocks of the markets that the step charges; none else may move."""
        contract, method = step.action.contract, step.action.method
        if not self._clocks:
            return
        if contract not in _OURS and FUNDINGS not in changes and _PREMIUMS not in changes:
            return
        charged: list[int] = []
        if (contract, method) in ((MARKET, "accrue"), (MARKET, "liquidate")):
            charged.append(step.action.args[method == "liquidate"])
        charged += [log.values[2] for log in step.outcome.logs if (log.contract, log.event) in _CHARGING]
        for path in (FUNDINGS, _PREMIUMS):
            others = [each.key for each in changes.get(path, ()) if each.key not in charged]
            if others:
                raise Violation(f"{contract}.{method} moved the funding of markets {others}")
        for m in charged:
            clock = self._clocks[m]
            self._charge(step, m, clock)
            if method == "fill":
                self._note(step, m, clock)
            found = (*step.after(MARKET, FUNDINGS, m), *step.after(MARKET, _PREMIUMS, m))
            expected = (clock.paid, clock.rate, clock.at, clock.premium, clock.lots, clock.since)
            if found != expected:
                raise Violation(f"{method}: the funding of market {m} is {found}, not {expected}")

    def _charge(self, step: Transition, m: int, clock: _Clock) -> None:
        now = step.model.timestamp
        clock.paid += clock.rate * (now - clock.at)
        clock.at = now
        if now - clock.since >= FUNDING_INTERVAL:
            most = most_premium(step, m)
            of_a_lot = _toward_zero(clock.premium, max(1, step.before(MARKET, INTERESTS, m).open))
            clock.rate = _toward_zero(max(-most, min(most, of_a_lot)), FUNDING_PERIOD)
            clock.premium, clock.lots, clock.since = 0, 0, now

    def _note(self, step: Transition, m: int, clock: _Clock) -> None:
        lots, price = next(log.values[3:5] for log in step.outcome.logs if log.event == "Filled")
        most = most_premium(step, m)
        counted = min(lots, _MOST_LOTS - clock.lots)
        clock.premium += counted * max(-most, min(most, price - last_price(step, m)))
        clock.lots += counted


def _toward_zero(a: int, b: int) -> int:
    return a // b if a >= 0 else -(-a // b)
