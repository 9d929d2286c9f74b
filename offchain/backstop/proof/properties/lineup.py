"""Which stages there are, of one successful step: what stays keeps its order, what goes frees nobody."""

from __future__ import annotations

from backstop.model.listing import ids_of
from backstop.model.stage_order import Slot
from backstop.proof.properties.figures.doubt import in_doubt
from backstop.proof.properties.registry import Violation, transition_property
from backstop.proof.properties.stages import capacity, stage_of
from backstop.proof.properties.transition import Changes, Transition

_WATERFALL = "LossWaterfall"


@transition_property(81, events=["LossWaterfall.StagesSet"])
def stages_come_and_go_in_the_open(step: Transition, changes: Changes) -> None:
    """Assert that stages that stay keep their order and kind, and new ones have ids that none had before.

    One that is left out is empty, for each type that is listed, or its caps were nothing, or it had failed
    when that was announced, with nothing lost or in doubt and nothing reserved; what it owes it owes still.
    """
    if not any(log.contract == _WATERFALL and log.event == "StagesSet" for log in step.outcome.logs):
        return
    if step.calls(_WATERFALL, "set_stages"):
        return
    before, after = (read(_WATERFALL, "lineup") for read in (step.before, step.after))
    stayed = [k for k in after.ids if k < before.known]
    if stayed != [k for k in before.ids if k in after.ids]:
        raise Violation(f"the order was {before.ids} and is {after.ids}")
    new = [k for k in after.ids if k >= before.known]
    if new != list(range(before.known, after.known)):
        raise Violation(f"new stages have the ids {new} after {before.known}")
    slots = {k: step.after(_WATERFALL, "stages", k) for k in range(after.known)}
    if len({slot.stage for slot in slots.values()}) != after.known:
        raise Violation("an address is a stage twice")
    kind = Slot._fields.index("cap_bps")
    if any(slots[k][:kind] != step.before(_WATERFALL, "stages", k)[:kind] for k in stayed):
        raise Violation("a stage that stays is of another kind")
    gone = set(before.ids) - set(after.ids)
    for k in gone:
        _check_gone(step, k)
    if "missed" in changes:
        raise Violation("what stages owe changes with their order")


def _check_gone(step: Transition, k: int) -> None:
    condemned = step.before(_WATERFALL, "condemned") >> k & 1
    # What it was allowed to pay until now, whatever it holds.
    slot = step.before(_WATERFALL, "stages", k)
    barred = 0 in (slot.cap_bps, step.before(_WATERFALL, "caps_absolute", k) if slot.capped else 1)
    listed = ids_of(step.after("VaultEngine", "terms.listed"))
    for c in range(step.after("VaultEngine", "terms.collateral_types")):
        if step.after("VaultEngine", "ledger.deficit", c) or in_doubt(step, step.after, c):
            raise Violation(f"stage {k} is left out while type {c} has a loss, or may have one")
        if step.after(_WATERFALL, "reservations", (c, stage_of(step, k).address)).amount:
            raise Violation(f"stage {k} is left out while it has reserved")
        # Where no type is listed nobody owes, and nothing can be lost: no stage has to stay.
        if not condemned and not barred and c in listed and capacity(step, k, c):
            raise Violation(f"stage {k} is left out with money, could pay, and did not fail")
        if not condemned and step.after(_WATERFALL, "missed", (k, c)):
            raise Violation(f"stage {k} is left out, works, and owes")
