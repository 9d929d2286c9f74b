"""set_risk_policy: another contract takes the place of the risk policy, once it has proved itself."""

import pytest

from backstop.model import bounds
from backstop.model.arithmetic import WAD
from tests.support.auction_steps import ALL, WETH, get_only_event_values
from tests.support.guard_steps import BREAKER, EMERGENCY, deploy_with_prices, with_guards
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.scripted_policy_replacement import (
    EATS,
    REVERTS,
    put_scripted_policy_in_force,
    set_policy_answers,
    set_policy_failure,
)
from tests.support.vault_size_margin_and_call_steps import compute_ray_per_second, draw_debt, repay_debt

CURVE = (100, 300, 5_000, 9_000)


def create(protocol, name="Second", breaker="breaker"):
    wiring = ("VaultEngine", "PriceFeed", breaker, "admin")
    protocol.lockstep.create_contract("RiskPolicy", name, *map(protocol.address, wiring))


def set_policy(protocol, new="Second", sender="admin"):
    protocol.do("VaultEngine.set_risk_policy", new, sender=sender)


@pytest.mark.parametrize("sender", ["stranger", "guardian", "borrower"])
def test_the_admin_alone(guarded, sender):
    with reverts("roles: not admin"):
        set_policy(guarded, "RiskPolicy", sender)


def test_a_deployment_without_one_has_none_for_good(protocol):
    create(protocol)
    with reverts("terms: no risk policy"):
        set_policy(protocol)
    assert protocol.read("VaultEngine.risk_policy") == "0x" + "00" * 20


def test_not_in_settlement(guarded):
    guarded.do("Settlement.announce", sender="admin")
    guarded.advance(30 * 86_400)
    guarded.do("Settlement.begin", sender="stranger")
    with reverts("ledger: in settlement"):
        set_policy(guarded, "RiskPolicy")


def test_everybody_asks_the_new_one(guarded):
    """New risk, the fee, the add-on of a liquidation: the old one's terms are no more."""
    guarded.do("RiskPolicy.set_brackets", WETH, ((0, 5_000), (0, 0)), ((0, 0), (0, 0)), sender="admin")
    create(guarded)
    guarded.do("Second.set_fee_curve", WETH, CURVE, 10_000, 0, sender="admin")
    set_policy(guarded)
    assert get_only_event_values(guarded, "ParameterChanged", "VaultEngine")[1:] == (
        "risk_policy",
        int(guarded.address("Second"), 16),
    )
    assert guarded.read("VaultEngine.risk_policy") == guarded.address("Second")
    guarded.do("VaultEngine.set_fee_dynamic", WETH, True, sender="admin")
    guarded.borrow("borrower", "WETH", 75 * WAD // 10, 9_000 * WAD)
    draw_debt(guarded, "borrower", 1_000 * WAD)
    assert guarded.read("LiquidationEngine.max_marginal_add_on_of", WETH) == 0
    assert guarded.read("VaultEngine.stability_fee_of", WETH) == compute_ray_per_second(400) + bounds.FEE_MOVE
    repay_debt(guarded, "borrower", 1_000 * WAD)
    assert guarded.read("VaultEngine.stability_fee_of", WETH) == compute_ray_per_second(400)


@pytest.mark.parametrize("named", ["VaultEngine", "stranger", "LiquidationEngine", "PriceFeed"])
def test_what_is_no_policy_is_not_taken_for_one(guarded, named):
    with reverts("terms: not a policy"):
        set_policy(guarded, named)


@pytest.mark.parametrize(
    "wrong",
    [
        {"fee": bounds.MAX_POLICY_FEE + 1},
        {"add_on_rate": bounds.MAX_ADD_ON + 1},
        {"factor": bounds.MIN_LIMITS_FACTOR - 1},
        {"factor": bounds.MAX_LIMITS_FACTOR + 1},
    ],
)
def test_one_that_answers_beyond_its_bounds_is_refused(guarded, wrong):
    guarded.lockstep.create_contract("ScriptedPolicy", "ScriptedPolicy", guarded.address("VaultEngine"))
    set_policy_answers(guarded, **wrong)
    with reverts("terms: not a policy"):
        set_policy(guarded, "ScriptedPolicy")
    assert not guarded.read("LiquidationEngine.is_policy", "ScriptedPolicy")
    set_policy_answers(guarded)
    assert guarded.read("LiquidationEngine.is_policy", "ScriptedPolicy")
    set_policy(guarded, "ScriptedPolicy")


@pytest.mark.parametrize("how", [REVERTS, EATS])
def test_one_that_fails_is_refused_and_can_be_replaced(guarded, how):
    put_scripted_policy_in_force(guarded)
    set_policy_failure(guarded, how)
    with reverts("terms: not a policy"):
        set_policy(guarded, "ScriptedPolicy")
    set_policy(guarded, "RiskPolicy")
    guarded.borrow("borrower", "WETH", 75 * WAD // 10, 10_000 * WAD)


def test_the_policy_of_another_ledger_is_refused(guarded):
    guarded.lockstep.create_contract("ScriptedPolicy", "ScriptedPolicy", guarded.address("PriceFeed"))
    with reverts("terms: not a policy"):
        set_policy(guarded, "ScriptedPolicy")


def test_an_emergency_is_not_ended_by_another_policy(new_protocol):
    """In the call that puts it in force a borrower would draw, before the policy is told the mode."""
    protocol = deploy_with_prices(new_protocol, with_guards(breaker=BREAKER))
    create(protocol, breaker="CircuitBreaker")
    protocol.do("CircuitBreaker.force_mode", EMERGENCY, sender="guardian")
    with reverts("terms: not a policy"):
        set_policy(protocol)
    protocol.do("CircuitBreaker.sync_policy_mode", "Second", sender="stranger")
    set_policy(protocol)
    protocol.mint_and_approve_collateral("WETH", "borrower", 10 * WAD)
    with reverts("risk_policy: emergency"):
        draw_debt(protocol, "borrower", 5_000 * WAD, 10 * WAD)


def test_repaying_goes_on_across_a_change(guarded):
    guarded.do("RiskPolicy.set_fee_curve", WETH, CURVE, 10_000, 0, sender="admin")
    guarded.do("VaultEngine.set_fee_dynamic", WETH, True, sender="admin")
    guarded.borrow("borrower", "WETH", 75 * WAD // 10, 9_000 * WAD)
    create(guarded)
    set_policy(guarded)
    # Without a curve its fee is none.
    repay_debt(guarded, "borrower", ALL)
    assert guarded.read("VaultEngine.stability_fee_of", WETH) == 0
