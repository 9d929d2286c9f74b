"""check_sale_terms: the type is the pool's, and the penalty fits under a liquidation ratio."""

import pytest

from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.stability_pool_steps import POOL, WBTC, WETH


def test_the_ratio_is_above_the_penalty(pooled):
    pooled.do(f"{POOL}.check_sale_terms", WETH, 10_501, sender="stranger")
    with reverts("stability_pool: high penalty"):
        pooled.do(f"{POOL}.check_sale_terms", WETH, 10_500, sender="stranger")


def test_another_type(pooled):
    for other in (WBTC, 2):
        with reverts("stability_pool: other type"):
            pooled.do(f"{POOL}.check_sale_terms", other, 14_500, sender="stranger")


@pytest.mark.parametrize("ratio, fits", [(10_501, True), (10_500, False)])
def test_a_new_ratio_is_checked_where_it_is_set(pooled, ratio, fits):
    pooled.do("CollateralAuction.set_penalty", WETH, 10_000, sender="admin")
    args = ("VaultEngine.set_ratios", WETH, ratio, 15_000)
    if fits:
        pooled.do(*args, sender="admin")
    else:
        with reverts("stability_pool: high penalty"):
            pooled.do(*args, sender="admin")


def test_a_pool_of_another_token_cannot_be_a_types_mechanism(pooled):
    """Of the type's number, but made for another token."""
    names = "VaultEngine", "PriceFeed", "LiquidationEngine", "Stablecoin", "WETH"
    wired = [pooled.address(name) for name in names]
    other = pooled.lockstep.create_contract("StabilityPool", "Other", *wired, 2, 500, 50, False, 60, 0, 3_600)
    assert other
    with reverts("stability_pool: other type"):
        pooled.do("LiquidationEngine.set_mechanism", 2, "Other", sender="admin")
