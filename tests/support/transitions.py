"""Steps that a property is asked about, and what breaks it."""

from __future__ import annotations

import pytest

from backstop.proof.properties import Transition, Violation, check_transition


def last(protocol):
    """The last step, as it was checked: it holds."""
    _, action = protocol.lockstep.trace[-1]
    step = Transition(action, protocol.last, protocol.lockstep.model)
    check_transition(step)
    return step


def breaks(number, step):
    with pytest.raises(Violation, match=f"^property {number} is violated: ") as caught:
        check_transition(step)
    assert caught.value.number == number


def by(protocol, step, sender):
    """The same step, had somebody else taken it."""
    return step._replace(action=step.action._replace(sender=protocol.address(sender)))
