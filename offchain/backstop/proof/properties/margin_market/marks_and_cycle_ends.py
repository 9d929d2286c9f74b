"""Properties of marks and time in the margin market: the prices that count, and the ends of cycles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.arithmetic import RAY
from backstop.proof.properties.independent_arithmetic.margin_figures import (
    ACCOUNTS,
    CLOCK,
    CLOSING,
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
    TRADING,
    FinalPriceProgress,
    build_trade_from_events,
    compute_final_price_progress,
    compute_lot_price_and_range,
    compute_lot_price_from_reports,
    get_market_changes,
    has_ended,
    has_margin_market,
    list_event_values,
    read_position_sizes,
)
from backstop.proof.properties.property_registry import (
    PropertyViolationError,
    history_property,
    transition_property,
)

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem


@transition_property(90, writes=[PATHS], calls=[f"{MARKET}.accrue", *TRADES])
def mark_is_median_of_recent_reports(step: Transition, changes: Changes) -> None:
    """Check that a mark is the median of a quorum of recent reports (property 90).

    No mark is set in a halt. A call that updates or trades a market marks it if there is a median. While a
    final price is in progress, the mark is the final price that would result if the current price persisted.
    Raises PropertyViolationError otherwise.
    """
    if not has_margin_market(step) or step.is_call(MARKET, "end_market"):
        return
    for m, each in get_market_changes(changes, PATHS).items():
        median = compute_lot_price_from_reports(step, m)
        if each.new.price != each.old.price and (
            each.new.price != median or has_ended(step, step.read_post_state, m)
        ):
            raise PropertyViolationError(
                f"market {m} is marked at {each.new.price}, the reports say {median}"
            )
    concerned = None
    if step.is_call(MARKET, "accrue"):
        concerned = step.action.args[0]
    elif f"{step.action.contract}.{step.action.method}" in TRADES:
        trade = build_trade_from_events(step)
        concerned = trade and trade.market
    if concerned is None:
        return
    found = (
        0
        if has_ended(step, step.read_post_state, concerned)
        else compute_lot_price_from_reports(step, concerned)
    )
    mark = step.read_post_state(MARKET, PATHS, concerned).price
    if found and mark != found:
        raise PropertyViolationError(f"market {concerned} stays at {mark}, the reports say {found}")
    ends = compute_lot_price_and_range(step, concerned)[1:] if found else (0, 0)
    if step.is_call(MARKET, "accrue") and tuple(step.outcome.value) != (mark, *ends):
        raise PropertyViolationError(
            f"market {concerned} is at {mark} of {found}, and says {step.outcome.value}"
        )
    if step.action.contract != MARKET and step.action.method in ("take", "liquidate") and not found:
        raise PropertyViolationError(f"lots were taken over at a mark of {mark} that nobody brought")


@history_property(92, writes=[CLOCK], calls=[f"{MARKET}.advance_cycle", *MEETINGS])
class CycleEndsWithinFourWindows:
    """Checker that a cycle ends one window after the last, or four windows at the latest (property 92).

    A cycle is the accounting period of the margin market. A recent booking of a loss delays its end up to
    four windows. A call that changes nothing is no booking, so no account can delay the end for free.
    """

    def __init__(self, model: ModelSystem) -> None:
        self._rolled_at: int | None = None
        self._booked_at = 0
        if MARKET in model.world.contracts:
            clock = model.world.contracts[MARKET].tables[CLOCK][()]
            self._rolled_at, self._booked_at = clock.rolled_at, clock.booked_at

    def check_step(self, step: Transition, changes: Changes) -> None:
        """Record cycle ends and bookings of losses, and check the time of each cycle end.

        Raises PropertyViolationError if a cycle ends too early or the stored clock differs.
        """
        if not has_margin_market(step):
            return
        old, new, now = (
            step.read_pre_state(MARKET, CLOCK),
            step.read_post_state(MARKET, CLOCK),
            step.model.timestamp,
        )
        if self._rolled_at is None:
            self._rolled_at, self._booked_at = old.rolled_at, old.booked_at
        booked = bool(list_event_values(step, "Booked"))
        if step.is_call(MARKET, "advance_cycle"):
            market = step.get_contract(MARKET)
            passed, quiet = now - self._rolled_at, now - self._booked_at
            if passed < 4 * market.window and (passed < market.window or quiet < market.quiet):
                raise PropertyViolationError(
                    f"a cycle ends {passed} s after the last, {quiet} s after a booking"
                )
            if new.cycle != old.cycle + 1:
                raise PropertyViolationError(f"cycle {old.cycle} is followed by {new.cycle}")
            self._rolled_at, self._booked_at = now, 0
        else:
            if (new.cycle, new.rolled_at) != (old.cycle, old.rolled_at):
                raise PropertyViolationError(f"{step.action.method} ended a cycle")
            acted = booked or bool(list_event_values(step, "Seized"))
            if step.is_call(MARKET, "seize_insolvent") and not acted:
                raise PropertyViolationError(f"{step.action.args[0]} was met, and there was nothing to do")
            if step.is_call(MARKET, "update_and_seize") and bool(step.outcome.value) != acted:
                raise PropertyViolationError(f"{step.outcome.value} were met of {step.action.args[0]}")
            self._booked_at = now if booked else self._booked_at
        if (new.rolled_at, new.booked_at) != (self._rolled_at, self._booked_at):
            raise PropertyViolationError(f"the clock says {new}, not {self._rolled_at} and {self._booked_at}")


@transition_property(
    94,
    writes=[CLOSING, CLOCK, FUNDINGS],
    calls=[f"{MARKET}.*", f"{TRADING}.*", f"{POOL}.*", f"{ORDERS}.fill", f"{POLICY}.delist"],
)
def market_stops_at_final_price(step: Transition, changes: Changes) -> None:
    """Check that a perpetual market ends once at its final price and then stands still (property 94).

    After its end it has no trades, no funding, and no lots in an updated account. In a delisted market
    accounts only reduce positions or take over those of failing accounts. In settlement the cycle of the last
    end is recorded. Raises PropertyViolationError otherwise.
    """
    if not has_margin_market(step):
        return
    was, now = step.read_pre_state(MARKET, CLOCK).ended, step.read_post_state(MARKET, CLOCK).ended
    ending = step.action.args[0] if step.is_call(MARKET, "end_market") else None
    if now != was | (0 if ending is None else 1 << ending) or (ending is not None and was >> ending & 1):
        raise PropertyViolationError(f"{step.action.method} had markets {now:b} end, after {was:b}")
    closing = step.read_pre_state(MARKET, CLOSING)
    if ending is not None:
        _check_final_price_and_funding(step, ending)
        if step.read_post_state("Settlement", "progress").begun_at:
            closing = step.read_post_state(MARKET, CLOCK).cycle
    if step.read_post_state(MARKET, CLOSING) != closing:
        raise PropertyViolationError(
            f"the last end is noted in cycle {step.read_post_state(MARKET, CLOSING)}, not {closing}"
        )
    trade = build_trade_from_events(step)
    for m in MARKETS:
        if was >> m & 1:
            marked = PATHS in changes and m in get_market_changes(changes, PATHS)
            if marked or (trade and trade.market == m) or step.read_post_state(MARKET, FUNDINGS, m).rate:
                raise PropertyViolationError(f"{step.action.method}, and market {m} has ended")
    owners = {key[0] for key in get_market_changes(changes, POSITIONS)} | set(
        get_market_changes(changes, ACCOUNTS)
    )
    if step.is_call(MARKET, "update_account"):
        owners.add(step.action.args[0])
    for owner in owners:
        if step.read_post_state(MARKET, ACCOUNTS, owner).cycle == step.read_post_state(MARKET, CLOCK).cycle:
            over = [m for m in read_position_sizes(step.read_post_state, owner) if now >> m & 1]
            if over and ending is None:
                raise PropertyViolationError(
                    f"{owner} is up to date, and has lots in {over}, which have ended"
                )
    if trade and step.read_post_state(POLICY, "underlyings", trade.market).ends_at:
        sides = [(trade.one, trade.delta)]
        if step.action.method == "fill":
            sides.append((trade.other, -trade.delta))
        for owner, delta in sides:
            size = step.read_post_state(MARKET, POSITIONS, (owner, trade.market)).size
            if (size - delta) * delta >= 0 or abs(delta) > abs(size - delta):
                raise PropertyViolationError(
                    f"{owner} has {size} lots, after {delta}, of a market that is delisted"
                )


def _check_final_price_and_funding(step: Transition, market_id: int) -> None:
    """Check that a market ends at its final price and that its funding stops.

    Raises PropertyViolationError otherwise.
    """
    base, path, made = (
        step.read_post_state(POLICY, "underlyings", market_id),
        step.read_post_state(MARKET, PATHS, market_id),
        compute_final_price_progress(step, market_id),
    )
    funding = step.read_post_state(MARKET, FUNDINGS, market_id)
    if made is None:
        # A market that an issuer has the word of knows no beginning.
        final = step.read_post_state("PriceFeed", "settlement_price.final_prices", base.feed)
        made = FinalPriceProgress(final.is_final, 0, final.price)
    price = max(1, made.sum * base.lot // RAY)
    if not made.is_final or path.price != price or path.extreme != path.price - funding.level:
        raise PropertyViolationError(
            f"market {market_id} ends at {path}, a level of {funding.level} and {made}"
        )
    if funding[1:] != (0, step.model.timestamp):
        raise PropertyViolationError(f"funding of market {market_id} goes on: {funding}")
