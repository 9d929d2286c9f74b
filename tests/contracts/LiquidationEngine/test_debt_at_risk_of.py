"""debt_at_risk_of: debt that may be lost and is not booked: under auction, in doubtful workouts, flagged."""

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.auction_steps import WETH, liquidate_vault
from tests.support.workout_steps import (
    DEBT,
    FORECLOSED,
    deploy_with_workouts,
    foreclose_workout,
    give_borrowed_stablecoin,
    pay_workout,
    start_workout,
)

XAU = 2


@pytest.fixture
def workouts(new_protocol):
    return deploy_with_workouts(new_protocol)


def doubt(protocol, c=WETH):
    return protocol.read("LiquidationEngine.debt_at_risk_of", c)


def test_nothing_while_nothing_is_sold_or_flagged(protocol):
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    assert doubt(protocol) == 0


def test_all_that_is_under_auction_until_it_is_repaid_or_written_off(protocol):
    protocol.borrow("borrower", "XAU", 8 * WAD, 10_000 * WAD)
    protocol.post_price("XAU", 1_000 * RAY)
    auction = liquidate_vault(protocol, "borrower", XAU)
    assert doubt(protocol, XAU) == protocol.read("VaultEngine.in_auction_of", XAU) >= 10_000 * RAD
    protocol.give_stablecoin("taker", 30_000 * WAD)
    protocol.do("CollateralAuction.take", auction, 8 * WAD, 2**255, "taker", b"", sender="taker")
    left = protocol.read("VaultEngine.in_auction_of", XAU)
    assert doubt(protocol, XAU) == left > 0
    protocol.do("CollateralAuction.close", auction, sender="stranger")
    assert doubt(protocol, XAU) == 0
    # It is booked now, and counts as that.
    deficit = protocol.read("VaultEngine.deficit_of", XAU)
    assert protocol.read("LossWaterfall.debt_at_risk_total") == deficit >= left


def test_a_sound_workout_is_none(workouts):
    start_workout(workouts)
    assert workouts.read("VaultEngine.in_auction_of", WETH) == DEBT * RAY
    assert workouts.read("Workouts.unflagged_principal_of", WETH) == DEBT * RAY
    assert doubt(workouts) == 0


def test_one_that_was_foreclosed_is(workouts):
    start_workout(workouts)
    workouts.post_price("WETH", (FORECLOSED - 1) * RAY)
    foreclose_workout(workouts, 1)
    assert workouts.read("Workouts.unflagged_principal_of", WETH) == 0
    assert doubt(workouts) == DEBT * RAY


def test_one_that_is_flagged_is_for_what_is_left(workouts):
    start_workout(workouts)
    workouts.post_price("WETH", (FORECLOSED - 1) * RAY)
    workouts.do("Workouts.flag", 1, sender="stranger")
    assert doubt(workouts) == DEBT * RAY
    give_borrowed_stablecoin(workouts, "borrower", DEBT)
    pay_workout(workouts, 1, DEBT // 2)
    assert doubt(workouts) == DEBT * RAY // 2
