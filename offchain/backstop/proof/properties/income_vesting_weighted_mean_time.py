"""Property of the income of pools: when it has vested."""

from __future__ import annotations

from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties.independent_arithmetic.property_arithmetic import compute_unvested_income
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property


@transition_property(184, events=["*.IncomeAdded"])
def income_vests_at_weighted_mean_time(step: Transition, changes: Changes) -> None:
    """Check that new income of a pool moves its vesting end to the weighted mean (property 184).

    The old end and the end of new income are weighted by their unvested amounts, and the result is rounded
    down. So a tiny payment cannot delay the income of members. Raises PropertyViolationError otherwise.
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
