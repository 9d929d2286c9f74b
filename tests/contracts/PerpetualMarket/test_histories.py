"""Random histories of two markets on the model alone: after any action the books balance to the wei."""

from __future__ import annotations

import random

import pytest

from backstop.model.arithmetic import WAD
from tests.support.long_test_marks import build_pytest_params_with_deep_marks
from tests.support.perpetual_test_market import HOUSE, Perpetuals, deploy_perpetuals_on_model
from tests.support.random_perpetual_steps import NAMES, take_random_step


def history(seed: int, in_time: bool, steps: int = 90, wakes: bool = False) -> Perpetuals:
    """Play one history, and let everything become final.

    A stranger may update all accounts after each step.
    """
    dice = random.Random(seed)
    market = deploy_perpetuals_on_model(third_bond=dice.choice((0, WAD)), taker_fee=dice.choice((0, 5)))
    if dice.random() < 0.5:
        market.do("MarginFund.insure", dice.randint(1, 10**4) * WAD, sender="rich")
    market.report_current_prices_again()
    for name in NAMES:
        market.deposit(name, dice.randint(10**2, 10**4) * WAD)
    for number in range(steps):
        market.report_current_prices_again()
        take_random_step(market, dice, in_time)
        market.check_market_books()
        if wakes:
            market.wake_all()
        if number % 5 == 0:
            market.check_books_after_touching_all()
    market.seize_and_roll_until_final()
    market.check_books_after_touching_all()
    return market


@pytest.mark.parametrize(
    "seed",
    build_pytest_params_with_deep_marks(
        range(120), range(6, 120), "tests/contracts/PerpetualMarket/test_histories.py::test_books_balance"
    ),
)
def test_books_balance(seed):
    market = history(seed, in_time=seed % 2 == 0)
    # Rounding leaves at most a wei for each account, side and cycle, and one for each lot and mark.
    most = 4 * len(market.list_accounts_ever_opened()) * market.market.clocks[()].cycle
    assert 0 <= market.market.pot[()].value <= most + 10**6


@pytest.mark.parametrize(
    "seed",
    build_pytest_params_with_deep_marks(
        range(60),
        range(4, 60),
        "tests/contracts/PerpetualMarket/test_histories.py::test_waking_changes_nothing",
    ),
)
def test_waking_changes_nothing(seed):
    """An account ends with the same whenever it is touched, but for haircuts that are rounded up.

    A lot bears a multiple of 1/2^21 wei, rounded up in each cycle, and a sleeper's lots bear whole wei.
    """
    asleep, awake = (history(seed, in_time=seed % 2 == 0, wakes=wakes) for wakes in (False, True))
    more = [awake.equity(name) - asleep.equity(name) for name in [*asleep.list_accounts_ever_opened(), HOUSE]]
    # A wei for each side and market of a cycle.
    assert 0 <= min(more) <= max(more) <= 4 * asleep.market.clocks[()].cycle
