"""Properties of marks and time in the margin market: whose price counts, when cycles end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.model.arithmetic import RAY
from backstop.proof.properties.figures.cycles import (
    ACCOUNTS,
    CLOCK,
    CLOSING,
    DESK,
    FUNDINGS,
    MARKET,
    MARKETS,
    MEETINGS,
    ORDERS,
    PATHS,
    POLICY,
    POOL,
    POSITIONS,
    TRADES,
    Making,
    final_of,
    has_ended,
    median_within,
    ours,
    range_within,
    sizes_of,
    there,
    told,
    trade_of,
)
from backstop.proof.properties.registry import Violation, history_property, transition_property
from backstop.proof.properties.transition import Changes, Transition

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem


@transition_property(90, writes=[PATHS], calls=[f"{MARKET}.accrue", *TRADES])
def a_mark_is_seconds_old(step: Transition, changes: Changes) -> None:
    """Assert that a mark is the middle of a quorum of reports of the last seconds, and never comes of a halt.

    Whoever brings a market up to now, or trades in it, has it marked where there is such a price, and is told
    its range. While a final price is made, the mark is what that will be if the price of now holds; then
    there is no other.
    """
    if not there(step) or step.calls(MARKET, "end_market"):
        return
    for m, each in ours(changes, PATHS).items():
        median = median_within(step, m)
        if each.new.price != each.old.price and (each.new.price != median or has_ended(step, step.after, m)):
            raise Violation(f"market {m} is marked at {each.new.price}, the reports say {median}")
    concerned = None
    if step.calls(MARKET, "accrue"):
        concerned = step.action.args[0]
    elif f"{step.action.contract}.{step.action.method}" in TRADES:
        trade = trade_of(step)
        concerned = trade and trade.market
    if concerned is None:
        return
    found = 0 if has_ended(step, step.after, concerned) else median_within(step, concerned)
    mark = step.after(MARKET, PATHS, concerned).price
    if found and mark != found:
        raise Violation(f"market {concerned} stays at {mark}, the reports say {found}")
    ends = range_within(step, concerned)[1:] if found else (0, 0)
    if step.calls(MARKET, "accrue") and tuple(step.outcome.value) != (mark, *ends):
        raise Violation(f"market {concerned} is at {mark} of {found}, and says {step.outcome.value}")
    if step.action.contract != MARKET and step.action.method in ("take", "liquidate") and not found:
        raise Violation(f"lots were taken over at a mark of {mark} that nobody brought")


@history_property(92, writes=[CLOCK], calls=[f"{MARKET}.roll", *MEETINGS])
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
            acted = booked or bool(told(step, "Seized"))
            if step.calls(MARKET, "meet") and not acted:
                raise Violation(f"{step.action.args[0]} was met, and there was nothing to do")
            if step.calls(MARKET, "meet_all") and bool(step.outcome.value) != acted:
                raise Violation(f"{step.outcome.value} were met of {step.action.args[0]}")
            self._booked_at = now if booked else self._booked_at
        if (new.rolled_at, new.booked_at) != (self._rolled_at, self._booked_at):
            raise Violation(f"the clock says {new}, not {self._rolled_at} and {self._booked_at}")


@transition_property(
    94,
    writes=[CLOSING, CLOCK, FUNDINGS],
    calls=[f"{MARKET}.*", f"{DESK}.*", f"{POOL}.*", f"{ORDERS}.fill", f"{POLICY}.delist"],
)
def final_prices_are_the_last(step: Transition, changes: Changes) -> None:
    """Assert that a market ends once, delisted or in settlement, at its final price, and then stands still.

    It is not traded any more, no funding is paid, and an account that is up to date has no lots in it. In one
    that is delisted nobody takes lots but who reduces, or takes them over from who lacks margin. In
    settlement the cycle of the last end is noted.
    """
    if not there(step):
        return
    was, now = step.before(MARKET, CLOCK).ended, step.after(MARKET, CLOCK).ended
    ending = step.action.args[0] if step.calls(MARKET, "end_market") else None
    if now != was | (0 if ending is None else 1 << ending) or (ending is not None and was >> ending & 1):
        raise Violation(f"{step.action.method} had markets {now:b} end, after {was:b}")
    closing = step.before(MARKET, CLOSING)
    if ending is not None:
        _check_end(step, ending)
        if step.after("Settlement", "progress").begun_at:
            closing = step.after(MARKET, CLOCK).cycle
    if step.after(MARKET, CLOSING) != closing:
        raise Violation(f"the last end is noted in cycle {step.after(MARKET, CLOSING)}, not {closing}")
    trade = trade_of(step)
    for m in MARKETS:
        if was >> m & 1:
            marked = PATHS in changes and m in ours(changes, PATHS)
            if marked or (trade and trade.market == m) or step.after(MARKET, FUNDINGS, m).rate:
                raise Violation(f"{step.action.method}, and market {m} has ended")
    owners = {key[0] for key in ours(changes, POSITIONS)} | set(ours(changes, ACCOUNTS))
    if step.calls(MARKET, "wake"):
        owners.add(step.action.args[0])
    for owner in owners:
        if step.after(MARKET, ACCOUNTS, owner).cycle == step.after(MARKET, CLOCK).cycle:
            over = [m for m in sizes_of(step.after, owner) if now >> m & 1]
            if over and ending is None:
                raise Violation(f"{owner} is up to date, and has lots in {over}, which have ended")
    if trade and step.after(POLICY, "underlyings", trade.market).ends_at:
        sides = [(trade.one, trade.delta)]
        if step.action.method == "fill":
            sides.append((trade.other, -trade.delta))
        for owner, delta in sides:
            size = step.after(MARKET, POSITIONS, (owner, trade.market)).size
            if (size - delta) * delta >= 0 or abs(delta) > abs(size - delta):
                raise Violation(f"{owner} has {size} lots, after {delta}, of a market that is delisted")


def _check_end(step: Transition, m: int) -> None:
    """Assert that a market ends at its final price, on the path as well, and that funding does."""
    base, path, made = step.after(POLICY, "underlyings", m), step.after(MARKET, PATHS, m), final_of(step, m)
    funding = step.after(MARKET, FUNDINGS, m)
    if made is None:
        # A market that an issuer has the word of knows no beginning.
        final = step.after("PriceFeed", "settlement_price.final_prices", base.feed)
        made = Making(final.is_final, 0, final.price)
    price = max(1, made.sum * base.lot // RAY)
    if not made.is_final or path.price != price or path.extreme != path.price - funding.level:
        raise Violation(f"market {m} ends at {path}, a level of {funding.level} and {made}")
    if funding[1:] != (0, step.model.timestamp):
        raise Violation(f"funding of market {m} goes on: {funding}")
