"""position_of: the amounts at risk in a workout, found by its id in the auctions too."""

import pytest

from backstop.model.arithmetic import RAY
from tests.support.auction_steps import NOBODY, WETH
from tests.support.workout_steps import (
    DEBT,
    LOT,
    OWED,
    foreclose_workout,
    give_borrowed_stablecoin,
    pay_workout,
    start_workout,
)


@pytest.mark.parametrize("contract", ["Workouts", "CollateralAuction"])
def test_an_open_workout(workouts, contract):
    start_workout(workouts)
    give_borrowed_stablecoin(workouts, "borrower", OWED)
    borrower = workouts.address("borrower")
    assert workouts.read(f"{contract}.position_of", 1) == (WETH, borrower, LOT, DEBT * RAY)
    pay_workout(workouts, 1, DEBT // 2)
    assert workouts.read(f"{contract}.position_of", 1) == (WETH, borrower, LOT, DEBT // 2 * RAY)


@pytest.mark.parametrize("contract", ["Workouts", "CollateralAuction"])
def test_nothing_without_one(workouts, contract):
    assert workouts.read(f"{contract}.position_of", 1) == (0, NOBODY, 0, 0)


def test_it_is_the_auctions_once_foreclosed(workouts):
    start_workout(workouts)
    workouts.post_price("WETH", 1_000 * RAY)
    foreclose_workout(workouts, 1)
    assert workouts.read("Workouts.position_of", 1) == (0, NOBODY, 0, 0)
    assert workouts.read("CollateralAuction.position_of", 1)[2:] == (LOT, DEBT * RAY)
