"""top_up: collateral out of the owner's debt-free vault makes a lot worth the rest again."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from tests.support.auction_steps import WETH, get_only_event_values
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.settlement_steps import start_settlement as begin_settlement
from tests.support.workout_steps import (
    LOT,
    OWED,
    deploy_with_workouts,
    foreclose_workout,
    pay_workout,
    read_vault,
    read_workout,
    start_workout,
)

CALL = "Workouts.top_up"


def lock(protocol, amount, who="borrower"):
    """Collateral into a vault, by the payer."""
    protocol.mint_and_approve_collateral("WETH", who, amount)
    protocol.do("VaultEngine.deposit_and_draw", WETH, "borrower", amount, 0, who, sender=who)


@pytest.fixture
def entered(workouts):
    start_workout(workouts)
    lock(workouts, 2 * WAD)
    return workouts


def test_moves_collateral_into_the_lot(entered):
    entered.do(CALL, 1, WAD, sender="borrower")
    assert get_only_event_values(entered, "ToppedUp", "Workouts") == (1, WAD, 0)
    assert (read_workout(entered, 1).lot, read_vault(entered).locked_collateral) == (LOT + WAD, WAD)


def test_it_comes_back_with_the_lot(entered):
    entered.do(CALL, 1, 2 * WAD, sender="borrower")
    entered.do("Stablecoin.transfer", "stranger", 0, sender="stranger")
    entered.borrow("another", "XAU", 100 * WAD, OWED)
    pay_workout(entered, 1, MAX_UINT256, who="another")
    assert read_vault(entered).locked_collateral == LOT + 2 * WAD


def test_is_floored_to_the_unit(new_protocol):
    workouts = deploy_with_workouts(new_protocol)
    terms = (2_000, 11_500, 200, 8, 86_400, 0, 10**9)
    workouts.do("Workouts.set_terms", 1, *terms, sender="admin")
    workouts.do("RiskPolicy.set_call_terms", 1, 14_800, 3_600, 86_400, sender="admin")
    workouts.do("VaultEngine.set_stability_fee", 1, 0, sender="admin")
    workouts.borrow("borrower", "WBTC", WAD, 40_000 * WAD)
    workouts.post_price("WBTC", 58_500 * RAY)
    workouts.do("LiquidationEngine.call", 1, "borrower", sender="stranger")
    workouts.do("CircuitBreaker.force_mode", 1, sender="guardian")
    workouts.do("Workouts.enter", 1, "borrower", 4, sender="borrower")
    workouts.mint_and_approve_collateral("WBTC", "borrower", WAD)
    workouts.do("VaultEngine.deposit_and_draw", 1, "borrower", WAD, 0, "borrower", sender="borrower")
    workouts.do(CALL, 1, 2 * 10**10 - 1, sender="borrower")
    assert read_workout(workouts, 1).lot == WAD + 10**10


def test_an_instalment_that_was_paid_for_is_met(entered):
    price = 1_400 * RAY
    pay_workout(entered, 1, 100 * WAD)
    entered.post_price("WETH", 1_100 * RAY)
    pay_workout(entered, 1, OWED // 4 - 100 * WAD)
    assert read_workout(entered, 1).met == 0
    entered.do(CALL, 1, 2 * WAD, sender="borrower")
    assert read_workout(entered, 1).met == 1
    assert get_only_event_values(entered, "ToppedUp", "Workouts") == (1, 2 * WAD, 1)
    assert price > entered.get_or_renew_risk_price("WETH")


def test_it_keeps_a_lot_from_foreclosure(entered):
    entered.post_price("WETH", 1_379 * RAY)
    entered.do(CALL, 1, 2 * WAD, sender="borrower")
    with reverts("workouts: in good standing"):
        foreclose_workout(entered, 1)


def test_owner_and_operators_only(entered):
    for sender in ("stranger", "admin"):
        with reverts("workouts: not approved"):
            entered.do(CALL, 1, WAD, sender=sender)
    entered.do("VaultEngine.approve_operator", "stranger", True, sender="borrower")
    entered.do(CALL, 1, WAD, sender="stranger")


def test_only_out_of_a_vault_without_debt(entered):
    entered.post_price("WETH", 4_000 * RAY)
    entered.do(
        "VaultEngine.deposit_and_draw", WETH, "borrower", 0, 2_000 * WAD, "borrower", sender="borrower"
    )
    with reverts("workouts: vault has debt"):
        entered.do(CALL, 1, 1, sender="borrower")


@pytest.mark.parametrize("amount", [2 * WAD + 1, 2**255])
def test_only_what_is_locked(entered, amount):
    with reverts("workouts: not enough locked"):
        entered.do(CALL, 1, amount, sender="borrower")


def test_a_lot_has_an_end(entered):
    entered.do(CALL, 1, 2 * WAD, sender="borrower")
    most = 2**103 - 1
    for _ in range(2):
        lock(entered, most - read_vault(entered).locked_collateral)
        amount = min(most, 2**104 - 1 - read_workout(entered, 1).lot)
        entered.do(CALL, 1, amount, sender="borrower")
    lock(entered, WAD)
    with reverts("workouts: lot is full"):
        entered.do(CALL, 1, WAD, sender="borrower")


def test_no_workout(entered):
    with reverts("workouts: no workout"):
        entered.do(CALL, 2, WAD, sender="borrower")


def test_not_in_settlement(entered):
    begin_settlement(entered)
    with reverts("workouts: in settlement"):
        entered.do(CALL, 1, WAD, sender="borrower")
