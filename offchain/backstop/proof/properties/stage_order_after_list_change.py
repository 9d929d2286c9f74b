"""The list of stages, of one successful step: remaining stages keep their order, and no debt is forgiven."""

from __future__ import annotations

from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.listed_types import decode_listed_types
from backstop.model.stage_order import Slot
from backstop.proof.properties.independent_arithmetic.debt_at_risk_figures import compute_debt_at_risk
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property
from backstop.proof.properties.stage_payment_order import compute_capacity, get_stage_contract_model

_WATERFALL = "LossWaterfall"


@transition_property(81, events=["LossWaterfall.StagesSet"])
def stage_list_change_keeps_order(step: Transition, changes: Changes) -> None:
    """Check that a new list of waterfall stages keeps order, kinds and debts (property 81).

    Remaining stages keep their order and kind, and new stages get new ids. A removed stage must be empty,
    have a cap of zero, or have failed when its removal was announced. At that time no loss is open, no debt
    is flagged, and the stage has no reservation. A removed stage still owes its debt. Raises
    PropertyViolationError otherwise.
    """
    if not any(log.contract == _WATERFALL and log.event == "StagesSet" for log in step.outcome.logs):
        return
    if step.is_call(_WATERFALL, "set_stages"):
        return
    before, after = (read(_WATERFALL, "lineup") for read in (step.read_pre_state, step.read_post_state))
    stayed = [k for k in after.ids if k < before.known]
    if stayed != [k for k in before.ids if k in after.ids]:
        raise PropertyViolationError(f"the order was {before.ids} and is {after.ids}")
    new = [k for k in after.ids if k >= before.known]
    if new != list(range(before.known, after.known)):
        raise PropertyViolationError(f"new stages have the ids {new} after {before.known}")
    slots = {k: step.read_post_state(_WATERFALL, "stages", k) for k in range(after.known)}
    if len({slot.stage for slot in slots.values()}) != after.known:
        raise PropertyViolationError("an address is a stage twice")
    kind = Slot._fields.index("cap_bps")
    if any(slots[k][:kind] != step.read_pre_state(_WATERFALL, "stages", k)[:kind] for k in stayed):
        raise PropertyViolationError("a stage that stays is of another kind")
    gone = set(before.ids) - set(after.ids)
    for k in gone:
        _check_stage_was_removable(step, k)
    if "missed" in changes:
        raise PropertyViolationError("what stages owe changes with their order")


def _check_stage_was_removable(step: Transition, stage_id: int) -> None:
    condemned = step.read_pre_state(_WATERFALL, "condemned") >> stage_id & 1
    # What it was allowed to pay until now, whatever it holds.
    slot = step.read_pre_state(_WATERFALL, "stages", stage_id)
    barred = 0 in (
        slot.cap_bps,
        step.read_pre_state(_WATERFALL, "caps_absolute", stage_id) if slot.capped else 1,
    )
    listed = decode_listed_types(step.read_post_state("VaultEngine", "terms.listed"))
    for c in range(step.read_post_state("VaultEngine", "terms.collateral_types")):
        if step.read_post_state("VaultEngine", "ledger.deficit", c) or compute_debt_at_risk(
            step, step.read_post_state, c
        ):
            raise PropertyViolationError(
                f"stage {stage_id} is left out while type {c} has a loss, or may have one"
            )
        if step.read_post_state(
            _WATERFALL, "reservations", (c, get_stage_contract_model(step, stage_id).address)
        ).amount:
            raise PropertyViolationError(f"stage {stage_id} is left out while it has reserved")
        # Where no type is listed nobody owes, and nothing can be lost: no stage has to stay.
        if not condemned and not barred and c in listed and compute_capacity(step, stage_id, c):
            raise PropertyViolationError(
                f"stage {stage_id} is left out with money, could pay, and did not fail"
            )
        if not condemned and step.read_post_state(_WATERFALL, "missed", (stage_id, c)):
            raise PropertyViolationError(f"stage {stage_id} is left out, works, and owes")
