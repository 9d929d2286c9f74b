"""The property of funding in the margin market, with a clock of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.proof.properties.figures.cycles import (
    BASIS_POINTS,
    DESK,
    FUNDING_INTERVAL,
    FUNDING_PERIOD,
    FUNDINGS,
    LOTS,
    MARKET,
    MARKETS,
    ORDERS,
    PATHS,
    POLICY,
    POOL,
    PREMIUMS,
    closed,
    has_ended,
    met,
    ours,
    there,
    trade_of,
)
from backstop.proof.properties.registry import Violation, history_property
from backstop.proof.properties.transition import Changes, Transition

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem

_MOST_LOTS = 2**63 - 1


@dataclass
class _Clock:
    """What lots have paid so far, what they pay a second, and the trades that the next rate follows from."""

    paid: int = 0
    rate: int = 0
    at: int = 0
    premium: int = 0
    lots: int = 0
    since: int = 0


@history_property(
    95,
    writes=[FUNDINGS, PREMIUMS],
    calls=[f"{MARKET}.*", f"{DESK}.*", f"{POOL}.*", f"{ORDERS}.fill"],
)
class LotsPayTheRateOfTheirTime:
    """Assert that a lot pays its market's rate for each second, however often anybody looks.

    The rate changes once in an interval at most, to what trades since were above the mark for each lot that
    was open, within its cap, both rounded toward zero; to none in a market that is delisted. It ends with the
    final price.
    """

    def __init__(self, model: ModelSystem) -> None:
        self._clocks: dict[int, _Clock] = {}
        if MARKET in model.world.contracts:
            tables = model.world.contracts[MARKET].tables
            self._clocks = {m: _Clock(*tables[FUNDINGS][m], *tables[PREMIUMS][m]) for m in MARKETS}

    def see(self, step: Transition, changes: Changes) -> None:
        """Move the clocks of the markets that the step may have charged; no record says anything else."""
        if not there(step):
            return
        closes = step.calls(MARKET, "end_market")
        # These mark, and ask for no new rate.
        marks = met(step) or step.calls(MARKET, "roll")
        trade = None if closes else trade_of(step)
        charged = {m for path in (FUNDINGS, PREMIUMS) for m in ours(changes, path)}
        if step.calls(MARKET, "accrue") and self._has_mark(step, step.action.args[0]):
            charged.add(step.action.args[0])
        if trade:
            charged.add(trade.market)
        # What is closed by force counts as traded, at the mark.
        forced = [(m, abs(delta)) for _, m, delta, _ in closed(step)]
        charged |= {m for m, _ in forced}
        if closes:
            charged.add(step.action.args[0])
        for m in charged:
            clock = self._clocks.setdefault(m, _Clock())
            clock.paid += clock.rate * (step.model.timestamp - clock.at)
            clock.at = step.model.timestamp
            if closes:
                clock.rate = 0
            elif not marks:
                self._follow(step, m, clock)
            if trade and trade.market == m:
                most = self._most(step, m)
                counted = min(abs(trade.delta), _MOST_LOTS - clock.lots)
                over = trade.price - step.after(MARKET, PATHS, m).price
                clock.premium += counted * max(-most, min(most, over))
                clock.lots += counted
            for each, lots in forced:
                if each == m:
                    clock.lots = min(clock.lots + lots, _MOST_LOTS)
            found = (*step.after(MARKET, FUNDINGS, m), *step.after(MARKET, PREMIUMS, m))
            expected = (clock.paid, clock.rate, clock.at, clock.premium, clock.lots, clock.since)
            if found != expected:
                raise Violation(f"{step.action.method}: the funding of market {m} is {found}, not {expected}")

    def _follow(self, step: Transition, m: int, clock: _Clock) -> None:
        """After an interval have the rate follow its trades."""
        if clock.at - clock.since < FUNDING_INTERVAL:
            return
        most = self._most(step, m)
        of_a_lot = _toward_zero(clock.premium, max(1, *step.before(MARKET, LOTS, m)))
        clock.rate = _toward_zero(max(-most, min(most, of_a_lot)), FUNDING_PERIOD)
        clock.premium, clock.lots, clock.since = 0, 0, clock.at

    @staticmethod
    def _has_mark(step: Transition, m: int) -> bool:
        """Return whether a market has been marked and has not ended: it charges."""
        return bool(step.after(MARKET, PATHS, m).price) and not has_ended(step, step.after, m)

    @staticmethod
    def _most(step: Transition, m: int) -> int:
        terms, price = step.after(POLICY, "terms", m), step.after(MARKET, PATHS, m).price
        if step.after(POLICY, "underlyings", m).ends_at:
            return 0
        return int(price * terms.max_funding // BASIS_POINTS)


def _toward_zero(a: int, b: int) -> int:
    return a // b if a >= 0 else -(-a // b)
