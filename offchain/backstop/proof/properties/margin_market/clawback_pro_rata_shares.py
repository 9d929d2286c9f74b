"""Property of the profits that a loss of the margin market takes back."""

from __future__ import annotations

from collections import Counter

from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property


@transition_property(186, events=["*.ClawedBack"])
def profit_buckets_share_clawback_pro_rata(step: Transition, changes: Changes) -> None:
    """Check that each bucket of vesting profits bears its pro rata share of a loss (property 186).

    A bucket collects the profits withdrawn in one period. The tolerance is 1 wei for each bucket. A vested
    bucket bears nothing. Raises PropertyViolationError otherwise.
    """
    taken: dict[str, Counter[int]] = {}
    for log in step.outcome.logs:
        if log.event == "ClawedBack":
            bucket, amount, _ = log.values
            amounts = taken.setdefault(log.contract, Counter())
            if bucket in amounts:
                return  # two losses in one call
            amounts[bucket] = amount
    if not taken or any(log.event == "ProfitLocked" for log in step.outcome.logs):
        return  # what is withdrawn in the same call may bear a part
    for name, amounts in taken.items():
        fund = step.get_contract(name)
        present = step.model.timestamp // fund.length
        buckets = range(present - fund.bucket_count + 1, present + 1)
        held = {bucket: step.read_pre_state(name, "buckets", bucket).assets for bucket in buckets}
        loss, everything = amounts.total(), sum(held.values())
        if not amounts.keys() <= held.keys():
            raise PropertyViolationError(f"a loss takes {amounts}, and {held} has not vested")
        for bucket, assets in held.items():
            if abs(amounts[bucket] * everything - loss * assets) >= everything:
                raise PropertyViolationError(
                    f"bucket {bucket} bears {amounts[bucket]} of {loss}: {assets} of {everything}"
                )
