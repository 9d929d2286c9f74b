"""Rules of a call's preconditions made wrong, as if on both sides: refusals or successes are noticed."""

from __future__ import annotations

import pytest

from backstop.contract_base import RevertError
from backstop.hosts.artifacts import CONTRACTS
from backstop.lockstep.step_transition import Transition
from backstop.model import liquidation_engine, loss_waterfall, member_pool, redeem_queue, vault_engine
from backstop.model.arithmetic import RAY, WAD
from backstop.proof.properties import PropertyViolationError, check_refusal_properties
from backstop.proof.properties.revert_conditions import CONDITIONS
from backstop.system import Action
from tests.support.auction_steps import WETH, start_auction
from tests.support.no_fee_deployments import deploy_without_fees
from tests.support.property_violation_checks import expect_property_violation_on_model
from tests.support.saver_steps import (
    DAY,
    XAU,
    create_additional_pool,
    deposit_savings,
    lose_new_vault,
    request_all_shares,
)


@pytest.fixture
def plain(new_protocol):
    return deploy_without_fees(new_protocol)


def lenient(*reasons):
    """In place of `require`: these reasons stop no call."""

    def require(holds, reason):
        if not holds and reason not in reasons:
            raise RevertError(reason)

    return require


def strict(*reasons):
    """In place of `require`: these reasons stop every call."""

    def require(holds, reason):
        if not holds or reason in reasons:
            raise RevertError(reason)

    return require


def refused(protocol, contract, method, *args, sender):
    """Refuse a call on the model, and check its properties after that."""
    action = Action(contract, method, args, protocol.address(sender))
    outcome = protocol.lockstep.model.apply(action)
    assert not outcome.ok
    check_refusal_properties(Transition(action, outcome, protocol.lockstep.model))


def lies(protocol, *call, sender):
    with pytest.raises(PropertyViolationError, match=r"^property 198 is violated: "):
        refused(protocol, *call, sender=sender)


def test_each_reason_is_one_of_the_contracts(plain):
    """A reason that no contract gives would never be asked about."""
    sources = {path.read_text() for path in CONTRACTS.rglob("*.vy")}
    known = {reason for found in CONDITIONS.values() for reason in found}
    assert {each for each in known if not any(f'"{each}"' in source for source in sources)} == set()


def test_a_draw_below_the_floor(plain, monkeypatch):
    plain.borrow("borrower", "WETH", 100 * WAD, 10_000 * WAD)
    floor = plain.read("VaultEngine.terms_of", WETH).debt_floor
    who = plain.address("keeper")
    draw = "VaultEngine", "deposit_and_draw", WETH, who, 0, (floor - 1) * WAD, who
    refused(plain, *draw, sender="keeper")
    monkeypatch.setattr(vault_engine, "require", lenient("vault_engine: debt floor"))
    plain.borrow("keeper", "WETH", 100 * WAD, floor * WAD)
    expect_property_violation_on_model(
        199, plain, lambda p: p.borrow("taker", "WETH", 100 * WAD, (floor - 1) * WAD)
    )


def test_a_draw_of_the_floor_is_refused(plain, monkeypatch):
    floor = plain.read("VaultEngine.terms_of", WETH).debt_floor
    plain.borrow("keeper", "WETH", 100 * WAD, floor * WAD)
    monkeypatch.setattr(vault_engine, "require", strict("vault_engine: debt floor"))
    who = plain.address("keeper")
    lies(plain, "VaultEngine", "deposit_and_draw", WETH, who, 0, floor * WAD, who, sender="keeper")


def test_there_is_room_and_it_is_denied(plain, monkeypatch):
    plain.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    plain.post_price("WETH", 1_500 * RAY)
    monkeypatch.setattr(liquidation_engine, "require", strict("liquidation_engine: no room"))
    call = "LiquidationEngine", "liquidate", WETH, plain.address("borrower"), plain.address("keeper")
    lies(plain, *call, sender="keeper")


def test_a_lot_is_not_given_up_while_it_has_value(plain):
    id = start_auction(plain)
    refused(plain, "CollateralAuction", "close", id, sender="keeper")
    plain.advance(100_000)
    plain.post_price("WETH", 1_500 * RAY)
    refused(plain, "CollateralAuction", "close", id, sender="keeper")


def test_a_batch_is_cut_late(plain, monkeypatch):
    deposit_savings(plain, "saver", 1_000 * WAD)
    request_all_shares(plain, "saver")
    plain.advance(90 * DAY)
    monkeypatch.setattr(redeem_queue, "require", strict("pool: batch collects"))
    lies(plain, "Savings", "cut", sender="keeper")


def test_an_empty_request(plain, monkeypatch):
    deposit_savings(plain, "saver", 1_000 * WAD)
    who = plain.address("saver")
    refused(plain, "Savings", "requestRedeem", 0, who, who, sender="saver")
    monkeypatch.setattr(member_pool, "require", lenient("pool: empty request"))
    expect_property_violation_on_model(
        199, plain, lambda p: p.do("Savings.requestRedeem", 0, "saver", "saver", sender="saver")
    )


def test_shares_without_a_cooldown_are_their_owners(plain):
    create_additional_pool(plain, cooldown=0)
    deposit_savings(plain, "saver", 1_000 * WAD, "Made")
    who = plain.address("saver")
    refused(plain, "Made", "redeem", 10**18, who, who, sender="keeper")


def test_a_cover_of_nothing(plain, monkeypatch):
    refused(plain, "LossWaterfall", "cover", XAU, sender="keeper")
    lose_new_vault(plain)
    monkeypatch.setattr(loss_waterfall, "require", strict("loss_waterfall: no deficit"))
    lies(plain, "LossWaterfall", "cover", XAU, sender="keeper")


def test_lists_of_stages_wait_for_open_losses(plain):
    terms = [plain.read("LossWaterfall.stage_terms", k) for k in plain.read("LossWaterfall.stage_ids")]
    plain.do("LossWaterfall.propose_stages", terms, sender="admin")
    plain.advance(plain.parameters.cap_delay)
    lose_new_vault(plain)
    refused(plain, "LossWaterfall", "apply_stages", tuple(terms), sender="keeper")


def test_a_bound_is_denied(guarded, monkeypatch):
    refused(guarded, "RiskPolicy", "set_effects", 10_001, 10_000, sender="admin")
    monkeypatch.setattr("backstop.model.risk_policy.require", strict("risk_policy: margin bounds"))
    lies(guarded, "RiskPolicy", "set_effects", 10_000, 10_000, sender="admin")
    monkeypatch.setattr("backstop.model.risk_policy.require", lenient("risk_policy: margin bounds"))
    expect_property_violation_on_model(
        199, guarded, lambda p: p.do("RiskPolicy.set_effects", 10_001, 10_000, sender="admin")
    )
