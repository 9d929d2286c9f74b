"""wake: who has slept ends as who was touched in each cycle, and walks over those with losses only."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.helpers import reverts
from tests.support.perpetuals import DESK, ETH, HOUSE, alone, opened


@pytest.fixture
def years(market):
    """Two shorts, of which one sleeps."""
    prepare(market)
    return market


def prepare(market):
    for name in ("sleeper", "other", "maker"):
        market.deposit(name, 10**5 * WAD)
    for name in ("sleeper", "other"):
        market.trade("maker", name, 500)


def lose(market, number):
    """A long of its own loses more than it has, and is taken over; the price comes back."""
    name = f"thin_{number}"
    market.deposit(name, 250 * WAD)
    market.trade(name, "maker", 100)
    market.mark(ETH, 16 * WAD)
    market.roll()
    market.meet(name)
    market.do(f"{DESK}.take", ETH, 100, sender="maker")
    market.mark(ETH, 20 * WAD)


def test_who_sleeps_ends_as_who_does_not(years):
    for number in range(12):
        if number % 3:
            years.roll()
        else:
            lose(years, number)
        years.do(f"{HOUSE}.wake", years.at("other"), sender="keeper")
    years.roll()
    years.roll()
    assert years.market.clocks[()].lossy == 4
    assert years.equity("sleeper") == years.equity("other") < 10**5 * WAD
    years.check_woken()


def test_one_call_walks_64_cycles():
    """On the model alone, which is quick."""
    years = alone()
    years.refresh()
    prepare(years)
    for number in range(66):
        lose(years, number)
    with reverts("cycle_book: wake it first"):
        years.do(f"{HOUSE}.meet", years.at("sleeper"), sender="keeper")
    years.do(f"{HOUSE}.wake", years.at("sleeper"), sender="stranger")
    assert years.market.accounts[years.at("sleeper")].cycle == 65
    years.do(f"{HOUSE}.wake", years.at("sleeper"), sender="stranger")
    assert years.market.accounts[years.at("sleeper")].cycle == 67


def test_a_bond_that_came_back_counts_for_who_slept_too(new_protocol):
    """A deposit counts as far as the account had as much at the last roll: its bond with it."""
    market = opened(new_protocol, third_bond=WAD)
    for name in ("maker", "sleeper", "other"):
        market.deposit(name, 100 * WAD)
    for name in ("sleeper", "other"):
        for lots in (1, -1):
            market.trade("maker", name, lots)
    for _ in range(3):
        market.roll()
        market.do(f"{HOUSE}.wake", market.at("other"), sender="stranger")
    for name in ("sleeper", "other"):
        market.trade("maker", name, 1)
    deposits = market.market.deposits
    assert deposits[market.at("sleeper")] == deposits[market.at("other")] == 100 * WAD
