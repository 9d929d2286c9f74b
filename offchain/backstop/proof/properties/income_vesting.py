"""Property of the income of pools: when it has vested."""

from __future__ import annotations

from backstop.proof.properties.figures.arithmetic import unvested
from backstop.proof.properties.registry import Violation, transition_property
from backstop.proof.properties.transition import Changes, Transition


@transition_property(184, events=["*.IncomeAdded"])
def income_vests_at_the_weighted_mean(step: Transition, changes: Changes) -> None:
    """Check that new income moves the end of vesting by its share of all that has not vested.

    Old income keeps its time, new income has the time of the pool, and both end at the mean by amount,
    rounded down. So dust delays nobody's income.
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
        old, new = step.before(pool, "funds.assets"), step.after(pool, "funds.assets")
        rest = unvested(old, now)
        total = rest + assets
        later = rest * max(0, old.ends_at - now) + assets * step.contract(pool).vesting
        ends = now + later // total
        if (told, new.ends_at, new.unvested, new.vested_at) != (ends, ends, total, now):
            raise Violation(
                f"{pool}: {assets} more made {new} of {old}; all has vested at {ends} by its terms"
            )
