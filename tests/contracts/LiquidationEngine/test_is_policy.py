"""is_policy: the answers a contract must give before it may be the risk policy."""

from tests.support.auction_steps import WETH
from tests.support.scripted_policy_replacement import (
    EATS,
    REVERTS,
    put_scripted_policy_in_force,
    set_policy_failure,
)


def test_the_one_in_force_is(guarded):
    assert guarded.read("LiquidationEngine.is_policy", "RiskPolicy")


def test_others_are_not(guarded):
    for other in ("VaultEngine", "PriceFeed", "LiquidationEngine", "stranger"):
        assert not guarded.read("LiquidationEngine.is_policy", other)


def test_one_that_fails_is_not_and_keeps_nobody_out(guarded):
    """Its own mode is asked for, to compare; where it does not say, the new one's counts."""
    put_scripted_policy_in_force(guarded)
    for how in (REVERTS, EATS):
        set_policy_failure(guarded, how)
        assert not guarded.read("LiquidationEngine.is_policy", "ScriptedPolicy")
        assert guarded.read("LiquidationEngine.is_policy", "RiskPolicy")
    assert guarded.read("LiquidationEngine.max_marginal_add_on_of", WETH) == 10_000
