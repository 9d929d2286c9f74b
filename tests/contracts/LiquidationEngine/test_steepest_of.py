"""steepest_of: how fast an add-on grows, which redistribution has to leave room for."""

from tests.support.auctions import WETH
from tests.support.policy import NONE
from tests.support.scripted_policy import REVERTS, fail, replace_policy, say


def test_is_the_policys(guarded):
    assert guarded.read("LiquidationEngine.steepest_of", WETH) == 0
    guarded.do("RiskPolicy.set_brackets", WETH, ((0, 300), (1, 200)), NONE, sender="admin")
    assert guarded.read("LiquidationEngine.steepest_of", WETH) == 500


def test_without_one_it_is_nothing(protocol):
    assert protocol.read("LiquidationEngine.steepest_of", WETH) == 0


def test_what_nobody_says_is_the_most_that_it_could_be(guarded):
    replace_policy(guarded)
    say(guarded, add_on_rate=10_001)
    assert guarded.read("LiquidationEngine.steepest_of", WETH) == 10_000
    fail(guarded, REVERTS)
    assert guarded.read("LiquidationEngine.steepest_of", WETH) == 10_000
