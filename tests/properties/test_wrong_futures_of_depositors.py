"""Futures of a depositor with a rule made wrong on the model, which is asked alone.

Each rule is wrong in the results that a caller sees, however the pool works inside.
"""

import pytest

from backstop.contract_base import RevertError, external, view
from backstop.model import loss_waterfall, pool
from backstop.model.arithmetic import RAY
from backstop.proof.properties import (
    CounterfactualSeed,
    PropertyViolationError,
    check_counterfactual_property,
)
from backstop.proof.properties.what_if_steps_and_state_readings import VISITOR
from tests.support.model_without_contracts import use_protocol_and_build_model_alone
from tests.support.saver_steps import DAY

QUESTIONS = 40
RIGHT_ABSORB, RIGHT_CUT, RIGHT_DEPOSIT = pool.Pool.absorb, pool.Pool.cut, pool.Pool.deposit
RIGHT_LOSSES = loss_waterfall.LossWaterfall.losses_at_payment


@pytest.fixture
def alone(protocol):
    return use_protocol_and_build_model_alone(protocol)


def answers(both, number):
    """Return how many of some questions had something to try; raise PropertyViolationError."""
    return sum(
        check_counterfactual_property(both, CounterfactualSeed(number, seed)) for seed in range(QUESTIONS)
    )


def check_wrong_rule(both, number):
    with pytest.raises(PropertyViolationError, match=f"^property {number} is violated: ") as caught:
        answers(both, number)
    assert caught.value.number == number


@external
def absorb_from_newcomers(self, sender, collateral_type, amount):
    """The depositor of the property bears a hundredth of its shares beside its part."""
    found = RIGHT_ABSORB(self, sender, collateral_type, amount)
    if shares := self.held(VISITOR) // 100:
        self._move_tokens(VISITOR, self.world.contracts["Stablecoin"].address, shares)
    return found


@external
def cut_on_the_second_day(self, sender):
    """A batch collects for a day more than it should."""
    if self.world.timestamp < self.get_earliest_cut_time() + DAY:
        raise RevertError("pool: batch collects")
    return RIGHT_CUT(self, sender)


@view
def four_times_the_losses(self, sender, stage):
    """Much more is held back than may be lost."""
    return 4 * RIGHT_LOSSES(self, sender, stage) + 10**6 * RAY


@external
def cut_with_income(self, sender):
    """Leave the unvested income on the leavers' shares to the other members."""
    before = self.assets[()]
    found = RIGHT_CUT(self, sender)
    self.assets[()] = before
    return found


@external
def deposit_with_old_income(self, sender, assets, receiver):
    """Give a depositor a part of earlier vested income: a thousandth of the deposit."""
    shares = RIGHT_DEPOSIT(self, sender, assets, receiver)
    held = self.assets[()]
    self.assets[()] = held._replace(booked=held.booked + assets // 1_000)
    return shares


WRONG = [
    (170, pool.Pool, "absorb", absorb_from_newcomers),
    (171, pool.Pool, "cut", cut_on_the_second_day),
    (171, loss_waterfall.LossWaterfall, "losses_at_payment", four_times_the_losses),
    (172, pool.Pool, "cut", cut_with_income),
    (172, pool.Pool, "deposit", deposit_with_old_income),
]


@pytest.mark.parametrize(("number", "owner", "name", "wrong"), WRONG)
def test_wrong_rule_is_found(alone, monkeypatch, number, owner, name, wrong):
    monkeypatch.setattr(owner, name, wrong)
    check_wrong_rule(alone, number)
