"""Properties of what a call needs: its refusal gives a true reason, and its success was allowed."""

from __future__ import annotations

from backstop.proof.properties.conditions import CONDITIONS, Call
from backstop.proof.properties.registry import Violation, refusal_property, transition_property
from backstop.proof.properties.transition import Changes, Transition

_METHODS = sorted({f"*.{method}" for _, method in CONDITIONS})


@refusal_property(198, calls=_METHODS)
def reasons_of_refusals_are_true(step: Transition) -> None:
    """Check that what a refused call gives as its reason is so, by the tables before it."""
    conditions = CONDITIONS.get(_key(step), {})
    condition = conditions.get(step.outcome.reason or "")
    call = Call(step)
    if condition is not None and condition(call, *call.args) is False:
        raise Violation(f"{call.name}.{call.method}{call.args} is refused: {step.outcome.reason!r}")


@transition_property(199, calls=_METHODS)
def successful_calls_were_allowed(step: Transition, changes: Changes) -> None:
    """Check that nothing that the specification names stood in the way of a successful call before it."""
    conditions = CONDITIONS.get(_key(step))
    if not conditions:
        return
    call = Call(step)
    for reason, condition in conditions.items():
        if condition(call, *call.args):
            raise Violation(f"{call.name}.{call.method}{call.args} succeeds in spite of {reason!r}")


def _key(step: Transition) -> tuple[str, str]:
    return step.contract(step.action.contract).KIND, step.action.method
