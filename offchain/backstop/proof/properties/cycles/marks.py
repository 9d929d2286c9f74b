"""Properties of marks and time in the margin market by cycles: whose price counts, when cycles end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.model.arithmetic import RAY
from backstop.proof.properties.figures.cycles import (
    CLOCK,
    CLOSING,
    DESK,
    FUNDINGS,
    MARKET,
    MARKETS,
    ORDERS,
    PATHS,
    POLICY,
    TRADES,
    median_within,
    ours,
    there,
    told,
    trade_of,
)
from backstop.proof.properties.registry import Violation, history_property, transition_property
from backstop.proof.properties.transition import Changes, Transition

if TYPE_CHECKING:
    from backstop.hosts.model import ModelSystem


@transition_property(90, writes=[PATHS], calls=[f"{MARKET}.accrue", *TRADES])
def a_mark_is_seconds_old(step: Transition, changes: Changes) -> None:
    """Assert that a mark is the middle of a quorum of reports of the last seconds, and never comes of a halt.

    Whoever brings a market up to now, or trades in it, has it marked where there is such a price; there is
    none once prices are final.
    """
    if not there(step) or step.calls(MARKET, "begin_close"):
        return
    for m, each in ours(changes, PATHS).items():
        median = median_within(step, m)
        if each.new.price != each.old.price and (each.new.price != median or step.after(MARKET, CLOSING)):
            raise Violation(f"market {m} is marked at {each.new.price}, the reports say {median}")
    concerned = None
    if step.calls(MARKET, "accrue"):
        concerned = step.action.args[0]
    elif f"{step.action.contract}.{step.action.method}" in TRADES:
        trade = trade_of(step)
        concerned = trade and trade.market
    if concerned is None:
        return
    found = 0 if step.after(MARKET, CLOSING) else median_within(step, concerned)
    mark = step.after(MARKET, PATHS, concerned).price
    if found and mark != found:
        raise Violation(f"market {concerned} stays at {mark}, the reports say {found}")
    if step.calls(MARKET, "accrue") and tuple(step.outcome.value) != (bool(found), mark):
        raise Violation(f"market {concerned} is at {mark} of {found}, and says {step.outcome.value}")
    if step.action.contract != MARKET and step.action.method in ("take", "liquidate") and not found:
        raise Violation(f"lots were taken over at a mark of {mark} that nobody brought")


@history_property(92, writes=[CLOCK], calls=[f"{MARKET}.roll", f"{MARKET}.meet"])
class CyclesEndInTime:
    """Assert that a cycle ends a window after the last, quiet after a booking, or after four windows.

    Each roll ends one cycle; what changes nothing is no booking, so that nobody keeps a window open for
    nothing.
    """

    def __init__(self, model: ModelSystem) -> None:
        self._rolled_at: int | None = None
        self._booked_at = 0
        if MARKET in model.world.contracts:
            clock = model.world.contracts[MARKET].tables[CLOCK][()]
            self._rolled_at, self._booked_at = clock.rolled_at, clock.booked_at

    def see(self, step: Transition, changes: Changes) -> None:
        """Look at rolls and bookings; nothing else touches the clock."""
        if not there(step):
            return
        old, new, now = step.before(MARKET, CLOCK), step.after(MARKET, CLOCK), step.model.timestamp
        if self._rolled_at is None:
            self._rolled_at, self._booked_at = old.rolled_at, old.booked_at
        booked = bool(told(step, "Booked"))
        if step.calls(MARKET, "roll"):
            market = step.contract(MARKET)
            passed, quiet = now - self._rolled_at, now - self._booked_at
            if passed < 4 * market.window and (passed < market.window or quiet < market.quiet):
                raise Violation(f"a cycle ends {passed} s after the last, {quiet} s after a booking")
            if new.cycle != old.cycle + 1:
                raise Violation(f"cycle {old.cycle} is followed by {new.cycle}")
            self._rolled_at, self._booked_at = now, 0
        else:
            if (new.cycle, new.rolled_at) != (old.cycle, old.rolled_at):
                raise Violation(f"{step.action.method} ended a cycle")
            if step.calls(MARKET, "meet") and not booked and not told(step, "Seized"):
                raise Violation(f"{step.action.args[0]} was met, and there was nothing to do")
            self._booked_at = now if booked else self._booked_at
        if (new.rolled_at, new.booked_at) != (self._rolled_at, self._booked_at):
            raise Violation(f"the clock says {new}, not {self._rolled_at} and {self._booked_at}")


@transition_property(94, writes=[CLOSING], calls=[f"{MARKET}.*", f"{DESK}.*", f"{ORDERS}.fill"])
def final_prices_are_the_last(step: Transition, changes: Changes) -> None:
    """Assert that markets close once, in settlement, at the feed's final prices, and then stand still.

    Nothing is traded or seized any more, no funding is paid, and who closes out does so at the last mark.
    """
    if not there(step):
        return
    was, now = step.before(MARKET, CLOSING), step.after(MARKET, CLOSING)
    if step.calls(MARKET, "begin_close"):
        if was or not step.after("Settlement", "progress").begun_at:
            raise Violation("markets closed before settlement, or once more")
        if now != step.after(MARKET, CLOCK).cycle:
            raise Violation(f"prices are final in cycle {step.after(MARKET, CLOCK).cycle}, noted is {now}")
        for m in range(step.after(POLICY, "markets")):
            base, path = step.after(POLICY, "underlyings", m), step.after(MARKET, PATHS, m)
            final = step.after("PriceFeed", "settlement_price.final_prices", base.feed)
            price = max(1, final.price * base.lot // RAY)
            level = path.price - step.after(MARKET, FUNDINGS, m).level
            if (final.is_final and path.price != price) or not path.price or path.extreme != level:
                raise Violation(f"market {m} closes at {path}, a level of {level} and {final}")
            if step.after(MARKET, FUNDINGS, m)[1:] != (0, step.model.timestamp):
                raise Violation(f"funding of market {m} goes on: {step.after(MARKET, FUNDINGS, m)}")
    elif was != now:
        raise Violation(f"{step.action.method} said that prices are final")
    elif was:
        fundings = [m for m in MARKETS if step.after(MARKET, FUNDINGS, m).rate]
        if trade_of(step) or told(step, "Seized") or (PATHS in changes and ours(changes, PATHS)) or fundings:
            raise Violation(f"{step.action.contract}.{step.action.method}, and prices are final")
    elif step.calls(MARKET, "close_out"):
        raise Violation(f"{step.action.args[0]} was closed out of an open market")
