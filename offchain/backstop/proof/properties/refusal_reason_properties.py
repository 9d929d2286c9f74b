"""Properties of the conditions of a call: its refusal gives a true reason, and its success was allowed."""

from __future__ import annotations

from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties.property_registry import (
    PropertyViolationError,
    refusal_property,
    transition_property,
)
from backstop.proof.properties.revert_conditions import CONDITIONS, CallContext

_METHODS = sorted({f"*.{method}" for _, method in CONDITIONS})


@refusal_property(198, calls=_METHODS)
def revert_reason_is_true(step: Transition) -> None:
    """Check that the revert reason of a refused call is true in the state before it (property 198).

    The conditions of each reason are taken from the specification. Raises PropertyViolationError if the
    reason's condition does not hold.
    """
    conditions = CONDITIONS.get(_build_kind_and_method_key(step), {})
    condition = conditions.get(step.outcome.reason or "")
    call = CallContext(step)
    if condition is not None and condition(call, *call.args) is False:
        raise PropertyViolationError(
            f"{call.name}.{call.method}{call.args} is refused: {step.outcome.reason!r}"
        )


@transition_property(199, calls=_METHODS)
def successful_call_meets_all_conditions(step: Transition, changes: Changes) -> None:
    """Check that no revert condition held in the state before a successful call (property 199).

    Raises PropertyViolationError with the reason for which the call should have reverted.
    """
    conditions = CONDITIONS.get(_build_kind_and_method_key(step))
    if not conditions:
        return
    call = CallContext(step)
    for reason, condition in conditions.items():
        if condition(call, *call.args):
            raise PropertyViolationError(
                f"{call.name}.{call.method}{call.args} succeeds in spite of {reason!r}"
            )


def _build_kind_and_method_key(step: Transition) -> tuple[str, str]:
    return step.get_contract(step.action.contract).KIND, step.action.method
