"""The properties of a timelock, and of terms that auctions began with, on steps that went wrong."""

from __future__ import annotations

import pytest

from backstop.model.timelock import Record
from backstop.system import Action
from tests.support.auction_steps import start_auction
from tests.support.property_violation_checks import change_sender, check_last_step, expect_violation
from tests.support.timelock_proposals import (
    TERMS,
    deploy_with_timelock,
    encode_proposal_call,
    execute_timelock_proposal,
    submit_timelock_proposal,
)


@pytest.fixture
def proposed(new_protocol):
    """A proposal of a floor."""
    protocol = deploy_with_timelock(new_protocol)
    floor = encode_proposal_call(protocol, "VaultEngine.set_debt_floor", 0, 1)
    return protocol, floor, submit_timelock_proposal(protocol, floor)


def test_a_proposal_of_a_stranger_or_ready_too_early(proposed):
    protocol, _, id = proposed
    step = check_last_step(protocol)
    expect_violation(76, change_sender(protocol, step, "guardian"))
    table = step.model.world.contracts["Timelock"].tables["proposals"]
    table[id] = table[id]._replace(ready_at=table[id].ready_at - 1)
    expect_violation(76, step)


@pytest.mark.parametrize("ready_in", [1, -TERMS.window - 1])
def test_one_that_is_executed_too_early_or_too_late(proposed, ready_in):
    protocol, floor, id = proposed
    protocol.advance(TERMS.delay)
    execute_timelock_proposal(protocol, floor)
    step = check_last_step(protocol)
    step.model.changes["Timelock", "proposals", id] = Record(protocol.timestamp + ready_in)
    expect_violation(76, step)


def test_calls_of_no_proposal(proposed):
    protocol, floor, id = proposed
    protocol.advance(TERMS.delay)
    execute_timelock_proposal(protocol, floor)
    step = check_last_step(protocol)
    del step.model.changes["Timelock", "proposals", id]
    expect_violation(76, step)


def test_other_calls_than_those_that_were_proposed(proposed):
    protocol, floor, _ = proposed
    protocol.advance(TERMS.delay)
    execute_timelock_proposal(protocol, floor)
    step = check_last_step(protocol)
    target, data = floor
    others = ((target, data[:-1] + bytes([data[-1] ^ 1])),), step.action.args[1]
    expect_violation(76, step._replace(action=step.action._replace(args=others)))


def test_a_guardian_that_keeps_itself(proposed):
    protocol, _, id = proposed
    protocol.do("Timelock.cancel", id, sender="guardian")
    step = check_last_step(protocol)
    expect_violation(76, change_sender(protocol, step, "stranger"))
    step.model.changes["Timelock", "proposals", id] = Record(1, governors=True)
    expect_violation(76, step)


def test_a_ceiling_that_rises_at_once(proposed):
    protocol = proposed[0]
    protocol.do("Timelock.lower_ceiling", 0, 7, sender="guardian")
    step = check_last_step(protocol)
    expect_violation(76, change_sender(protocol, step, "stranger"))
    terms = step.model.world.contracts["VaultEngine"].tables["terms.of_types"]
    terms[0] = terms[0]._replace(debt_ceiling=10**8)
    expect_violation(76, step)


def test_parameters_that_somebody_else_changed(proposed):
    """A timelock's proposal changes them, in a call of another account."""
    protocol, floor, _ = proposed
    protocol.advance(TERMS.delay)
    execute_timelock_proposal(protocol, floor)
    step = check_last_step(protocol)
    stranger = protocol.address("stranger")
    expect_violation(18, step._replace(action=Action("Savings", "deposit", (1, stranger), stranger)))
    governor = encode_proposal_call(protocol, "Timelock.set_governor", "keeper")
    submit_timelock_proposal(protocol, governor)
    protocol.advance(TERMS.delay)
    execute_timelock_proposal(protocol, governor)
    step = check_last_step(protocol)
    expect_violation(18, step._replace(action=Action("Timelock", "set_governor", (stranger,), stranger)))


def test_terms_that_change_under_an_auction(protocol):
    id = start_auction(protocol)
    protocol.do("CollateralAuction.set_buf", 0, 13_000, sender="admin")
    step = check_last_step(protocol)
    tables = step.model.world.contracts["CollateralAuction"].tables
    version = tables["lots"][id].version
    tables["old_terms"][0, version] = tables["old_terms"][0, version]._replace(tail=60)
    expect_violation(38, step)


def test_an_auction_that_begins_with_terms_of_before(protocol):
    protocol.do("CollateralAuction.set_buf", 0, 13_000, sender="admin")
    id = start_auction(protocol)
    step = check_last_step(protocol)
    lots = step.model.world.contracts["CollateralAuction"].tables["lots"]
    lots[id] = lots[id]._replace(version=lots[id].version - 1)
    expect_violation(38, step)
