"""cancel: the governor and the guardian; proposals to replace the guardian, the governor alone."""

import pytest

from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.timelock_proposals import (
    TERMS,
    encode_proposal_call,
    execute_timelock_proposal,
    read_last_call_events,
    submit_timelock_proposal,
)


@pytest.mark.parametrize("sender", ["admin", "guardian"])
def test_either_withdraws_a_proposal(timelocked, sender):
    floor = encode_proposal_call(timelocked, "VaultEngine.set_debt_floor", 0, 1)
    id = submit_timelock_proposal(timelocked, floor)
    timelocked.advance(TERMS.delay)
    timelocked.do("Timelock.cancel", id, sender=sender)
    assert read_last_call_events(timelocked) == [("Cancelled", (id, timelocked.address(sender)))]
    assert timelocked.read("Timelock.open_proposals") == ()
    with reverts("timelock: not proposed"):
        execute_timelock_proposal(timelocked, floor)
    with reverts("timelock: not proposed"):
        timelocked.do("Timelock.cancel", id, sender=sender)


def test_nobody_else(timelocked):
    id = submit_timelock_proposal(
        timelocked, encode_proposal_call(timelocked, "VaultEngine.set_debt_floor", 0, 1)
    )
    with reverts("timelock: not guardian"):
        timelocked.do("Timelock.cancel", id, sender="stranger")


def test_a_guardian_does_not_keep_itself(timelocked):
    """It cancels all else, also what takes more than its own place."""
    replaced = encode_proposal_call(timelocked, "Timelock.set_guardian", "keeper")
    governor = encode_proposal_call(timelocked, "Timelock.set_governor", "keeper")
    id = submit_timelock_proposal(timelocked, replaced)
    assert timelocked.read("Timelock.proposal_of", id)[2]
    with reverts("timelock: of the guardian"):
        timelocked.do("Timelock.cancel", id, sender="guardian")
    for calls in ((governor,), (replaced, governor), (governor, replaced)):
        timelocked.do("Timelock.cancel", submit_timelock_proposal(timelocked, *calls), sender="guardian")
    timelocked.advance(TERMS.delay - 1)
    late = submit_timelock_proposal(timelocked, governor)
    timelocked.advance(1)
    execute_timelock_proposal(timelocked, replaced)
    with reverts("timelock: not guardian"):
        timelocked.do("Timelock.cancel", late, sender="guardian")
    timelocked.do("Timelock.cancel", late, sender="keeper")


def test_the_governor_changes_its_mind_about_the_guardian(timelocked):
    id = submit_timelock_proposal(
        timelocked, encode_proposal_call(timelocked, "Timelock.set_guardian", "keeper")
    )
    timelocked.do("Timelock.cancel", id, sender="admin")
    assert timelocked.read("Timelock.open_proposals") == ()
