"""Property of a list of stages that is applied: it is in force from the same call on."""

from __future__ import annotations

from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property

_WATERFALL = "LossWaterfall"
_CALLS = ("set_stages", "apply_stages")


@transition_property(197, calls=[f"{_WATERFALL}.{method}" for method in _CALLS])
def stage_list_applies_at_once(step: Transition, changes: Changes) -> None:
    """Check that a new list of waterfall stages is in force at the end of its call (property 197).

    Order, kind and caps of the stages must equal the call's arguments. Raises PropertyViolationError
    otherwise.
    """
    if step.action.contract != _WATERFALL or step.action.method not in _CALLS:
        return
    wanted = [tuple(each) for each in step.action.args[0]]
    found = []
    for k in step.read_post_state(_WATERFALL, "lineup").ids:
        terms, cap = (
            step.read_post_state(_WATERFALL, "stages", k),
            step.read_post_state(_WATERFALL, "caps_absolute", k),
        )
        found.append((terms.stage, *map(bool, terms[1:5]), cap, terms.cap_bps))
    if found != wanted:
        raise PropertyViolationError(f"{step.action.method} of {wanted} left {found}")
