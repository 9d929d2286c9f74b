"""pay: principal first, then the premium; paid instalments are met; the last payment gives the lot back."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAD, RAY, WAD
from tests.support.auction_steps import WETH, get_only_event_values, read_stablecoins
from tests.support.guard_steps import EMERGENCY
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.settlement_steps import start_settlement as begin_settlement
from tests.support.workout_steps import (
    DAY,
    DEBT,
    FORECLOSED,
    LOT,
    OWED,
    foreclose_workout,
    give_borrowed_stablecoin,
    pay_workout,
    read_vault,
    read_weth_principal_in_auction,
    read_workout,
    start_workout,
)

QUARTER = OWED // 4


@pytest.fixture
def entered(workouts):
    """Workout 1, of four instalments; the owner has the drawn amount and the required premium."""
    start_workout(workouts)
    give_borrowed_stablecoin(workouts, "borrower", OWED - DEBT)
    return workouts


def test_what_is_paid_is_burned_and_repays_principal(entered):
    supply = entered.read("Stablecoin.totalSupply")
    assert pay_workout(entered, 1, QUARTER) == QUARTER
    assert get_only_event_values(entered, "Paid", "Workouts") == (
        *(1, entered.address("borrower"), QUARTER, OWED - QUARTER, 1),
    )
    assert entered.read("Stablecoin.totalSupply") == supply - QUARTER
    assert (
        read_weth_principal_in_auction(entered)
        == entered.read("Workouts.in_workouts", WETH)
        == (DEBT - QUARTER) * RAY
    )
    assert read_workout(entered, 1).principal == (DEBT - QUARTER) * RAY


def test_the_premium_comes_last_and_is_the_buffers(entered):
    before = entered.read("VaultEngine.buffer_of", WETH)
    pay_workout(entered, 1, DEBT)
    assert entered.read("VaultEngine.buffer_of", WETH) == before
    assert (
        read_weth_principal_in_auction(entered),
        read_workout(entered, 1).principal,
        read_workout(entered, 1).left,
    ) == (
        0,
        0,
        OWED - DEBT,
    )
    pay_workout(entered, 1, MAX_UINT256)
    assert entered.read("VaultEngine.buffer_of", WETH) == before + (OWED - DEBT) * RAY


def test_the_last_payment_gives_the_lot_back(entered):
    assert pay_workout(entered, 1, MAX_UINT256) == OWED
    assert get_only_event_values(entered, "Completed", "Workouts") == (
        1,
        WETH,
        entered.address("borrower"),
        LOT,
    )
    assert get_only_event_values(entered, "Paid", "Workouts")[2:] == (OWED, 0, 4)
    assert tuple(read_vault(entered))[:3] == (LOT, 0, 0)
    entered.do("VaultEngine.repay_and_withdraw", WETH, "borrower", 0, LOT, "borrower", sender="borrower")
    with reverts("workouts: no workout"):
        pay_workout(entered, 1, 1)


def test_what_rounded_the_principal_up_is_the_buffers(workouts):
    workouts.do("VaultEngine.set_stability_fee", WETH, 123_456_789_123_456_789, sender="admin")
    start_workout(workouts)
    give_borrowed_stablecoin(workouts, "borrower", OWED)
    found, before = read_workout(workouts, 1), workouts.read("VaultEngine.buffer_of", WETH)
    pay_workout(workouts, 1, MAX_UINT256)
    gained = workouts.read("VaultEngine.buffer_of", WETH) - before
    assert gained == found.owed * RAY - found.principal
    assert read_weth_principal_in_auction(workouts) == 0


def test_anybody_may_pay_for_anybody(entered):
    give_borrowed_stablecoin(entered, "stranger", OWED)
    pay_workout(entered, 1, MAX_UINT256, who="stranger")
    assert read_vault(entered).locked_collateral == LOT
    assert read_stablecoins(entered, "borrower") == OWED


@pytest.mark.parametrize(
    ("paid", "met"),
    [(QUARTER - 1, 0), (QUARTER, 1), (2 * QUARTER - 1, 1), (2 * QUARTER, 2), (OWED * 3 // 4, 3)],
)
def test_instalments_are_met_by_all_that_was_paid_to_the_wei(entered, paid, met):
    pay_workout(entered, 1, paid // 2)
    pay_workout(entered, 1, paid - paid // 2)
    found = read_workout(entered, 1)
    assert (found.met, found.due) == (met, found.entered_at + (met + 1) * DAY)


def test_an_instalment_that_does_not_divide_is_rounded_up(workouts):
    start_workout(workouts, instalments=7)
    least = -(-OWED // 7)
    pay_workout(workouts, 1, least - 1)
    assert read_workout(workouts, 1).met == 0
    pay_workout(workouts, 1, 1)
    assert read_workout(workouts, 1).met == 1


# Ray at which the lot, less the discount, is worth what is left after a quarter is paid.
WORTH_THE_REST = -(-(DEBT - QUARTER) * RAY * 10_000 // (LOT * 8_000))


def test_none_is_met_while_the_lot_is_worth_less_than_the_rest(entered):
    entered.post_price("WETH", WORTH_THE_REST - 1)
    pay_workout(entered, 1, QUARTER)
    assert (read_workout(entered, 1).met, read_workout(entered, 1).left) == (0, OWED - QUARTER)
    entered.post_price("WETH", WORTH_THE_REST)
    assert pay_workout(entered, 1, 0) == 0
    assert read_workout(entered, 1).met == 1


def test_the_lower_of_both_prices_counts(entered):
    entered.post_next("WETH", WORTH_THE_REST - 1)
    pay_workout(entered, 1, QUARTER)
    assert read_workout(entered, 1).met == 0


def test_without_a_price_what_is_paid_is_enough(entered):
    entered.post_price("WETH", WORTH_THE_REST - 1)
    entered.advance(5 * 3_600)
    pay_workout(entered, 1, QUARTER)
    assert read_workout(entered, 1).met == 1


def test_paid_late_it_is_met_if_nobody_has_foreclosed(entered):
    entered.advance(2 * DAY + 1)
    pay_workout(entered, 1, 2 * QUARTER)
    entered.post_price("WETH", 1_750 * RAY)
    with reverts("workouts: in good standing"):
        foreclose_workout(entered, 1)


def test_no_principal_is_left_under_the_debt_floor(entered):
    with reverts("workouts: rest under floor"):
        pay_workout(entered, 1, DEBT - 2_000 * WAD + 1)
    pay_workout(entered, 1, DEBT - 2_000 * WAD)
    with reverts("workouts: rest under floor"):
        pay_workout(entered, 1, 1)
    pay_workout(entered, 1, 2_000 * WAD)
    assert read_workout(entered, 1).principal == 0


def test_what_a_raised_floor_left_under_it_may_be_paid_in_parts(entered):
    entered.do("VaultEngine.set_debt_floor", WETH, 20_000, sender="admin")
    pay_workout(entered, 1, 1)
    pay_workout(entered, 1, QUARTER)
    assert read_weth_principal_in_auction(entered) == (DEBT - QUARTER) * RAY - RAY


def test_in_any_mode_with_a_dead_feed_a_halt_and_no_ceiling(entered):
    entered.do("CircuitBreaker.force_mode", EMERGENCY, sender="guardian")
    entered.do("PriceFeed.set_halted", WETH, True, sender="admin")
    entered.do("VaultEngine.set_debt_ceiling", WETH, 0, sender="admin")
    entered.do("VaultEngine.set_auction_limit", WETH, 0, sender="admin")
    entered.do("CollateralAuction.set_stop", WETH, 2, sender="admin")
    entered.do("Workouts.set_terms", WETH, 0, 10_000, 0, 1, 600, 0, 0, sender="admin")
    entered.advance(365 * DAY)
    pay_workout(entered, 1, QUARTER)
    pay_workout(entered, 1, MAX_UINT256)
    assert read_vault(entered).locked_collateral == LOT


def test_not_after_a_foreclosure(entered):
    entered.post_price("WETH", FORECLOSED * RAY - 1)
    foreclose_workout(entered, 1)
    with reverts("workouts: no workout"):
        pay_workout(entered, 1, MAX_UINT256)


def test_not_in_settlement(entered):
    begin_settlement(entered)
    with reverts("workouts: in settlement"):
        pay_workout(entered, 1, MAX_UINT256)


def test_the_payer_needs_the_money(entered):
    with reverts("erc20: burn amount exceeds balance"):
        pay_workout(entered, 1, MAX_UINT256, who="stranger")


def test_room_comes_back_with_every_payment(entered):
    entered.do("VaultEngine.set_auction_limit", WETH, 12_000, sender="admin")
    pay_workout(entered, 1, QUARTER)
    assert entered.read("Workouts.in_workouts", WETH) < 12_000 * RAD
    entered.borrow("another", "XAU", 100 * WAD, 2_000 * WAD)
    state = entered.do("VaultEngine.accrue_and_read", WETH, "borrower", 10_000, sender="stranger")
    assert state.room == QUARTER * RAY
