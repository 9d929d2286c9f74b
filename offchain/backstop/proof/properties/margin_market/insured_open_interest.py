"""The property of open interest and insurance: open interest grows only as far as insurance covers it."""

from __future__ import annotations

from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.arithmetic import WAD
from backstop.proof.properties.independent_arithmetic.margin_figures import (
    BASIS_POINTS,
    LOTS,
    MARKET,
    MARKETS,
    PATHS,
    POLICY,
    get_market_changes,
    get_market_fund_name,
    has_ended,
    has_margin_market,
)
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property


@transition_property(132, writes=[LOTS])
def insurance_covers_open_interest(step: Transition, changes: Changes) -> None:
    """Check that open interest grows only while insurance covers its required share (property 132).

    The requirement is summed over all markets that ask for insurance and have not ended. It is a share of the
    larger side's notional at the last mark. Insurance counts up to its spending cap for this period. Raises
    PropertyViolationError otherwise.
    """
    if not has_margin_market(step):
        return
    grown = [
        m
        for m in get_market_changes(changes, LOTS)
        if _count_larger_side_lots(step, m) > max(step.read_pre_state(MARKET, LOTS, m))
    ]
    if not any(step.read_post_state(POLICY, "underlyings", m).insured for m in grown):
        return
    fund = get_market_fund_name(step)
    has, cap = step.read_post_state(fund, "insurance"), step.read_post_state(fund, "cap") * WAD
    today = step.model.timestamp // step.get_contract(fund).length
    if has.bucket == today:
        cap = cap - has.spent if cap > has.spent else 0
    parts = {
        m: _count_larger_side_lots(step, m)
        * step.read_post_state(MARKET, PATHS, m).price
        * step.read_post_state(POLICY, "underlyings", m).insured
        for m in MARKETS
        if not has_ended(step, step.read_post_state, m)
    }
    for limit in (has.amount, cap):
        if sum(parts.values()) > limit * BASIS_POINTS:
            raise PropertyViolationError(
                f"lots were opened in {grown}, {parts} have to be insured, and {limit} is there"
            )


def _count_larger_side_lots(step: Transition, market_id: int) -> int:
    """Return the larger of a market's long and short open interest [lots]."""
    return max(step.read_post_state(MARKET, LOTS, market_id))
