"""The alarm *books*: accounts add up, nothing is told of the rules as they are, and a wrong one is."""

from collections import Counter

import pytest

from backstop.hosts.artifacts import Artifacts
from backstop.model.arithmetic import RAD, RAY, WAD, div_up
from backstop.model.perpetual_desk import PerpetualDesk
from backstop.model.perpetual_market import PerpetualMarket
from backstop.model.pool import Pool
from backstop.model.state import external
from backstop.studies.hunt import game
from backstop.studies.hunt.books import Prices
from backstop.studies.hunt.game import FOCUSES, LEAST, Game, Run
from backstop.studies.hunt.story import replay_steps

BRIEF = "tests/backstop/studies/hunt/test_books.py::test_buyers_who_sell_are_told"

PLAYED = 4, 6, 8
"""Seeds of games about a margin market."""


def played(focus, steps, seed=0):
    """A game after so many steps, and what it tells."""
    one = Game(Run(seed, focus))
    return one, list(one.play(steps))


@pytest.mark.parametrize("focus", FOCUSES)
def test_all_accounts_together_have_what_there_is(focus):
    """Coins are debts of vaults, so all there is are tokens."""
    one, told = played(focus, 40)
    assert told == []
    contracts = one.contracts
    prices = Prices(one.system.world, len(one.books.symbols))
    sheet = one.questions.count(prices)
    tokens = sum(
        amount * contracts["VaultEngine"].terms[c].unit * prices.types[c]
        for c, symbol in enumerate(one.books.symbols)
        for amount in contracts[symbol].balances.values()
    )
    if "Equity" in contracts:
        tokens += sum(contracts["Equity"].balances.values()) * prices.equity
    # What rates round to, for each vault and account.
    assert abs(sum(sheet.values()) - tokens) < 100 * RAD


def test_each_room_is_entered():
    """A run that is about something comes to it."""
    found: Counter[str] = Counter()
    for focus in ("margin", "savings", "losses"):
        one, _ = played(focus, 120, 2)
        found.update(one.kind_of(each) for each in one.done if not isinstance(each, int))
    for call in ("MarginOrders.fill", "Pool.requestRedeem", "LiquidationEngine.liquidate"):
        assert found[call]


def test_income_that_nobody_brings_is_told(monkeypatch):
    def add_income(self, sender, assets):
        held = self.assets[()]
        self.assets[()] = held._replace(booked=held.booked + assets)

    vars(add_income).update(vars(Pool.add_income))
    monkeypatch.setattr(Pool, "add_income", add_income)
    told = (each for seed in range(12) for each in played("savings", 120, seed)[1])
    assert any(each.kind == "Pool.add_income: it owes more than it has" for each in told)


def test_buyers_who_sell_are_told(monkeypatch):
    right = PerpetualDesk.trade

    def trade(self, sender, market, maker, taker, delta, *others):
        return right(self, sender, market, maker, taker, -delta, *others)

    vars(trade).update(vars(right))
    monkeypatch.setattr(PerpetualDesk, "trade", trade)
    told = (each for seed in range(12) for each in played("margin", 60, seed)[1])
    assert any(each.kind == "off the price list: a fill is not what was signed" for each in told)


def test_a_game_happens_on_the_contracts_too():
    """Model and contracts agree on all that is played."""
    one, _ = played("savings", 60)
    assert replay_steps(one.setting, one.done, "revm", Artifacts()) > 60


def test_equal_seeds_find_alike():
    assert game.hunt(5, 4, ("savings",)) == game.hunt(5, 4, ("savings",)) == []


def test_rounding_is_no_story():
    one = Game(Run(0, "savings"))
    prices = Prices(one.system.world, len(one.books.symbols))
    assert one.least(prices) > LEAST * RAY and div_up(LEAST, WAD) == 100


@pytest.mark.deep(brief=BRIEF)
def test_who_is_woken_pays_in_a_margin_market(monkeypatch):
    """A stranger's call hands him what another has."""
    right = PerpetualMarket.wake

    @external
    def wake(self, sender, owner):
        right(self, sender, owner)
        self._update_account(sender)
        amount = max(0, self.accounts[owner].cash) // 2
        self._credit(owner, -amount)
        self._credit(sender, amount)

    monkeypatch.setattr(PerpetualMarket, "wake", wake)
    told = [each.kind for seed in PLAYED for each in played("margin", 150, seed)[1]]
    assert "PerpetualMarket.wake: named loses" in told


@pytest.mark.deep(brief=BRIEF)
def test_nothing_is_told_of_a_margin_market():
    done: Counter[str] = Counter()
    for seed in PLAYED:
        one, told = played("margin", 150, seed)
        assert told == []
        done.update(one.kind_of(each) for each in one.done if not isinstance(each, int))
    calls = ("deposit", "withdraw", "meet", "roll")
    assert done["MarginOrders.fill"] and all(done[f"PerpetualMarket.{call}"] for call in calls)
