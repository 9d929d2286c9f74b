"""Property of payments to leavers while their pool could still cover a booked loss under a share cap."""

from __future__ import annotations

from backstop.model.listing import ids_of
from backstop.proof.properties import stages
from backstop.proof.properties.figures.arithmetic import BASIS_POINTS
from backstop.proof.properties.registry import Violation, transition_property
from backstop.proof.properties.transition import Changes, Transition

_WATERFALL = "LossWaterfall"


@transition_property(192, events=["*.BatchPaid"])
def leavers_wait_for_a_capped_cover(step: Transition, changes: Changes) -> None:
    """Check that no batch is paid while its pool could cover a booked loss under a cap that is a share of it.

    Members who left before would take their part of the cap along, and later stages would pay it. A
    ten-thousandth of the cap may stay. Earlier stages count with all they hold, so the loss reaches the pool.
    """
    paid = {log.contract for log in step.outcome.logs if log.event == "BatchPaid" and log.values[2]}
    if not paid or step.before(_WATERFALL, "books").settlement:
        return
    order = step.before(_WATERFALL, "lineup").ids
    for place, k in enumerate(order):
        terms = step.before(_WATERFALL, "stages", k)
        if terms.cap_bps == BASIS_POINTS or stages.stage_of(step, k).label not in paid:
            continue
        for c in ids_of(step.before("VaultEngine", "terms.listed")):
            deficit = step.before("VaultEngine", "ledger.deficit", c)
            if not deficit or any(_reserves(step, j, c) for j in order):
                continue
            if deficit <= sum(stages.capacity(step, j, c) for j in order[:place]):
                continue
            held = stages.capacity(step, k, c)
            free = min(held, stages.room(step, k, c, held))
            if free > held * terms.cap_bps // BASIS_POINTS // BASIS_POINTS:
                raise Violation(
                    f"stage {k} pays leavers while it could cover {free} of {deficit} of type {c}"
                )


def _reserves(step: Transition, k: int, c: int) -> bool:
    """Return whether a stage holds a reservation of a type's deficit."""
    stage = step.before(_WATERFALL, "stages", k).stage
    return bool(step.before(_WATERFALL, "reservations", (c, stage)).amount)
