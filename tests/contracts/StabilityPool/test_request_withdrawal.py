"""request_withdrawal: a member asks for coins back."""

from dataclasses import replace

from backstop.model.arithmetic import MAX_UINT256, WAD
from tests.support.auction_steps import get_only_event_values
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.stability_pool_members import read_member
from tests.support.stability_pool_steps import ENTRY_DELAY, POOL, TERMS, deploy_with_pool, deposit_coins

HUNDRED = 100 * WAD
DAY = 86_400


def test_a_request_is_noted_with_its_time(pooled):
    deposit_coins(pooled, "alice", HUNDRED)
    pooled.do(f"{POOL}.request_withdrawal", 60 * WAD, sender="alice")
    ready_at = pooled.timestamp + DAY
    told = get_only_event_values(pooled, "WithdrawalRequested", POOL)
    assert told == (pooled.address("alice"), 60 * WAD, ready_at)
    assert read_member(pooled, "alice") == (HUNDRED, 0, 60 * WAD, ready_at, 0, 0)


def test_a_further_request_adds_and_begins_the_cooldown_anew(pooled):
    deposit_coins(pooled, "alice", HUNDRED)
    pooled.do(f"{POOL}.request_withdrawal", 60 * WAD, sender="alice")
    pooled.advance(1_000)
    pooled.do(f"{POOL}.request_withdrawal", MAX_UINT256, sender="alice")
    assert read_member(pooled, "alice")[2:4] == (HUNDRED, pooled.timestamp + DAY)
    with reverts("stability_pool: empty request"):
        pooled.do(f"{POOL}.request_withdrawal", 1, sender="alice")


def test_nothing_is_asked_for(pooled):
    deposit_coins(pooled, "alice", HUNDRED)
    with reverts("stability_pool: empty request"):
        pooled.do(f"{POOL}.request_withdrawal", 0, sender="alice")


def test_coins_that_take_no_part_yet_cannot_be_asked_for(pooled):
    for member in ("alice", "bob"):
        pooled.do(f"{POOL}.deposit", HUNDRED, sender=member)
    for member in ("alice", "stranger"):
        with reverts("stability_pool: empty request"):
            pooled.do(f"{POOL}.request_withdrawal", WAD, sender=member)
    pooled.advance(2 * ENTRY_DELAY)
    # Not even if they could be admitted by a call.
    with reverts("stability_pool: empty request"):
        pooled.do(f"{POOL}.request_withdrawal", WAD, sender="alice")
    pooled.do(f"{POOL}.admit", sender="stranger")
    pooled.do(f"{POOL}.request_withdrawal", 2 * HUNDRED, sender="alice")
    assert read_member(pooled, "alice").withdrawal == HUNDRED


def test_a_deposit_makes_an_open_request_wait_until_its_coins_have_taken_part(pooled):
    deposit_coins(pooled, "alice", HUNDRED)
    assert read_member(pooled, "alice").ready_at == 0
    pooled.do(f"{POOL}.request_withdrawal", 60 * WAD, sender="alice")
    pooled.advance(5_000)
    pooled.do(f"{POOL}.deposit", WAD, sender="alice")
    assert read_member(pooled, "alice")[2:4] == (60 * WAD, pooled.timestamp + 2 * ENTRY_DELAY + DAY)


def test_a_request_after_a_deposit_is_not_sooner(new_protocol):
    """Else a wei asked for after it would undo the wait of the open request."""
    protocol = deploy_with_pool(new_protocol, replace(TERMS, cooldown=0))
    deposit_coins(protocol, "alice", HUNDRED)
    protocol.do(f"{POOL}.request_withdrawal", 60 * WAD, sender="alice")
    protocol.do(f"{POOL}.deposit", HUNDRED, sender="alice")
    ready_at = protocol.timestamp + 2 * ENTRY_DELAY
    protocol.do(f"{POOL}.request_withdrawal", 1, sender="alice")
    assert read_member(protocol, "alice")[2:4] == (60 * WAD + 1, ready_at)
