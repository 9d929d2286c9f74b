"""execute: any account carries a proposal out, from its second on, within the window, once."""

import pytest

from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.timelock_proposals import (
    TERMS,
    enact_calls,
    encode_proposal_call,
    execute_timelock_proposal,
    read_last_call_events,
    submit_timelock_proposal,
)


@pytest.fixture
def ratios(timelocked):
    return encode_proposal_call(timelocked, "VaultEngine.set_ratios", 0, 20_000, 21_000)


def test_anybody_does_from_its_second_on(timelocked, ratios):
    id = submit_timelock_proposal(timelocked, ratios)
    with reverts("timelock: not proposed"):
        execute_timelock_proposal(timelocked, ratios, salt=b"\x01" * 32)
    timelocked.advance(TERMS.delay - 1)
    for sender in ("admin", "stranger"):
        with reverts("timelock: too early"):
            execute_timelock_proposal(timelocked, ratios, sender=sender)
    timelocked.advance(1)
    execute_timelock_proposal(timelocked, ratios)
    assert read_last_call_events(timelocked) == [("Executed", (id, timelocked.address("stranger")))]
    assert timelocked.read("VaultEngine.terms_of", 0).liquidation_ratio == 20_000
    assert timelocked.read("Timelock.proposal_of", id) == (0, 0, False)
    with reverts("timelock: not proposed"):
        execute_timelock_proposal(timelocked, ratios)


def test_what_nobody_carried_out_has_expired(timelocked, ratios):
    """Nothing lies ready for months."""
    submit_timelock_proposal(timelocked, ratios)
    timelocked.advance(TERMS.delay + TERMS.window)
    with timelocked.lockstep.fork_state():
        execute_timelock_proposal(timelocked, ratios)
    timelocked.advance(1)
    with reverts("timelock: expired"):
        execute_timelock_proposal(timelocked, ratios)


def test_all_calls_in_their_order_or_none(timelocked, ratios):
    calls = (
        ratios,
        encode_proposal_call(timelocked, "VaultEngine.set_ratios", 1, 15_000, 16_000),
        encode_proposal_call(timelocked, "VaultEngine.set_ratios", 0, 17_000, 18_000),
    )
    enact_calls(timelocked, *calls)
    assert timelocked.read("VaultEngine.terms_of", 0).liquidation_ratio == 17_000
    assert timelocked.read("VaultEngine.terms_of", 1).liquidation_ratio == 15_000
    wrong = (*calls[:1], encode_proposal_call(timelocked, "VaultEngine.set_ratios", 1, 9_999, 16_000))
    submit_timelock_proposal(timelocked, *wrong)
    timelocked.advance(TERMS.delay)
    with reverts("terms: ratio bounds"):
        execute_timelock_proposal(timelocked, *wrong)
    assert timelocked.read("VaultEngine.terms_of", 0).liquidation_ratio == 17_000
    assert (
        timelocked.read("Timelock.proposal_of", timelocked.read("Timelock.id_of", wrong, bytes(32)))[0] != 0
    )


def test_no_call_of_nothing(timelocked):
    """An account without code, a function that is not there, and half a call."""
    nobody = (timelocked.address("stranger"), bytes(4))
    submit_timelock_proposal(timelocked, nobody)
    engine = timelocked.address("VaultEngine")
    half = (engine, encode_proposal_call(timelocked, "VaultEngine.set_ratios", 0, 20_000, 21_000)[1][:-1])
    for each in ((engine, b"\x01\x02\x03\x04"), half):
        submit_timelock_proposal(timelocked, each)
    timelocked.advance(TERMS.delay)
    with reverts("timelock: no code"):
        execute_timelock_proposal(timelocked, nobody)
    for each in ((engine, b"\x01\x02\x03\x04"), half):
        with reverts(""):
            execute_timelock_proposal(timelocked, each)


def test_a_new_type_is_listed_by_one_proposal(timelocked):
    """The tokens pulled from the admin by the listing, and sent back, lie with the timelock."""
    timelocked.deploy_token("Token", "NEW", "NEW", 6)
    timelocked.do("NEW.mint", "Timelock", 10**6, sender="stranger")
    enact_calls(
        timelocked,
        encode_proposal_call(timelocked, "NEW.approve", "VaultEngine", 10**6),
        encode_proposal_call(timelocked, "VaultEngine.add_collateral_type", "NEW", 15_000, 16_000),
    )
    assert timelocked.read("VaultEngine.terms_of", 3).token == timelocked.address("NEW")
    assert timelocked.read("NEW.balanceOf", "Timelock") == 10**6
