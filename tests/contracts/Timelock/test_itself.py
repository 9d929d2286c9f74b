"""set_delay, set_governor, set_guardian, accept_admin: it administers itself, after the longest delay."""

import pytest

from backstop.evm_crypto import keccak256
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.timelock_proposals import (
    TERMS,
    enact_calls,
    encode_proposal_call,
    execute_timelock_proposal,
    read_last_call_events,
    submit_timelock_proposal,
)

FLOOR = keccak256(b"set_debt_floor(uint256,uint256)")[:4]
NOBODY = "0x" + "00" * 20


@pytest.mark.parametrize("sender", ["admin", "guardian", "stranger"])
def test_nobody_by_hand(timelocked, sender):
    for method, args in (
        ("set_delay", ("VaultEngine", FLOOR, 3_600)),
        ("set_governor", (sender,)),
        ("set_guardian", (sender,)),
    ):
        with reverts("timelock: by proposal only"):
            timelocked.do(f"Timelock.{method}", *args, sender=sender)


def test_a_shorter_delay_counts_for_what_is_proposed_later(timelocked):
    engine = timelocked.address("VaultEngine")
    slow = encode_proposal_call(timelocked, "VaultEngine.set_debt_floor", 0, 1)
    shorter = encode_proposal_call(timelocked, "Timelock.set_delay", "VaultEngine", FLOOR, 3_600)
    submit_timelock_proposal(timelocked, shorter)
    timelocked.advance(TERMS.delay - 1)
    submit_timelock_proposal(timelocked, slow)
    timelocked.advance(1)
    execute_timelock_proposal(timelocked, shorter)
    assert ("DelaySet", (engine, FLOOR, 3_600)) in read_last_call_events(timelocked)
    timelocked.advance(3_600)
    with reverts("timelock: too early"):
        execute_timelock_proposal(timelocked, slow)
    quick = encode_proposal_call(timelocked, "VaultEngine.set_debt_floor", 0, 2)
    enact_calls(timelocked, quick, delay=3_600)
    assert timelocked.read("VaultEngine.debt_floor_of", 0) == 2
    enact_calls(timelocked, encode_proposal_call(timelocked, "Timelock.set_delay", "VaultEngine", FLOOR, 0))
    assert timelocked.read("Timelock.delay_of", "VaultEngine", FLOOR) == TERMS.delay
    assert timelocked.read("Timelock.delay_of", "PriceFeed", FLOOR) == TERMS.delay


@pytest.mark.parametrize("delay", [1, 3_599, TERMS.delay + 1, 2**256 - 1])
def test_bounds_of_a_delay(timelocked, delay):
    wrong = encode_proposal_call(timelocked, "Timelock.set_delay", "VaultEngine", FLOOR, delay)
    submit_timelock_proposal(timelocked, wrong)
    timelocked.advance(TERMS.delay)
    with reverts("timelock: delay bounds"):
        execute_timelock_proposal(timelocked, wrong)


def test_its_own_functions_always_wait_for_the_longest(timelocked):
    own = encode_proposal_call(timelocked, "Timelock.set_delay", "Timelock", FLOOR, 3_600)
    submit_timelock_proposal(timelocked, own)
    timelocked.advance(TERMS.delay)
    with reverts("timelock: own delays"):
        execute_timelock_proposal(timelocked, own)


def test_another_governor(timelocked):
    enact_calls(timelocked, encode_proposal_call(timelocked, "Timelock.set_governor", "keeper"))
    assert ("GovernorSet", (timelocked.address("keeper"),)) in read_last_call_events(timelocked)
    floor = encode_proposal_call(timelocked, "VaultEngine.set_debt_floor", 0, 1)
    with reverts("timelock: not governor"):
        submit_timelock_proposal(timelocked, floor)
    timelocked.do("Timelock.propose", (floor,), bytes(32), sender="keeper")


def test_no_governor_at_all(timelocked):
    """Nothing changes any more, but earlier proposals still take effect."""
    floor = encode_proposal_call(timelocked, "VaultEngine.set_debt_floor", 0, 1)
    nobody = encode_proposal_call(timelocked, "Timelock.set_governor", NOBODY)
    submit_timelock_proposal(timelocked, nobody)
    submit_timelock_proposal(timelocked, floor)
    timelocked.advance(TERMS.delay)
    execute_timelock_proposal(timelocked, nobody)
    execute_timelock_proposal(timelocked, floor)
    with reverts("timelock: not governor"):
        submit_timelock_proposal(timelocked, floor)


def test_it_accepts_what_it_is_offered_and_nothing_else(timelocked):
    timelocked.lockstep.create_contract("PriceFeed", "Other", timelocked.address("keeper"))
    with reverts("roles: not pending admin"):
        timelocked.do("Timelock.accept_admin", "Other", sender="keeper")
    with reverts(""):
        timelocked.do("Timelock.accept_admin", "Savings", sender="keeper")
    timelocked.do("Other.transfer_admin", "Timelock", sender="keeper")
    timelocked.do("Timelock.accept_admin", "Other", sender="stranger")
    assert timelocked.read("Other.admin") == timelocked.address("Timelock")


def test_it_hands_a_contract_on(timelocked):
    enact_calls(timelocked, encode_proposal_call(timelocked, "Treasury.transfer_admin", "keeper"))
    timelocked.do("Treasury.accept_admin", sender="keeper")
    assert timelocked.read("Treasury.admin") == timelocked.address("keeper")
