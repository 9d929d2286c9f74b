"""A promise that today's rules do not keep is told where they break it, and only if it is asked for."""

import pytest

from backstop.model.arithmetic import WAD
from backstop.proof.properties import PropertyMonitor, PropertyViolationError
from backstop.proof.properties.property_registry import TRANSITION_PROMISES


@pytest.fixture
def promised(protocol, monkeypatch):
    """A protocol with a false promise: no account ever borrows."""

    def nobody_borrows(step, changes):
        if step.is_call("VaultEngine", "deposit_and_draw"):
            raise PropertyViolationError("somebody borrows")

    monkeypatch.setitem(TRANSITION_PROMISES, 999, nobody_borrows)
    return protocol


def test_it_is_told(promised):
    promised.lockstep.step_check = PropertyMonitor(promised.lockstep.model, promises=True)
    with pytest.raises(PropertyViolationError, match=r"^property 999 is violated: somebody borrows"):
        promised.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)


def test_nobody_is_told_who_does_not_ask(promised):
    promised.lockstep.step_check = PropertyMonitor(promised.lockstep.model)
    promised.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
