"""Property of a failed stage's debt, of one successful step: at most the payments made in its place."""

from __future__ import annotations

from collections import defaultdict

from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties.independent_arithmetic.property_arithmetic import RAY
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property
from backstop.proof.properties.stage_payment_order import compute_capacity

_WATERFALL = "LossWaterfall"


@transition_property(80, writes=["missed"])
def stage_owes_only_payments_of_later_stages(step: Transition, changes: Changes) -> None:
    """Check that a failed waterfall stage owes only payments made in its place (property 80).

    A stage owes after its call failed during a cover and later stages paid instead. A stage without members
    never owes. No payment is owed by two stages. The amount falls only by a payment to the reserve, or
    because the stage is empty. Raises PropertyViolationError otherwise.
    """
    if "missed" not in changes:
        return
    lineup = step.read_post_state(_WATERFALL, "lineup")
    grown: dict[int, int] = defaultdict(int)
    for _, (k, c), old, new in changes["missed"]:
        if new > old:
            grown[c] += new - old
            _check_owing_stage_has_failed(step, k, c)
        else:
            _check_missed_share_repayment(step, k, c, old - new)
    for c, amount in grown.items():
        paid = [
            log.values[2:] for log in step.outcome.logs if log.event == "LossCovered" and log.values[0] == c
        ]
        first = min(
            lineup.ids.index(k) for _, (k, of), old, new in changes["missed"] if of == c and new > old
        )
        behind = sum(part for k, part in paid if lineup.ids.index(k) > first)
        if amount > behind:
            raise PropertyViolationError(f"stages owe {amount} of type {c} for {behind} that others paid")
    for k in range(lineup.known):
        types = range(step.read_post_state("VaultEngine", "terms.collateral_types"))
        owed = sum(step.read_post_state(_WATERFALL, "missed", (k, c)) for c in types)
        if owed != step.read_post_state(_WATERFALL, "owed", k):
            raise PropertyViolationError(f"stage {k} owes {owed}, and counts otherwise")
        if bool(owed) != bool(lineup.owing >> k & 1):
            raise PropertyViolationError(
                f"stage {k} is marked as one that owes, or not, and it is the other way round"
            )


def _check_owing_stage_has_failed(step: Transition, stage_id: int, collateral_type: int) -> None:
    if not step.read_post_state(_WATERFALL, "stages", stage_id).owes:
        raise PropertyViolationError(f"stage {stage_id} has no members, and owes")
    failed = [
        log.values[2]
        for log in step.outcome.logs
        if log.event == "StageFailed" and log.values[0] == collateral_type
    ]
    if step.is_call(_WATERFALL, "cover") and stage_id not in failed:
        raise PropertyViolationError(f"stage {stage_id} owes for type {collateral_type}, and has not failed")
    # What equity still raises of a reservation from before is noted, and ends with the rest of what is owed.
    if step.is_call(_WATERFALL, "cover") and step.read_pre_state(_WATERFALL, "books").settlement:
        raise PropertyViolationError(f"stage {stage_id} comes to owe in settlement")


def _check_missed_share_repayment(
    step: Transition, stage_id: int, collateral_type: int, repaid_amount: int
) -> None:
    if not step.is_call(_WATERFALL, "repay_missed_share") or step.read_pre_state(_WATERFALL, "books").open:
        raise PropertyViolationError(
            f"{step.action.method} lowers what stage {stage_id} owes by {repaid_amount}, or while "
            "a loss is open"
        )
    reserve = [
        read("VaultEngine", "ledger.system").reserve for read in (step.read_pre_state, step.read_post_state)
    ]
    paid = reserve[1] - reserve[0]
    if paid < repaid_amount and compute_capacity(step, stage_id, collateral_type) - paid >= RAY:
        raise PropertyViolationError(
            f"stage {stage_id} owes {repaid_amount} less, has paid {paid} and is not empty"
        )
