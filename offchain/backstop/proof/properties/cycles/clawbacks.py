"""Property of the profits that a loss of the margin market takes back."""

from __future__ import annotations

from backstop.proof.properties.cycles.profits import FUND
from backstop.proof.properties.registry import Violation, transition_property
from backstop.proof.properties.transition import Changes, Transition


@transition_property(186, events=[f"{FUND}.ClawedBack"])
def unvested_profits_share_a_loss_pro_rata(step: Transition, changes: Changes) -> None:
    """Check that of each bucket that has not vested a loss takes its share of all of them, to a wei.

    However long ago a profit was withdrawn. A bucket that has vested bears nothing.
    """
    taken: dict[int, int] = {}
    for log in step.outcome.logs:
        if log.contract == FUND and log.event == "ProfitLocked":
            return  # what is withdrawn in the same call may bear a part
        if log.contract == FUND and log.event == "ClawedBack":
            bucket, amount, _ = log.values
            if bucket in taken:
                return  # two losses in one call
            taken[bucket] = amount
    if not taken:
        return
    fund = step.contract(FUND)
    present = step.model.timestamp // fund.length
    buckets = range(present - fund.bucket_count + 1, present + 1)
    held = {bucket: step.before(FUND, "buckets", bucket).assets for bucket in buckets}
    loss, everything = sum(taken.values()), sum(held.values())
    if not taken.keys() <= held.keys():
        raise Violation(f"a loss takes {taken}, and {held} has not vested")
    for bucket, assets in held.items():
        if abs(taken.get(bucket, 0) * everything - loss * assets) >= everything:
            raise Violation(
                f"bucket {bucket} bears {taken.get(bucket, 0)} of {loss}: {assets} of {everything}"
            )
