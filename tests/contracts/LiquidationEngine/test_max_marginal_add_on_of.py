"""max_marginal_add_on_of: how fast an add-on grows, which redistribution has to leave room for."""

from tests.support.auction_steps import WETH
from tests.support.scripted_policy_replacement import (
    REVERTS,
    put_scripted_policy_in_force,
    set_policy_answers,
    set_policy_failure,
)
from tests.support.vault_size_margin_and_call_steps import NONE


def test_is_the_policys(guarded):
    assert guarded.read("LiquidationEngine.max_marginal_add_on_of", WETH) == 0
    guarded.do("RiskPolicy.set_brackets", WETH, ((0, 300), (1, 200)), NONE, sender="admin")
    assert guarded.read("LiquidationEngine.max_marginal_add_on_of", WETH) == 500


def test_without_one_it_is_nothing(protocol):
    assert protocol.read("LiquidationEngine.max_marginal_add_on_of", WETH) == 0


def test_what_nobody_says_is_the_most_that_it_could_be(guarded):
    put_scripted_policy_in_force(guarded)
    set_policy_answers(guarded, add_on_rate=10_001)
    assert guarded.read("LiquidationEngine.max_marginal_add_on_of", WETH) == 10_000
    set_policy_failure(guarded, REVERTS)
    assert guarded.read("LiquidationEngine.max_marginal_add_on_of", WETH) == 10_000
