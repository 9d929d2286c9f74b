"""Random histories of two markets on the model alone: whatever anybody does, the books balance to the wei."""

from __future__ import annotations

import random

import pytest

from backstop.model.arithmetic import WAD
from tests.support.deep import mark_long_cases
from tests.support.perpetual_steps import NAMES, take_random_step
from tests.support.perpetuals import HOUSE, Perpetuals, deploy_on_model


def history(seed: int, in_time: bool, steps: int = 90, wakes: bool = False) -> Perpetuals:
    """Play one, and let everything become final; a stranger may wake everybody after each step."""
    dice = random.Random(seed)
    market = deploy_on_model(third_bond=dice.choice((0, WAD)), taker_fee=dice.choice((0, 5)))
    if dice.random() < 0.5:
        market.do("MarginFund.insure", dice.randint(1, 10**4) * WAD, sender="rich")
    market.refresh()
    for name in NAMES:
        market.deposit(name, dice.randint(10**2, 10**4) * WAD)
    for number in range(steps):
        market.refresh()
        take_random_step(market, dice, in_time)
        market.check()
        if wakes:
            market.wake_all()
        if number % 5 == 0:
            market.check_woken()
    market.finish()
    market.check_woken()
    return market


@pytest.mark.parametrize(
    "seed",
    mark_long_cases(
        range(120), range(6, 120), "tests/contracts/PerpetualMarket/test_histories.py::test_books_balance"
    ),
)
def test_books_balance(seed):
    market = history(seed, in_time=seed % 2 == 0)
    # Rounding leaves at most a wei for each account, side and cycle, and one for each lot and mark.
    most = 4 * len(market.owners()) * market.market.clocks[()].cycle
    assert 0 <= market.market.pot[()].value <= most + 10**6


@pytest.mark.parametrize(
    "seed",
    mark_long_cases(
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
    more = [awake.equity(name) - asleep.equity(name) for name in [*asleep.owners(), HOUSE]]
    # A wei for each side and market of a cycle.
    assert 0 <= min(more) <= max(more) <= 4 * asleep.market.clocks[()].cycle
