"""Futures of the margin market with a rule made wrong on the model, which is asked alone."""

from contextlib import contextmanager

import pytest

from backstop.model import margin_policy
from backstop.model.arithmetic import WAD
from backstop.model.margin_book import MarginBook
from backstop.proof.properties import Question, Violation, ask
from tests.support.margin import fill, opened, stage

QUESTIONS = 12


@pytest.fixture
def alone(new_protocol, monkeypatch):
    """A margin market with somebody in it, on the model alone."""
    made = opened(new_protocol)
    stage(made, maker=3_000, taker=20_000)
    fill(made, "maker", "taker", 900)
    made.do("MarginFund.insure", WAD, sender="rich")
    both = made.lockstep

    @contextmanager
    def imagine():
        with both.model.imagine():
            yield both

    for name in ("apply", "view", "advance"):
        monkeypatch.setattr(both, name, getattr(both.model, name))
    monkeypatch.setattr(both, "imagine", imagine)
    return both


def answers(both, number):
    """How many of some questions had something to try; raises Violation."""
    return sum(ask(both, Question(number, seed)) for seed in range(QUESTIONS))


def test_each_part_rewarded(alone, monkeypatch):
    """Three wei for each liquidation."""
    right = margin_policy._reward
    monkeypatch.setattr(margin_policy, "_reward", lambda *args: right(*args) + 3)
    with pytest.raises(Violation, match=r"^property 67 .* taken over in "):
        answers(alone, 67)


def test_each_part_of_a_trade_paid(alone, monkeypatch):
    right = MarginBook._trade

    def trade(self, owner, market, delta, at):
        self._credit(owner, 3)
        return right(self, owner, market, delta, at)

    monkeypatch.setattr(MarginBook, "_trade", trade)
    with pytest.raises(Violation, match=r"^property 67 .* traded in "):
        answers(alone, 67)


def test_who_comes_first_gets_more(alone, monkeypatch):
    """A reward falls with what the market has taken in fees."""
    fees, right = alone.model.world.contracts["MarginMarket"].fee_table, margin_policy._reward
    monkeypatch.setattr(margin_policy, "_reward", lambda *args: right(*args) * (2 if fees[()] else 3) // 3)
    with pytest.raises(Violation, match=r"^property 68 .* in the other order "):
        answers(alone, 68)
