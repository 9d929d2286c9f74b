"""Steps that a property is asked about, and changes that break it."""

from __future__ import annotations

import pytest

from backstop.lockstep.step_transition import Transition
from backstop.proof.properties import PropertyMonitor, PropertyViolationError, check_transition


def check_last_step(protocol):
    """The last step, as it was checked: it holds."""
    action = protocol.lockstep.trace[-1].step
    step = Transition(action, protocol.last, protocol.lockstep.model)
    check_transition(step)
    return step


def expect_violation(number, step):
    with pytest.raises(PropertyViolationError, match=f"^property {number} is violated: ") as caught:
        check_transition(step)
    assert caught.value.number == number


def change_sender(protocol, step, sender):
    """Return the same step, as if another account had taken it."""
    return step._replace(action=step.action._replace(sender=protocol.address(sender)))


def expect_property_violation_on_model(property_number, protocol, run_scenario):
    """Expect that steps on the model alone, as if a rule were wrong on both sides, break a property.

    Properties of a history begin to watch here, in the middle of a deployment's life.
    """
    both, watch = protocol.lockstep, PropertyMonitor(protocol.lockstep.model)

    def apply(action):
        outcome = both.model.apply(action)
        if outcome.ok:
            watch(Transition(action, outcome, both.model))
        return outcome

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(both, "apply", apply)
        patch.setattr(both, "advance", both.model.advance)
        patch.setattr(both, "view", both.model.view)
        with pytest.raises(PropertyViolationError, match=f"^property {property_number} is violated: "):
            run_scenario(protocol)
