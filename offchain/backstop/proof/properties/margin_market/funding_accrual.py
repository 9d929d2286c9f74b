"""The property of funding in the margin market, with a clock of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties.independent_arithmetic.margin_figures import (
    BASIS_POINTS,
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
    TRADING,
    build_trade_from_events,
    get_market_changes,
    has_ended,
    has_margin_market,
    list_deleveraged_positions,
    list_met_accounts,
)
from backstop.proof.properties.property_registry import PropertyViolationError, history_property

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem

_MOST_LOTS = 2**63 - 1


@dataclass
class _FundingClock:
    """Funding state of a market: cumulative payment of a lot, rate per second and recent trades.

    The trades since the last change determine the next rate.
    """

    paid: int = 0
    rate: int = 0
    at: int = 0
    premium: int = 0
    lots: int = 0
    since: int = 0


@history_property(
    95,
    writes=[FUNDINGS, PREMIUMS],
    calls=[f"{MARKET}.*", f"{TRADING}.*", f"{POOL}.*", f"{ORDERS}.fill"],
)
class FundingAccruesAtIntervalRate:
    """Checker that each lot pays its market's funding rate for each second (property 95).

    The result does not depend on the number of updates. The rate changes at most once in an interval, to the
    trades' average excess over the mark per open lot. It is capped, and rounded toward zero. A delisted
    market's rate falls to zero, and funding ends with the final price.
    """

    def __init__(self, model: ModelSystem) -> None:
        self._clocks: dict[int, _FundingClock] = {}
        if MARKET in model.world.contracts:
            tables = model.world.contracts[MARKET].tables
            self._clocks = {m: _FundingClock(*tables[FUNDINGS][m], *tables[PREMIUMS][m]) for m in MARKETS}

    def check_step(self, step: Transition, changes: Changes) -> None:
        """Advance the funding of each market that the step updated, and compare it with storage.

        Raises PropertyViolationError if they differ.
        """
        if not has_margin_market(step):
            return
        closes = step.is_call(MARKET, "end_market")
        # These mark, and ask for no new rate.
        marks = list_met_accounts(step) or step.is_call(MARKET, "advance_cycle")
        trade = None if closes else build_trade_from_events(step)
        charged = {m for path in (FUNDINGS, PREMIUMS) for m in get_market_changes(changes, path)}
        if step.is_call(MARKET, "accrue") and self._has_mark(step, step.action.args[0]):
            charged.add(step.action.args[0])
        if trade:
            charged.add(trade.market)
        # What is closed by force counts as traded, at the mark.
        forced = [(m, abs(delta)) for _, m, delta, _ in list_deleveraged_positions(step)]
        charged |= {m for m, _ in forced}
        if closes:
            charged.add(step.action.args[0])
        for m in charged:
            clock = self._clocks.setdefault(m, _FundingClock())
            clock.paid += clock.rate * (step.model.timestamp - clock.at)
            clock.at = step.model.timestamp
            if closes:
                clock.rate = 0
            elif not marks:
                self._update_rate(step, m, clock)
            if trade and trade.market == m:
                most = self._compute_highest_rate(step, m)
                counted = min(abs(trade.delta), _MOST_LOTS - clock.lots)
                over = trade.price - step.read_post_state(MARKET, PATHS, m).price
                clock.premium += counted * max(-most, min(most, over))
                clock.lots += counted
            for each, lots in forced:
                if each == m:
                    clock.lots = min(clock.lots + lots, _MOST_LOTS)
            found = (*step.read_post_state(MARKET, FUNDINGS, m), *step.read_post_state(MARKET, PREMIUMS, m))
            expected = (clock.paid, clock.rate, clock.at, clock.premium, clock.lots, clock.since)
            if found != expected:
                raise PropertyViolationError(
                    f"{step.action.method}: the funding of market {m} is {found}, not {expected}"
                )

    def _update_rate(self, step: Transition, market_id: int, clock: _FundingClock) -> None:
        """Set the funding rate from the trades of the last interval, once the interval is over."""
        if clock.at - clock.since < FUNDING_INTERVAL:
            return
        most = self._compute_highest_rate(step, market_id)
        of_a_lot = _divide_toward_zero(clock.premium, max(1, *step.read_pre_state(MARKET, LOTS, market_id)))
        clock.rate = _divide_toward_zero(max(-most, min(most, of_a_lot)), FUNDING_PERIOD)
        clock.premium, clock.lots, clock.since = 0, 0, clock.at

    @staticmethod
    def _has_mark(step: Transition, market_id: int) -> bool:
        """Return whether a market has a mark price and has not ended, so that it charges funding."""
        return bool(step.read_post_state(MARKET, PATHS, market_id).price) and not has_ended(
            step, step.read_post_state, market_id
        )

    @staticmethod
    def _compute_highest_rate(step: Transition, market_id: int) -> int:
        terms, price = (
            step.read_post_state(POLICY, "terms", market_id),
            step.read_post_state(MARKET, PATHS, market_id).price,
        )
        if step.read_post_state(POLICY, "underlyings", market_id).ends_at:
            return 0
        return int(price * terms.max_funding // BASIS_POINTS)


def _divide_toward_zero(numerator: int, denominator: int) -> int:
    return numerator // denominator if numerator >= 0 else -(-numerator // denominator)
