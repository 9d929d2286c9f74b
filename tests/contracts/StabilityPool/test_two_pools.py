"""Pools of two types side by side: each goes by its own type's vaults, price and end, and no other's."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.stability_pool_members import flag_vault, read_member
from tests.support.stability_pool_steps import POOL, WBTC, WETH, deposit_coins, liquidate_vaults

BITCOIN_POOL = "StabilityPool.WBTC"
POOLS = POOL, BITCOIN_POOL
HUNDRED = 100 * WAD


@pytest.fixture
def two_pools(pooled):
    pooled.do("Stablecoin.approve", BITCOIN_POOL, 2**255, sender="alice")
    pooled.borrow("saver", "WBTC", WAD, 30_000 * WAD)
    return pooled


@pytest.mark.parametrize("symbol", ["WETH", "WBTC"])
def test_a_flag_closes_its_own_types_pool_alone(two_pools, symbol):
    """A price drop below the vault's requirement: the one pool is closed to deposits, and the other open."""
    if symbol == "WETH":
        two_pools.post_price("WETH", 1_700 * RAY)
        flag_vault(two_pools)
    else:
        two_pools.post_price("WBTC", 41_000 * RAY)
        two_pools.do("LiquidationEngine.flag", WBTC, "saver", sender="stranger")
    is_open, is_closed = POOLS if symbol == "WBTC" else POOLS[::-1]
    two_pools.do(f"{is_open}.deposit", HUNDRED, sender="alice")
    with reverts("stability_pool: debt at risk"):
        two_pools.do(f"{is_closed}.deposit", HUNDRED, sender="alice")


def test_an_auction_is_asked_of_its_own_types_pool(two_pools):
    """Bitcoin's pool can pay and ether's cannot: an ether vault may be auctioned, and a bitcoin vault not."""
    deposit_coins(two_pools, "alice", 40_000 * WAD, BITCOIN_POOL)
    two_pools.post_price("WETH", 1_700 * RAY)
    two_pools.post_price("WBTC", 41_000 * RAY)
    with reverts("liquidation_engine: no auctions"):
        two_pools.do("LiquidationEngine.liquidate", WBTC, "saver", "keeper", sender="keeper")
    assert two_pools.do("LiquidationEngine.liquidate", WETH, "borrower", "keeper", sender="keeper") == 1
    assert liquidate_vaults(two_pools, "saver", pool=BITCOIN_POOL) == 1


@pytest.mark.parametrize("dead, c, owner", [("WETH", WETH, "borrower"), ("WBTC", WBTC, "saver")])
def test_a_dead_feed_lets_its_own_type_alone_be_auctioned(two_pools, dead, c, owner):
    """The other's price is fresh and its pool can pay, so its vault is for that pool."""
    deposit_coins(two_pools, "alice", 20_000 * WAD)
    deposit_coins(two_pools, "alice", 40_000 * WAD, BITCOIN_POOL)
    two_pools.post_price("WETH", 1_700 * RAY)
    two_pools.post_price("WBTC", 41_000 * RAY)
    fresh_until = max(two_pools.read("PriceFeed.prices_of", each).fresh_until for each in (WETH, WBTC))
    two_pools.advance(fresh_until + 3 * 86_400 + 1 - two_pools.timestamp)
    if dead == "WETH":
        two_pools.post_price("WBTC", 41_000 * RAY)
        other = WBTC, "saver"
    else:
        two_pools.post_price("WETH", 1_700 * RAY)
        other = WETH, "borrower"
    with reverts("liquidation_engine: no auctions"):
        two_pools.do("LiquidationEngine.liquidate", *other, "keeper", sender="keeper")
    assert two_pools.do("LiquidationEngine.liquidate", c, owner, "keeper", sender="keeper") == 1


def test_the_end_of_a_type_pays_its_own_pools_members_at_once(pooled):
    """Without a request, as in settlement; members of the other pool wait as before."""
    pooled.do("Stablecoin.approve", BITCOIN_POOL, 2**255, sender="alice")
    for pool in POOLS:
        deposit_coins(pooled, "alice", HUNDRED, pool)
    pooled.do("VaultEngine.retire_collateral_type", WBTC, sender="admin")
    assert pooled.do(f"{BITCOIN_POOL}.withdraw", "alice", sender="stranger") == HUNDRED
    assert read_member(pooled, "alice", BITCOIN_POOL) == (0, 0, 0, 0, 0, 0)
    with reverts("stability_pool: settling"):
        pooled.do(f"{BITCOIN_POOL}.deposit", HUNDRED, sender="alice")
    with reverts("stability_pool: no request"):
        pooled.do(f"{POOL}.withdraw", "alice", sender="alice")
    pooled.do(f"{POOL}.deposit", HUNDRED, sender="alice")
