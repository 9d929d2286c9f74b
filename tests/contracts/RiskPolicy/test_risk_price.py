"""risk_price: the price for new risk: the feed's, under the cap on its growth."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.auction_steps import WETH, liquidate_vault
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.vault_size_margin_and_call_steps import YEAR


def test_is_the_lower_of_the_feeds_two(guarded):
    assert guarded.read("RiskPolicy.risk_price", WETH) == 2_000 * RAY
    guarded.post_next("WETH", 1_700 * RAY)
    assert guarded.read("RiskPolicy.risk_price", WETH) == 1_700 * RAY


@pytest.mark.parametrize("elapsed", [0, 1, 86_400, 400 * 86_400])
def test_grows_in_a_straight_line_rounded_down(guarded, elapsed):
    anchor, growth = 1_234 * RAY + 567, 777
    guarded.do("RiskPolicy.set_growth_cap", WETH, anchor, growth, sender="admin")
    began = guarded.timestamp
    guarded.advance(elapsed)
    if elapsed > 14_400:
        guarded.post_price("WETH", 2_000 * RAY)
    since = guarded.timestamp - began
    expected = anchor + anchor * growth * since // (10_000 * YEAR)
    assert guarded.read("RiskPolicy.risk_price", WETH) == expected < 2_000 * RAY


def test_the_cap_never_raises_a_price(guarded):
    guarded.do("RiskPolicy.set_growth_cap", WETH, 2_000 * RAY + 1, 50_000, sender="admin")
    assert guarded.read("RiskPolicy.risk_price", WETH) == 2_000 * RAY
    guarded.do("RiskPolicy.set_growth_cap", WETH, 2_000 * RAY - 1, 0, sender="admin")
    assert guarded.read("RiskPolicy.risk_price", WETH) == 2_000 * RAY - 1


def test_without_a_fresh_price_there_is_none(guarded):
    guarded.do("RiskPolicy.set_growth_cap", WETH, 1_000 * RAY, 0, sender="admin")
    guarded.advance(14_401)
    assert guarded.read("RiskPolicy.risk_price", WETH) == 0


def test_liquidation_does_not_look_at_it(guarded):
    """A capped price is no reason for a liquidation."""
    guarded.borrow("borrower", "WETH", 10 * WAD, 13_000 * WAD)
    guarded.do("RiskPolicy.set_growth_cap", WETH, RAY, 0, sender="admin")
    with reverts("liquidation_engine: safe vault"):
        liquidate_vault(guarded)
