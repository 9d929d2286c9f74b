"""check_sale_terms: a type has terms, and its largest bonus fits under a liquidation ratio."""

import pytest

from tests.support.discount_steps import WETH
from tests.support.revert_setter_and_source_helpers import reverts


def test_the_ratio_is_above_the_largest_bonus(discounted):
    discounted.do("FixedDiscount.check_sale_terms", WETH, 10_801, sender="stranger")
    with reverts("fixed_discount: high bonus"):
        discounted.do("FixedDiscount.check_sale_terms", WETH, 10_800, sender="stranger")


def test_a_type_without_terms(discounted):
    with reverts("fixed_discount: no terms"):
        discounted.do("FixedDiscount.check_sale_terms", 2, 15_000, sender="stranger")


@pytest.mark.parametrize("ratio, fits", [(10_801, True), (10_800, False)])
def test_a_new_ratio_is_checked_where_it_is_set(discounted, ratio, fits):
    """The ledger asks the auctions, they ask the liquidation engine, and that the mechanism."""
    discounted.do("CollateralAuction.set_penalty", WETH, 10_000, sender="admin")
    args = ("VaultEngine.set_ratios", WETH, ratio, 15_000)
    if fits:
        discounted.do(*args, sender="admin")
    else:
        with reverts("fixed_discount: high bonus"):
            discounted.do(*args, sender="admin")
