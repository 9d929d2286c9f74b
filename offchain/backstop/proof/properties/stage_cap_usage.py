"""Property of the payments of stages with a cap: they are counted in the call that makes them."""

from __future__ import annotations

from collections import Counter

from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.arithmetic import MAX_UINT256
from backstop.model.stage_caps import ALL_TYPES
from backstop.proof.properties.independent_arithmetic.property_arithmetic import BASIS_POINTS, RAY
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property

_WATERFALL = "LossWaterfall"
_PAYS = ("LossCovered", "MissedShareRepaid")


@transition_property(195, events=[f"{_WATERFALL}.{event}" for event in _PAYS])
def stage_payments_count_toward_cap(step: Transition, changes: Changes) -> None:
    """Check that each payment of a capped waterfall stage counts toward its cap (property 195).

    Payments at once, by a sale, and for earlier missed payments count, each rounded up. Payments of a stage
    without a cap are not counted. Raises PropertyViolationError otherwise.
    """
    paid: Counter[tuple[int, int]] = Counter()
    if step.get_contract(_WATERFALL).KIND != "LossWaterfall":
        return  # one with naive caps counts in its own way
    for log in step.outcome.logs:
        if log.contract == _WATERFALL and log.event in _PAYS:
            c, *_, k, amount = log.values[:-1] if log.event == "MissedShareRepaid" else log.values
            is_pooled = step.read_pre_state(_WATERFALL, "stages", k).pooled
            paid[k, ALL_TYPES if is_pooled else c] += -(-amount // RAY)
    bucket = step.model.timestamp // step.get_contract(_WATERFALL).epoch_length
    for key, amount in paid.items():
        terms, most = (step.read_pre_state(_WATERFALL, path, key[0]) for path in ("stages", "caps_absolute"))
        is_capped = terms.cap_bps != BASIS_POINTS or most != MAX_UINT256
        old, new = (read(_WATERFALL, "used", key) for read in (step.read_pre_state, step.read_post_state))
        before = old.now if old.bucket == bucket else 0
        now = new.now if new.bucket == bucket else 0
        if now - before != (amount if is_capped else 0):
            raise PropertyViolationError(
                f"stage {key} pays {amount} wei, and {now - before} are counted under its cap"
            )
