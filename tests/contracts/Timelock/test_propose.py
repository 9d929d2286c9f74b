"""propose: the governor announces calls, which wait for the longest of their delays."""

from dataclasses import replace

import pytest

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import FacilitatorParameters
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.timelock_proposals import (
    SALT,
    TERMS,
    deploy_with_timelock,
    encode_proposal_call,
    execute_timelock_proposal,
    read_last_call_events,
    submit_timelock_proposal,
)


@pytest.fixture
def ratios(timelocked):
    return encode_proposal_call(timelocked, "VaultEngine.set_ratios", 0, 20_000, 20_000)


def test_it_waits_and_tells_everybody(timelocked, ratios):
    id = submit_timelock_proposal(timelocked, ratios)
    ready = timelocked.timestamp + TERMS.delay
    assert read_last_call_events(timelocked) == [
        ("Proposed", (id, (ratios,), SALT, ready, ready + TERMS.window))
    ]
    assert timelocked.read("Timelock.proposal_of", id) == (ready, ready + TERMS.window, False)
    assert timelocked.read("Timelock.open_proposals") == (id,)
    assert timelocked.read("VaultEngine.terms_of", 0).liquidation_ratio == 14_500


@pytest.mark.parametrize("sender", ["guardian", "stranger", "deployer"])
def test_is_for_the_governor(timelocked, ratios, sender):
    with reverts("timelock: not governor"):
        timelocked.do("Timelock.propose", (ratios,), SALT, sender=sender)


def test_the_slowest_call_holds_all_of_a_proposal_up(new_protocol):
    facilitator = FacilitatorParameters("Rollup", 1_000_000)
    protocol = deploy_with_timelock(
        new_protocol, replace(build_standard_parameters(), facilitators=(facilitator,))
    )
    quick = encode_proposal_call(protocol, "Rollup.cancel_loss")
    slow = encode_proposal_call(protocol, "Rollup.announce_loss", 1)
    waits = []
    for calls in ((quick,), (slow,), (quick, slow)):
        id = submit_timelock_proposal(protocol, *calls)
        waits.append(protocol.read("Timelock.proposal_of", id)[0] - protocol.timestamp)
    assert waits == [TERMS.retraction, TERMS.delay, TERMS.delay]


def test_not_while_it_is_open_and_again_once_it_has_expired(timelocked, ratios):
    id = submit_timelock_proposal(timelocked, ratios)
    timelocked.advance(TERMS.delay + TERMS.window)
    with reverts("timelock: is open"):
        submit_timelock_proposal(timelocked, ratios)
    timelocked.advance(1)
    assert timelocked.read("Timelock.open_proposals") == ()
    assert submit_timelock_proposal(timelocked, ratios) == id
    with reverts("timelock: too early"):
        execute_timelock_proposal(timelocked, ratios)
    other = submit_timelock_proposal(timelocked, ratios, salt=b"\x01" * 32)
    assert timelocked.read("Timelock.open_proposals") == (id, other)


def test_nothing_hides_among_many(timelocked, ratios):
    """Sixteen are open at most; one that was executed, cancelled or has expired makes room."""
    ids = [submit_timelock_proposal(timelocked, ratios, salt=bytes([i]) * 32) for i in range(16)]
    with reverts("timelock: too many"):
        submit_timelock_proposal(timelocked, ratios, salt=b"\x10" * 32)
    timelocked.do("Timelock.cancel", ids[3], sender="admin")
    new = submit_timelock_proposal(timelocked, ratios, salt=b"\x10" * 32)
    assert set(timelocked.read("Timelock.open_proposals")) == {*ids, new} - {ids[3]}
    timelocked.advance(TERMS.delay + TERMS.window + 1)
    late = submit_timelock_proposal(timelocked, ratios, salt=b"\x11" * 32)
    assert timelocked.read("Timelock.open_proposals") == (late,)
    with reverts("timelock: not proposed"):
        execute_timelock_proposal(timelocked, ratios, salt=bytes(32))


def test_what_says_nothing(timelocked):
    with reverts("timelock: no calls"):
        submit_timelock_proposal(timelocked)
    with reverts("timelock: no selector"):
        submit_timelock_proposal(timelocked, (timelocked.address("VaultEngine"), b"\x01\x02\x03"))


def test_a_proposal_is_named_by_all_of_it(timelocked, ratios):
    """An end of a list is no list of its own, with any salt."""
    other = encode_proposal_call(timelocked, "VaultEngine.set_debt_floor", 0, 1)
    lists = [(ratios,), (other,), (ratios, other), (other, ratios)]
    ids = {timelocked.read("Timelock.id_of", calls, salt) for calls in lists for salt in (SALT, b"\x01" * 32)}
    assert len(ids) == 8
    both = submit_timelock_proposal(timelocked, ratios, other)
    timelocked.advance(TERMS.delay)
    for salt in (SALT, both, timelocked.read("Timelock.id_of", (ratios,), SALT)):
        with reverts("timelock: not proposed"):
            execute_timelock_proposal(timelocked, other, salt=salt)
