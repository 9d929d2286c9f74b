"""cancel: the governor and the guardian; who replaces the guardian, the governor alone."""

import pytest

from tests.support.governance_steps import (
    TERMS,
    build_call,
    execute_calls,
    propose_calls,
    read_contract_events,
)
from tests.support.helpers import reverts


@pytest.mark.parametrize("sender", ["admin", "guardian"])
def test_either_withdraws_a_proposal(timelocked, sender):
    floor = build_call(timelocked, "VaultEngine.set_debt_floor", 0, 1)
    id = propose_calls(timelocked, floor)
    timelocked.advance(TERMS.delay)
    timelocked.do("Timelock.cancel", id, sender=sender)
    assert read_contract_events(timelocked) == [("Cancelled", (id, timelocked.address(sender)))]
    assert timelocked.read("Timelock.open_proposals") == ()
    with reverts("timelock: not proposed"):
        execute_calls(timelocked, floor)
    with reverts("timelock: not proposed"):
        timelocked.do("Timelock.cancel", id, sender=sender)


def test_nobody_else(timelocked):
    id = propose_calls(timelocked, build_call(timelocked, "VaultEngine.set_debt_floor", 0, 1))
    with reverts("timelock: not guardian"):
        timelocked.do("Timelock.cancel", id, sender="stranger")


def test_a_guardian_does_not_keep_itself(timelocked):
    """It cancels all else, also what takes more than its own place."""
    replaced = build_call(timelocked, "Timelock.set_guardian", "keeper")
    governor = build_call(timelocked, "Timelock.set_governor", "keeper")
    id = propose_calls(timelocked, replaced)
    assert timelocked.read("Timelock.proposal_of", id)[2]
    with reverts("timelock: of the guardian"):
        timelocked.do("Timelock.cancel", id, sender="guardian")
    for calls in ((governor,), (replaced, governor), (governor, replaced)):
        timelocked.do("Timelock.cancel", propose_calls(timelocked, *calls), sender="guardian")
    timelocked.advance(TERMS.delay - 1)
    late = propose_calls(timelocked, governor)
    timelocked.advance(1)
    execute_calls(timelocked, replaced)
    with reverts("timelock: not guardian"):
        timelocked.do("Timelock.cancel", late, sender="guardian")
    timelocked.do("Timelock.cancel", late, sender="keeper")


def test_the_governor_changes_its_mind_about_the_guardian(timelocked):
    id = propose_calls(timelocked, build_call(timelocked, "Timelock.set_guardian", "keeper"))
    timelocked.do("Timelock.cancel", id, sender="admin")
    assert timelocked.read("Timelock.open_proposals") == ()
