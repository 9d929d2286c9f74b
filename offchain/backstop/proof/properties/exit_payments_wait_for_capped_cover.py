"""Property of payments to leavers while their pool could still cover a booked loss under a share cap."""

from __future__ import annotations

from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.listed_types import decode_listed_types
from backstop.proof.properties import stage_payment_order
from backstop.proof.properties.independent_arithmetic.property_arithmetic import BASIS_POINTS
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property

_WATERFALL = "LossWaterfall"


@transition_property(192, events=["*.BatchPaid"])
def no_batch_is_paid_before_capped_cover(step: Transition, changes: Changes) -> None:
    """Check that a pool pays no exit batch while it could still cover a booked loss (property 192).

    This concerns pools with a cap that is a share of their holdings. A payment before the cover would lower
    the cap, and later stages would pay the difference. Earlier stages count with everything that they hold. A
    rest of a ten-thousandth of the cap is tolerated. Raises PropertyViolationError otherwise.
    """
    paid = {log.contract for log in step.outcome.logs if log.event == "BatchPaid" and log.values[2]}
    if not paid or step.read_pre_state(_WATERFALL, "books").settlement:
        return
    order = step.read_pre_state(_WATERFALL, "lineup").ids
    for place, k in enumerate(order):
        terms = step.read_pre_state(_WATERFALL, "stages", k)
        if (
            terms.cap_bps == BASIS_POINTS
            or stage_payment_order.get_stage_contract_model(step, k).label not in paid
        ):
            continue
        for c in decode_listed_types(step.read_pre_state("VaultEngine", "terms.listed")):
            deficit = step.read_pre_state("VaultEngine", "ledger.deficit", c)
            if not deficit or any(_has_reservation(step, j, c) for j in order):
                continue
            if deficit <= sum(stage_payment_order.compute_capacity(step, j, c) for j in order[:place]):
                continue
            held = stage_payment_order.compute_capacity(step, k, c)
            free = min(held, stage_payment_order.compute_cap_room(step, k, c, held))
            if free > held * terms.cap_bps // BASIS_POINTS // BASIS_POINTS:
                raise PropertyViolationError(
                    f"stage {k} pays leavers while it could cover {free} of {deficit} of type {c}"
                )


def _has_reservation(step: Transition, stage_id: int, collateral_type: int) -> bool:
    """Return whether a waterfall stage has reserved a part of a collateral type's deficit."""
    stage = step.read_pre_state(_WATERFALL, "stages", stage_id).stage
    return bool(step.read_pre_state(_WATERFALL, "reservations", (collateral_type, stage)).amount)
