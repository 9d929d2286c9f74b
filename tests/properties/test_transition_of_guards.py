"""Violations of the properties of the guards, one wrong value each."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from backstop.system import Action
from tests.support.guard_steps import (
    BREAKER,
    CAUTION,
    CEILING,
    EMERGENCY,
    FALL,
    deploy_with_prices,
    open_secured_vault,
    set_triggers,
    with_guards,
)
from tests.support.property_violation_checks import change_sender, check_last_step, expect_violation


@pytest.fixture
def guarded(new_protocol):
    made = deploy_with_prices(new_protocol, with_guards((CEILING,), BREAKER))
    made.do("AutoCeiling.adjust", 0, sender="stranger")
    open_secured_vault(made, amount=90_000 * WAD)
    return made


def tables(protocol, contract):
    return protocol.lockstep.model.world.contracts[contract].tables


@pytest.fixture
def escalated(guarded):
    guarded.post_price("WETH", 1_000 * RAY)
    guarded.do("CircuitBreaker.raise_mode", FALL, 0, sender="stranger")
    return check_last_step(guarded)


@pytest.fixture
def calmed(guarded):
    guarded.do("CircuitBreaker.force_mode", EMERGENCY, sender="guardian")
    set_triggers(guarded)
    guarded.advance(BREAKER.calm_period)
    guarded.do("CircuitBreaker.lower_mode", sender="stranger")
    return check_last_step(guarded)


def test_a_rise_without_a_cause(guarded, escalated):
    prices = tables(guarded, "PriceFeed")["prices"]
    prices[0] = prices[0]._replace(current=2_000 * RAY)
    expect_violation(21, escalated)


def test_a_rise_beyond_its_cause(guarded, escalated):
    triggers = tables(guarded, "CircuitBreaker")["triggers"]
    triggers[()] = triggers[()]._replace(fall_emergency=0)
    expect_violation(21, escalated)


def test_a_rise_by_nobody_who_may(guarded):
    guarded.do("CircuitBreaker.force_mode", CAUTION, sender="guardian")
    expect_violation(21, change_sender(guarded, check_last_step(guarded), "stranger"))


def test_a_policy_that_does_not_know(guarded, escalated):
    modes = tables(guarded, "RiskPolicy")["modes"]
    modes[()] = modes[()]._replace(mode=CAUTION)
    expect_violation(21, escalated)


def test_a_fall_too_early(guarded, calmed):
    guarded.lockstep.model.changes[("CircuitBreaker", "state", ())] = calmed.read_pre_state(
        "CircuitBreaker", "state"
    )._replace(calm_from=guarded.timestamp)
    expect_violation(21, calmed)


def test_a_fall_past_a_level(guarded, calmed):
    state = tables(guarded, "CircuitBreaker")["state"]
    state[()] = state[()]._replace(mode=0)
    expect_violation(21, calmed)


def test_a_fall_while_a_trigger_holds(guarded, calmed):
    triggers = tables(guarded, "CircuitBreaker")["triggers"]
    triggers[()] = triggers[()]._replace(silence_emergency=1)
    prices = tables(guarded, "PriceFeed")["prices"]
    prices[0] = prices[0]._replace(fresh_until=guarded.timestamp - 1)
    expect_violation(21, calmed)


def test_a_fall_by_hand(calmed):
    for call in (("force_mode", (CAUTION,)), ("set_calm_period", (600,))):
        action = Action("CircuitBreaker", *call, calmed.action.sender)
        expect_violation(21, calmed._replace(action=action))


@pytest.fixture
def adjusted(guarded):
    guarded.do("AutoCeiling.adjust", 0, sender="stranger")
    return check_last_step(guarded)


def test_a_ceiling_above_what_the_debt_asks_for(guarded, adjusted):
    terms = tables(guarded, "VaultEngine")["terms.of_types"]
    terms[0] = terms[0]._replace(debt_ceiling=terms[0].debt_ceiling + 1)
    expect_violation(22, adjusted)


def test_a_ceiling_above_the_highest_line(guarded, adjusted):
    debts = tables(guarded, "VaultEngine")["ledger.debts"]
    debts[0] = debts[0]._replace(normalized_debt=300_000 * WAD)
    terms = tables(guarded, "VaultEngine")["terms.of_types"]
    terms[0] = terms[0]._replace(debt_ceiling=400_000)
    expect_violation(22, adjusted)


def test_a_ceiling_raised_twice(guarded, adjusted):
    slot = ("AutoCeiling", "terms", 0)
    changes = guarded.lockstep.model.changes
    changes[slot] = changes[slot]._replace(raised_at=guarded.timestamp - CEILING.ttl + 1)
    expect_violation(22, adjusted)


def test_a_raise_that_is_forgotten(guarded, adjusted):
    slot = ("AutoCeiling", "terms", 0)
    tables(guarded, "AutoCeiling")["terms"][0] = guarded.lockstep.model.changes[slot]
    expect_violation(22, adjusted)


@pytest.mark.parametrize(
    ("call", "args"),
    [
        ("AutoCeiling.set_terms", (0, 1, 1, 600)),
        ("CircuitBreaker.set_triggers", ((1, 2), (3, 4), (5, 6), (7, 8))),
        ("CircuitBreaker.set_calm_period", (600,)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_only_the_privileged_may(guarded, call, args):
    guarded.do(call, *args, sender="admin")
    expect_violation(18, change_sender(guarded, check_last_step(guarded), "stranger"))


def test_a_door_to_the_policy(guarded, escalated):
    borrower = guarded.address("borrower")
    expect_violation(18, escalated._replace(action=Action("RiskPolicy", "set_mode", (0,), borrower)))


def test_a_ceiling_set_without_the_role(guarded, adjusted):
    # By adjust it is the guard's doing, by whomever it is called; by itself it is not.
    action = Action("VaultEngine", "set_debt_ceiling", adjusted.action.args, adjusted.action.sender)
    expect_violation(18, adjusted._replace(action=action))
