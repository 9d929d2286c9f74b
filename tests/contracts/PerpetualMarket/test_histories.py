"""Random histories of two markets on the model alone: whatever anybody does, the books balance to the wei."""

from __future__ import annotations

import random

import pytest

from backstop.model.arithmetic import WAD
from tests.support.deep import cases
from tests.support.perpetuals import BTC, DESK, ETH, HOUSE, Perpetuals, alone

NAMES = [f"trader_{index}" for index in range(10)]
MARKETS = (ETH, BTC)


def step(market: Perpetuals, dice: random.Random, in_time: bool) -> None:
    """Something that anybody may do."""
    kind = dice.random()
    if kind < 0.35:
        number = dice.choice(MARKETS)
        leaps = dice.random() < 0.12
        change = dice.choice((-1, 1)) * (dice.randint(500, 4_000) if leaps else dice.randint(0, 80))
        market.mark(number, max(WAD // 10**3, market.price(number) * (10_000 + change) // 10_000))
    elif kind < 0.72:
        trade(market, dice)
    elif kind < 0.80:
        market.meet(dice.choice([*NAMES, HOUSE]))
    elif kind < 0.83:
        market.tries(
            f"{HOUSE}.withdraw", dice.randint(1, 1_000) * WAD, market.at("away"), sender=dice.choice(NAMES)
        )
    elif kind < 0.86:
        market.deposit(dice.choice(NAMES), dice.randint(1, 500) * WAD)
    elif kind < 0.90:
        market.tries(f"{DESK}.take", dice.choice(MARKETS), dice.randint(1, 50), sender=dice.choice(NAMES))
    elif kind < 0.94:
        owner, number = market.at(dice.choice(NAMES)), dice.choice(MARKETS)
        lots = abs(market.market.positions[owner, number].size)
        args = (owner, number, dice.randint(1, max(1, lots)))
        market.tries(f"{DESK}.liquidate", *args, sender=dice.choice(NAMES))
    else:
        if in_time:
            market.meet_all()
        market.roll()


def trade(market: Perpetuals, dice: random.Random) -> None:
    """Two accounts trade in the band, with as much leverage as one of them has or too much."""
    maker, taker = dice.sample(NAMES, 2)
    number = dice.choice(MARKETS)
    price = market.price(number)
    least = min(market.equity(maker), market.equity(taker))
    lots = dice.randint(1, max(1, least * 11 // price))
    at = price + price * dice.randint(-50, 50) // 10_000
    market.trades(maker, taker, lots, number, at)


def history(seed: int, in_time: bool, steps: int = 90) -> Perpetuals:
    """Play one, and let everything become final."""
    dice = random.Random(seed)
    market = alone(half_bond=dice.choice((0, WAD)), taker_fee=dice.choice((0, 5)))
    if dice.random() < 0.5:
        market.do("PerpetualFund.insure", dice.randint(1, 10**4) * WAD, sender="rich")
    market.refresh()
    for name in NAMES:
        market.deposit(name, dice.randint(10**2, 10**4) * WAD)
    for number in range(steps):
        market.refresh()
        step(market, dice, in_time)
        market.check()
        if number % 5 == 0:
            market.check_woken()
    market.finish()
    market.check_woken()
    return market


@pytest.mark.parametrize(
    "seed",
    cases(range(120), range(6, 120), "tests/contracts/PerpetualMarket/test_histories.py::test_books_balance"),
)
def test_books_balance(seed):
    market = history(seed, in_time=seed % 2 == 0)
    # Rounding leaves at most a wei for each account, side and cycle.
    assert 0 <= market.market.pot[()].value <= 4 * len(market.owners()) * market.market.clocks[()].cycle
