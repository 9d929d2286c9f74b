"""The property of what is open and what insurance has: nothing more is opened than it covers."""

from __future__ import annotations

from backstop.model.arithmetic import WAD
from backstop.proof.properties.figures.cycles import (
    BASIS_POINTS,
    LOTS,
    MARKET,
    MARKETS,
    PATHS,
    POLICY,
    fund_of,
    has_ended,
    ours,
    there,
)
from backstop.proof.properties.registry import Violation, transition_property
from backstop.proof.properties.transition import Changes, Transition


@transition_property(132, writes=[LOTS])
def no_more_is_open_than_insurance_covers(step: Transition, changes: Changes) -> None:
    """Assert that where more lots are open after a call than before, insurance has its share of everything.

    Of all markets that ask for it and have not ended, together: of the side with more lots, at the last
    marks. It counts as far as it may be paid in this bucket of time.
    """
    if not there(step):
        return
    grown = [m for m in ours(changes, LOTS) if _open(step, m) > max(step.before(MARKET, LOTS, m))]
    if not any(step.after(POLICY, "underlyings", m).insured for m in grown):
        return
    fund = fund_of(step)
    has, cap = step.after(fund, "insurance"), step.after(fund, "cap") * WAD
    today = step.model.timestamp // step.contract(fund).length
    if has.bucket == today:
        cap = cap - has.spent if cap > has.spent else 0
    parts = {
        m: _open(step, m) * step.after(MARKET, PATHS, m).price * step.after(POLICY, "underlyings", m).insured
        for m in MARKETS
        if not has_ended(step, step.after, m)
    }
    for limit in (has.amount, cap):
        if sum(parts.values()) > limit * BASIS_POINTS:
            raise Violation(f"lots were opened in {grown}, {parts} have to be insured, and {limit} is there")


def _open(step: Transition, m: int) -> int:
    """Return how many lots the side has that has more."""
    return max(step.after(MARKET, LOTS, m))
