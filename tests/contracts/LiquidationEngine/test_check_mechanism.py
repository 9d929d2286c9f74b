"""check_mechanism: the terms of a type's mechanism, if it has one, fit a liquidation ratio."""

from tests.support.discount_steps import WETH
from tests.support.revert_setter_and_source_helpers import reverts


def test_anybody_asks(discounted):
    discounted.do("LiquidationEngine.check_mechanism", WETH, 10_801, sender="stranger")
    with reverts("fixed_discount: high bonus"):
        discounted.do("LiquidationEngine.check_mechanism", WETH, 10_800, sender="stranger")


def test_a_type_without_a_mechanism(discounted):
    discounted.do("LiquidationEngine.check_mechanism", 2, 10_000, sender="stranger")
