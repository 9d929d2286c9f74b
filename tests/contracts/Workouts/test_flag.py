"""flag: a workout's principal is in doubt while it may be foreclosed, or could be at the next price."""

import pytest

from backstop.model.arithmetic import RAY
from tests.support.auction_steps import WETH, get_only_event_values
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.settlement_steps import start_settlement as settle
from tests.support.workout_steps import (
    DAY,
    DEBT,
    FORECLOSED,
    OWED,
    foreclose_workout,
    give_borrowed_stablecoin,
    pay_workout,
    start_workout,
)

UNDER, OVER = (FORECLOSED - 1) * RAY, FORECLOSED * RAY


@pytest.fixture
def entered(workouts):
    start_workout(workouts)
    return workouts


def flag(protocol):
    return protocol.do("Workouts.flag", 1, sender="stranger")


def test_one_in_good_standing_is_not(entered):
    entered.post_price("WETH", OVER)
    with reverts("workouts: in good standing"):
        foreclose_workout(entered, 1)
    assert flag(entered) == entered.read("Workouts.flagged_principal", WETH) == 0
    assert not entered.read("Workouts.is_flagged", 1)


def test_one_under_its_ratio_is(entered):
    entered.post_price("WETH", UNDER)
    assert flag(entered) == entered.read("Workouts.flagged_principal", WETH) == DEBT * RAY
    assert get_only_event_values(entered, "WorkoutFlagged", "Workouts") == (1, WETH, DEBT * RAY)
    assert entered.read("Workouts.is_flagged", 1)


def test_also_at_the_next_price_alone(entered):
    entered.post_next("WETH", UNDER)
    with reverts("workouts: in good standing"):
        foreclose_workout(entered, 1)
    assert flag(entered) == DEBT * RAY


def test_it_is_cleared_once_the_lot_is_worth_enough_again(entered):
    entered.post_price("WETH", UNDER)
    flag(entered)
    assert flag(entered) == DEBT * RAY
    entered.post_price("WETH", OVER)
    assert flag(entered) == entered.read("Workouts.flagged_principal", WETH) == 0


def test_a_missed_instalment_needs_no_price(entered):
    entered.advance(10 * DAY)
    assert flag(entered) == DEBT * RAY


def test_anything_else_does(entered):
    entered.advance(DAY - 2 * 3_600)
    with reverts("workouts: no price to flag at"):
        flag(entered)


def test_it_shrinks_and_ends_with_the_principal(entered):
    entered.post_price("WETH", UNDER)
    flag(entered)
    give_borrowed_stablecoin(entered, "borrower", OWED)
    pay_workout(entered, 1, DEBT // 2)
    assert entered.read("Workouts.flagged_principal", WETH) == DEBT * RAY // 2
    pay_workout(entered, 1, DEBT // 2)
    assert entered.read("Workouts.flagged_principal", WETH) == 0
    # Only the premium is left, which is nobody's loss.
    assert flag(entered) == 0
    pay_workout(entered, 1, OWED)
    with reverts("workouts: no workout"):
        flag(entered)


def test_it_ends_with_a_foreclosure(entered):
    entered.post_price("WETH", UNDER)
    flag(entered)
    foreclose_workout(entered, 1)
    assert entered.read("Workouts.flagged_principal", WETH) == entered.read("Workouts.in_workouts", WETH) == 0


def test_it_ends_with_settlement(entered):
    entered.post_price("WETH", UNDER)
    flag(entered)
    settle(entered)
    entered.do("Workouts.unwind", 1, sender="stranger")
    assert entered.read("Workouts.flagged_principal", WETH) == 0


def test_nothing_of_none(workouts):
    with reverts("workouts: no workout"):
        flag(workouts)
