"""Property of the income of pools: when it has vested."""

from __future__ import annotations

from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties.independent_arithmetic.property_arithmetic import compute_unvested_income
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property


@transition_property(184, events=["*.IncomeAdded"])
def income_vests_at_weighted_mean_time(step: Transition, changes: Changes) -> None:
    """Check that new income moves the end of vesting by its share of all that has not vested.

    Old income keeps its time, new income has the time of the pool, and both end at the mean by amount,
    rounded down. So dust delays the income of no member.
    """
    added = [
        (log.contract, log.values[1], log.values[2])
        for log in step.outcome.logs
        if log.event == "IncomeAdded"
    ]
    now = step.model.timestamp
    for pool, assets, told in added:
        if [name for name, *_ in added].count(pool) > 1:
            continue
        old, new = step.read_pre_state(pool, "funds.assets"), step.read_post_state(pool, "funds.assets")
        rest = compute_unvested_income(old, now)
        total = rest + assets
        later = rest * max(0, old.ends_at - now) + assets * step.get_contract(pool).vesting
        ends = now + later // total
        if (told, new.ends_at, new.unvested, new.vested_at) != (ends, ends, total, now):
            raise PropertyViolationError(
                f"{pool}: {assets} more made {new} of {old}; all has vested at {ends} by its terms"
            )
