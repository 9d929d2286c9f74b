"""Futures of the margin market with a rule made wrong on the model, which is asked alone."""

import pytest

from backstop.contract_base import RevertError, external
from backstop.deployment.devnet_trader_signatures import get_trader_account
from backstop.model.arithmetic import WAD
from backstop.model.cycle_book import CycleBook
from backstop.model.cycle_losses import CycleLosses
from backstop.model.interfaces import SideTotals
from backstop.model.perpetual_market import PerpetualMarket
from backstop.proof.properties import (
    CounterfactualSeed,
    PropertyViolationError,
    check_counterfactual_property,
)
from tests.support.model_only_perpetuals_with_properties import open_unwatched_crowd_on_model

QUESTIONS = 24


@pytest.fixture
def both():
    """A market with three traders, one of them about to fail."""
    return open_unwatched_crowd_on_model(third_bond=WAD, taker_fee=15, maker_fee=2)


def answers(both, number, questions=QUESTIONS):
    """How many of some questions had something to try; raises PropertyViolationError."""
    return sum(
        check_counterfactual_property(both, CounterfactualSeed(number, seed)) for seed in range(questions)
    )


def test_a_gain_that_is_traded_away(both, monkeypatch):
    """A position's past gain goes with the position."""
    right = CycleBook._trade_lots

    def move(self, owner, market, delta, at):
        right(self, owner, market, delta, at)
        if self.positions[owner, market].size == 0:
            self.gained[owner, market, self.accounts[owner].cycle % 2] = SideTotals()

    monkeypatch.setattr(CycleBook, "_trade_lots", move)
    with pytest.raises(PropertyViolationError, match=r"^property 97 .* the one that fidgets gains "):
        answers(both, 97)


def test_who_closes_bears_more(both, monkeypatch):
    """A haircut grows with the markets in which an account has no lots any more."""
    right = CycleBook._compute_market_haircut

    def haircut_in(self, owner, market):
        found = right(self, owner, market)
        return found if self.positions[owner, market].size else found * 11 // 10

    monkeypatch.setattr(CycleBook, "_compute_market_haircut", haircut_in)
    with pytest.raises(PropertyViolationError, match=r"^property 97 .* the one that fidgets gains "):
        answers(both, 97)


def test_who_is_booked_first_is_booked_whole(both, monkeypatch):
    """An account's shortfall by others' losses is not booked again."""
    right = CycleLosses._book_pending_cycle_shortfall

    def book(self, owner, finder):
        return not any(self.pendings[owner, m].booked for m in range(2)) and right(self, owner, finder)

    monkeypatch.setattr(CycleLosses, "_book_pending_cycle_shortfall", book)
    with pytest.raises(PropertyViolationError, match=r"^property 98 .* in two orders of bookings "):
        answers(both, 98, questions=150)


def test_somebody_is_paid_in_whole(both, monkeypatch):
    """As if nothing were late."""
    right = PerpetualMarket.withdraw

    @external
    def withdraw(self, sender, amount, receiver):
        late = self.late_table[()]
        if sender == get_trader_account("twin"):
            self.late_table[()] = 0
        paid = right(self, sender, amount, receiver)
        self.late_table[()] = late
        return paid

    monkeypatch.setattr(PerpetualMarket, "withdraw", withdraw)
    with pytest.raises(PropertyViolationError, match=r"^property 99 .* two with the same got "):
        answers(both, 99)


def test_a_roll_that_asks_for_marks_of_now(both, monkeypatch):
    right = PerpetualMarket.advance_cycle

    @external
    def roll(self, sender):
        if not self.policy.mark_price(self.address, 0, self.mark_age).price:
            raise RevertError("perpetuals: no price of now")
        right(self, sender)

    monkeypatch.setattr(PerpetualMarket, "advance_cycle", roll)
    with pytest.raises(PropertyViolationError, match=r"^property 100 .*perpetuals: no price of now"):
        answers(both, 100)


def test_bookings_that_pay_by_what_they_add(both, monkeypatch):
    """Each pays up to the time-based limit, as if the account had not paid for one before."""
    right = CycleLosses._book_pending_cycle_shortfall

    def book(self, owner, finder):
        self.accounts[owner] = self.accounts[owner]._replace(paid=0)
        return right(self, owner, finder)

    monkeypatch.setattr(CycleLosses, "_book_pending_cycle_shortfall", book)
    with pytest.raises(PropertyViolationError, match=r"^property 98 .* in two orders of bookings "):
        answers(both, 98, questions=150)
