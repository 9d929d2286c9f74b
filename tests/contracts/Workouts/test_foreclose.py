"""foreclose: a missed instalment, or a lot under the workout's own ratio, starts the auction put off."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAY
from tests.support.auction_steps import WETH, get_only_event_values, read_stablecoins
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.settlement_steps import start_settlement as begin_settlement
from tests.support.workout_steps import (
    CALLED,
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
    start_workout(workouts)
    give_borrowed_stablecoin(workouts, "borrower", OWED)
    return workouts


def wait_until(protocol, moment, price=CALLED):
    """Let time pass with fresh prices, to the second."""
    while moment - protocol.timestamp > 3 * 3_600:
        protocol.post_price("WETH", price * RAY)
    protocol.post_price("WETH", price * RAY)
    assert protocol.timestamp <= moment
    protocol.advance(moment - protocol.timestamp)


def test_an_instalment_is_missed_the_second_after_it_is_due(entered):
    wait_until(entered, read_workout(entered, 1).due)
    with reverts("workouts: in good standing"):
        foreclose_workout(entered, 1)
    entered.advance(1)
    foreclose_workout(entered, 1)


def test_one_that_is_met_gives_time_until_the_next(entered):
    pay_workout(entered, 1, QUARTER)
    wait_until(entered, read_workout(entered, 1).entered_at + 2 * DAY)
    with reverts("workouts: in good standing"):
        foreclose_workout(entered, 1)
    entered.advance(1)
    foreclose_workout(entered, 1)


def test_what_is_paid_without_being_enough_does_not_help(entered):
    pay_workout(entered, 1, QUARTER - 1)
    wait_until(entered, read_workout(entered, 1).due + 1)
    foreclose_workout(entered, 1)


def test_what_was_paid_while_the_lot_was_worth_too_little_does_not_help(entered):
    price = -(-(DEBT - QUARTER) * RAY * 10_000 // (LOT * 8_000)) - 1
    entered.post_price("WETH", price)
    pay_workout(entered, 1, QUARTER)
    wait_until(entered, read_workout(entered, 1).due + 1, price // RAY)
    foreclose_workout(entered, 1)


def test_under_its_own_ratio_to_the_wei(entered):
    entered.post_price("WETH", FORECLOSED * RAY)
    with reverts("workouts: in good standing"):
        foreclose_workout(entered, 1)
    entered.post_price("WETH", FORECLOSED * RAY - 1)
    foreclose_workout(entered, 1)


def test_the_ratio_is_of_what_is_left(entered):
    pay_workout(entered, 1, QUARTER)
    entered.post_price("WETH", (FORECLOSED * RAY - 1) * 3 // 4)
    with reverts("workouts: in good standing"):
        foreclose_workout(entered, 1)


def test_the_current_price_counts(entered):
    entered.post_next("WETH", FORECLOSED * RAY // 2)
    with reverts("workouts: in good standing"):
        foreclose_workout(entered, 1)
    entered.post_next("WETH", 2_000 * RAY)
    foreclose_workout(entered, 1)


def test_its_lot_is_sold_from_the_next_price_where_that_is_higher(entered):
    entered.post_price("WETH", (FORECLOSED - 1) * RAY)
    entered.post_next("WETH", 2_000 * RAY)
    foreclose_workout(entered, 1)
    assert entered.read("CollateralAuction.auction_of", 1).top == 2_400 * RAY


def test_the_auction_of_its_id_starts_with_penalty_and_reward(entered):
    pay_workout(entered, 1, QUARTER)
    left = DEBT - QUARTER
    entered.post_price("WETH", 1_000 * RAY)
    before, reserve = read_stablecoins(entered, "liquidator"), entered.read("VaultEngine.reserve")
    deficit = entered.read("VaultEngine.deficit_of", WETH)
    foreclose_workout(entered, 1)
    borrower = entered.address("borrower")
    assert get_only_event_values(entered, "Foreclosed", "Workouts") == (1, WETH, borrower, LOT, left * RAY)
    target = left + left * 1_300 // 10_000
    top = 1_200 * RAY
    assert get_only_event_values(entered, "AuctionStarted") == (
        1,
        WETH,
        borrower,
        LOT,
        top,
        target * RAY,
        left * RAY,
    )
    found = entered.read("CollateralAuction.auction_of", 1)
    assert (found.lot, found.target, found.principal) == (LOT, target * RAY, left * RAY)
    reward = read_stablecoins(entered, "liquidator") - before
    assert reward == 50 * 10**18 + target * 10 // 10_000
    spent = reserve - entered.read("VaultEngine.reserve")
    assert spent + entered.read("VaultEngine.deficit_of", WETH) - deficit == reward * RAY


def test_the_ledger_counts_the_same_and_workouts_none(entered):
    entered.post_price("WETH", 1_000 * RAY)
    foreclose_workout(entered, 1)
    assert read_weth_principal_in_auction(entered) == DEBT * RAY
    assert entered.read("Workouts.in_workouts", WETH) == 0
    with reverts("workouts: no workout"):
        read_workout(entered, 1)


def test_a_taker_pays_it_and_the_rest_of_the_lot_goes_back(entered):
    entered.post_price("WETH", FORECLOSED * RAY - 1)
    foreclose_workout(entered, 1)
    give_borrowed_stablecoin(entered, "taker", 2 * DEBT)
    entered.do("CollateralAuction.take", 1, MAX_UINT256, MAX_UINT256, "taker", b"", sender="taker")
    assert read_weth_principal_in_auction(entered) == 0
    assert read_vault(entered).locked_collateral == get_only_event_values(entered, "AuctionEnded")[3] > 0


def test_only_once(entered):
    entered.post_price("WETH", 1_000 * RAY)
    foreclose_workout(entered, 1)
    with reverts("workouts: no workout"):
        foreclose_workout(entered, 1)


def test_not_once_the_principal_is_repaid(entered):
    pay_workout(entered, 1, DEBT)
    wait_until(entered, read_workout(entered, 1).entered_at + 5 * DAY)
    with reverts("workouts: repaid"):
        foreclose_workout(entered, 1)


def test_not_at_a_stale_price(entered):
    entered.advance(2 * DAY)
    with reverts("workouts: stale price"):
        foreclose_workout(entered, 1)


def test_not_in_a_halt(entered):
    entered.post_price("WETH", 1_000 * RAY)
    entered.do("PriceFeed.set_halted", WETH, True, sender="admin")
    with reverts("workouts: stale price"):
        foreclose_workout(entered, 1)


def test_not_while_starts_are_stopped(entered):
    entered.post_price("WETH", 1_000 * RAY)
    entered.do("CollateralAuction.set_stop", WETH, 1, sender="admin")
    with reverts("collateral_auction: no starts"):
        foreclose_workout(entered, 1)


def test_not_in_settlement(entered):
    entered.post_price("WETH", 1_000 * RAY)
    begin_settlement(entered)
    with reverts("workouts: in settlement"):
        foreclose_workout(entered, 1)


def test_a_new_vault_of_the_owner_is_left_alone(entered):
    entered.post_price("WETH", 4_000 * RAY)
    entered.borrow("borrower", "WETH", LOT, DEBT)
    before = read_vault(entered)
    wait_until(entered, read_workout(entered, 1).due + 1, 4_000)
    foreclose_workout(entered, 1)
    assert read_vault(entered) == before
