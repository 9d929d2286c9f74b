"""Random histories of perpetual markets: any action that an account may take."""

from __future__ import annotations

import random

from backstop.model.arithmetic import WAD
from tests.support.perpetual_test_market import BTC, ETH, HOUSE, TRADING, Perpetuals

NAMES = [f"trader_{index}" for index in range(10)]
MARKETS = (ETH, BTC)


def take_random_step(market: Perpetuals, dice: random.Random, in_time: bool) -> None:
    """Take a random action that any account may take."""
    kind = dice.random()
    if kind < 0.35:
        number = dice.choice(MARKETS)
        leaps = dice.random() < 0.12
        change = dice.choice((-1, 1)) * (dice.randint(500, 4_000) if leaps else dice.randint(0, 80))
        market.mark(number, max(WAD // 10**3, market.price(number) * (10_000 + change) // 10_000))
    elif kind < 0.72:
        trade_within_band(market, dice)
    elif kind < 0.80:
        market.seize_insolvent(dice.choice([*NAMES, HOUSE]))
    elif kind < 0.83:
        market.apply_call_and_report_success(
            f"{HOUSE}.withdraw",
            dice.randint(1, 1_000) * WAD,
            market.get_contract_or_account_address("away"),
            sender=dice.choice(NAMES),
        )
    elif kind < 0.86:
        market.deposit(dice.choice(NAMES), dice.randint(1, 500) * WAD)
    elif kind < 0.90:
        market.apply_call_and_report_success(
            f"{TRADING}.take", dice.choice(MARKETS), dice.randint(1, 50), sender=dice.choice(NAMES)
        )
    elif kind < 0.94:
        owner, number = market.get_contract_or_account_address(dice.choice(NAMES)), dice.choice(MARKETS)
        lots = abs(market.market.positions[owner, number].size)
        args = (owner, number, dice.randint(1, max(1, lots)))
        market.apply_call_and_report_success(f"{TRADING}.liquidate", *args, sender=dice.choice(NAMES))
    else:
        if in_time:
            market.seize_repeatedly_and_count_rounds()
        market.advance_cycle()


def trade_within_band(market: Perpetuals, dice: random.Random) -> None:
    """Two accounts trade in the band, with as much leverage as one of them has or too much."""
    maker, taker = dice.sample(NAMES, 2)
    number = dice.choice(MARKETS)
    price = market.price(number)
    least = min(market.equity(maker), market.equity(taker))
    lots = dice.randint(1, max(1, least * 11 // price))
    at = price + price * dice.randint(-50, 50) // 10_000
    market.trades(maker, taker, lots, number, at)
