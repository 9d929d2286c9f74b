"""The path alone decides which accounts absorb a loss: neither later actions nor booking order matter."""

from __future__ import annotations

import random

import pytest

from backstop.model.arithmetic import WAD
from tests.support.long_test_marks import build_pytest_params_with_deep_marks
from tests.support.margin_order_steps import build_perpetual_market_terms
from tests.support.perpetual_test_market import BTC, ETH, Perpetuals, deploy_perpetuals_on_model

RICH = 10**5 * WAD
FAMILY = ("dodger", "second_self", "third_self")


def crowd(dice: random.Random) -> tuple[Perpetuals, list[str]]:
    """Fourteen accounts, in two markets, at high leverage; then both prices leap."""
    market = deploy_perpetuals_on_model()
    market.report_current_prices_again()
    names = [f"trader_{index}" for index in range(14)]
    for name in names:
        market.deposit(name, dice.randint(10, 10**4) * WAD)
    for _ in range(60):
        maker, taker = dice.sample(names, 2)
        number = dice.choice((ETH, BTC))
        least = min(market.equity(maker), market.equity(taker))
        lots = dice.randint(1, max(1, least * 9 // market.price(number)))
        market.trades(maker, taker, lots, number)
        if dice.random() < 0.2:
            market.mark(number, market.price(number) * (10_000 + dice.randint(-60, 60)) // 10_000)
    for number in (ETH, BTC):
        leap = dice.choice((-1, 1)) * dice.randint(800, 3_500)
        market.mark(number, market.price(number) * (10_000 + leap) // 10_000)
    return market, names


@pytest.mark.parametrize(
    "seed",
    build_pytest_params_with_deep_marks(
        range(60),
        range(4, 60),
        "tests/contracts/PerpetualMarket/test_who_bears.py::test_the_order_of_bookings_changes_nobody",
    ),
)
def test_the_order_of_bookings_changes_nobody(seed):
    market, names = crowd(random.Random(seed))
    market.advance_cycle()
    ends = []
    for order in range(4):
        with market.model.fork_state():
            mixed = [*market.list_accounts_ever_opened()]
            random.Random(order).shuffle(mixed)
            market.seize_repeatedly_and_count_rounds(mixed)
            market.advance_cycle()
            market.advance_cycle()
            ends.append([market.equity(name) for name in names])
    assert all(end == ends[0] for end in ends)


def story(seed: int, dodges: bool) -> tuple[int, int, int]:
    """Return an ADL evader's and a holder's final balance and their equal gain, where others cannot pay."""
    dice, later = random.Random(seed), random.Random(seed + 1)
    market = deploy_perpetuals_on_model()
    for each in (ETH, BTC):
        market.do("MarginPolicy.set_terms", each, build_perpetual_market_terms(max_funding=0), sender="admin")
    market.report_current_prices_again()
    for name in (*FAMILY, "holder", "other", "another"):
        market.deposit(name, RICH)
    thin = [f"thin_{index}" for index in range(dice.randint(1, 6))]
    side, number, lots = dice.choice((-1, 1)), dice.choice((ETH, BTC)), dice.randint(50, 300)
    price = market.price(number)
    for name in thin:
        market.deposit(name, price * dice.randint(12, 60) // 10 * 10)
    for name in ("dodger", "holder"):
        market.trade(name, "other", side * lots, number)
    for name in thin:
        market.trade("another", name, side * (market.equity(name) * 9 // price), number)
    for _ in range(dice.randint(0, 4)):
        market.mark(number, market.price(number) * (10_000 + dice.randint(-60, 60)) // 10_000)
        if dice.random() < 0.4:
            market.advance_cycle()
    market.mark(number, market.price(number) * (10_000 + side * dice.randint(1_500, 5_000)) // 10_000)

    def acts() -> None:
        for _ in range(later.randint(0, 4)):
            maker, taker = later.sample(FAMILY, 2)
            kind, some = later.random(), later.randint(1, lots)
            off = market.price(number) + later.randint(-40, 40) * market.price(number) // 10_000
            if not dodges:
                continue
            if kind < 0.5:
                market.trades(maker, taker, some * later.choice((-1, 1)), number, off)
            elif kind < 0.8:
                market.trades("dodger", "other", -side * some, number)
            else:
                market.trades("second_self", "another", side * some, number)

    # The price stands still from here on.
    for what in ("seize_insolvent", "advance_cycle", "seize_insolvent", "", ""):
        if what == "seize_insolvent":
            for name in thin:
                if later.random() < 0.6:
                    market.seize_insolvent(name)
        if what == "advance_cycle":
            market.seize_repeatedly_and_count_rounds()
            market.advance_cycle()
        acts()
    market.seize_and_roll_until_final()
    market.check_books_after_touching_all()
    family = sum(market.equity(name) for name in FAMILY)
    return family - 2 * RICH, market.equity("holder"), side * lots * (market.price(number) - price)


@pytest.mark.parametrize(
    "seed",
    build_pytest_params_with_deep_marks(
        range(400),
        range(8, 400),
        "tests/contracts/PerpetualMarket/test_who_bears.py::test_a_dodger_and_a_holder_end_alike",
    ),
)
def test_a_dodger_and_a_holder_end_alike(seed):
    """To a wei for each account, side and cycle; they absorb much of their gains."""
    dodger, holder, gained = story(seed, dodges=True)
    assert abs(dodger - holder) <= 4
    assert holder - RICH < gained


def test_the_haircuts_are_worth_dodging():
    """Were they small, that both end alike would say little."""
    found = [story(seed, dodges=False) for seed in range(8)]
    assert all(dodger == holder for dodger, holder, _ in found)
    assert sum(holder - RICH for _, holder, _ in found) < 8 * sum(gained for _, _, gained in found) // 10
