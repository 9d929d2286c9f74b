"""Futures of the backstop pool with a rule made wrong on the model, which is asked alone."""

from typing import Any

import pytest

from backstop.model.arithmetic import WAD
from backstop.model.perpetual_liquidity_vault import PerpetualLiquidityVault as Pool
from backstop.proof.properties import (
    CounterfactualSeed,
    PropertyViolationError,
    check_counterfactual_property,
)
from tests.support.market_with_pool import (
    add_members_with_unequal_deposits,
    deploy_pool_market_on_model,
    open_and_seize_long_position,
)
from tests.support.model_only_perpetuals_with_properties import ModelOnlyMarket
from tests.support.perpetual_test_market import ETH

QUESTIONS = 8


@pytest.fixture
def pool():
    """Return a pool at rest with a gain of about 2,000 of its two members."""
    made = open_and_seize_long_position(add_members_with_unequal_deposits(deploy_pool_market_on_model()))
    made.take_unassigned_lots(1_000)
    made.market.mark(ETH, 18 * WAD)
    made.fill_quotes_until_pool_empty("first")
    made.roll_until_gains_are_final()
    return made


def answers(pool):
    """How many of some questions had something to try; raises PropertyViolationError."""
    both: Any = ModelOnlyMarket(pool.market.model)
    return sum(
        check_counterfactual_property(both, CounterfactualSeed(126, seed)) for seed in range(QUESTIONS)
    )


def test_the_right_rules(pool):
    assert answers(pool) == QUESTIONS


def test_nobody_enters_at_work():
    made = open_and_seize_long_position(add_members_with_unequal_deposits(deploy_pool_market_on_model()))
    made.take_unassigned_lots(1)
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
