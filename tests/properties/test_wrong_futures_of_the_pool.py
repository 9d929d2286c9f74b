"""Futures of the backstop pool with a rule made wrong on the model, which is asked alone."""

from typing import Any

import pytest

from backstop.model.arithmetic import WAD
from backstop.model.perpetual_liquidity_vault import PerpetualLiquidityVault as Pool
from backstop.proof.properties import CounterfactualSeed, PropertyViolationError, check_counterfactual
from tests.support.market_with_pool import deposit_two_members, on_the_model, seize_long
from tests.support.perpetuals import ETH
from tests.support.perpetuals_with_properties import ModelOnlyMarket

QUESTIONS = 8


@pytest.fixture
def pool():
    """Two members who have gained 2,000 and something, at rest."""
    made = seize_long(deposit_two_members(on_the_model()))
    made.take(1_000)
    made.market.mark(ETH, 18 * WAD)
    made.close("first")
    made.settle_down()
    return made


def answers(pool):
    """How many of some questions had something to try; raises PropertyViolationError."""
    both: Any = ModelOnlyMarket(pool.market.model)
    return sum(check_counterfactual(both, CounterfactualSeed(126, seed)) for seed in range(QUESTIONS))


def test_the_right_rules(pool):
    assert answers(pool) == QUESTIONS


def test_nobody_enters_at_work():
    made = seize_long(deposit_two_members(on_the_model()))
    made.take(1)
    assert answers(made) == 0


def test_shares_of_who_has_left_count(pool, monkeypatch):
    """The second finds a price that is too low."""
    monkeypatch.setattr(Pool, "_burn_shares", lambda self, owner, amount: None)
    with pytest.raises(PropertyViolationError, match=r"^property 126 .* two who entered alike left with"):
        answers(pool)


@pytest.mark.parametrize("part", [999, 1_001])
def test_a_thousandth_is_made_or_lost_by_entering(pool, monkeypatch, part):
    right = Pool._entry_terms

    def terms(self):
        supply, held, steps = right(self)
        return supply * part // 1_000, held, steps

    monkeypatch.setattr(Pool, "_entry_terms", terms)
    with pytest.raises(PropertyViolationError, match=r"^property 126 .* who brought .* left with"):
        answers(pool)
