"""can_auction: whether the pool leaves a vault to an auction."""

from dataclasses import replace

from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.model.interfaces import Position
from tests.support.stability_pool_steps import POOL, TERMS, WETH, deploy_with_pool, deposit_coins

VAULT = Position(10 * WAD, 12_000 * WAD, RAY, 14_500, 2_000 * RAD, 1, 1_400 * RAY)


def can_auction(protocol, position=VAULT):
    return protocol.read(f"{POOL}.can_auction", WETH, tuple(position))


def test_where_the_coins_are_too_few_for_a_part(pooled):
    """A floor of 2,000 and the coin that stays, to the wei."""
    assert can_auction(pooled)
    deposit_coins(pooled, "alice", 2_001 * WAD - 1)
    assert can_auction(pooled)
    deposit_coins(pooled, "alice", 1)
    assert not can_auction(pooled)


def test_a_debt_that_is_not_divided(pooled):
    """Under two floors all of it is taken or none, so the coins have to be enough for all."""
    small = VAULT._replace(locked_collateral=3 * WAD, normalized_debt=3_000 * WAD)
    deposit_coins(pooled, "alice", 3_001 * WAD - 1)
    assert can_auction(pooled, small)
    deposit_coins(pooled, "alice", 1)
    assert not can_auction(pooled, small)


def test_never_where_the_rest_is_written_off(new_protocol):
    protocol = deploy_with_pool(new_protocol, replace(TERMS, has_write_off=True))
    assert not can_auction(protocol)


def test_where_no_price_is_fresh(new_protocol):
    """To the second, for any coins of the pool, and even where a rest is written off."""
    for terms in (TERMS, replace(TERMS, has_write_off=True)):
        protocol = deploy_with_pool(new_protocol, terms)
        deposit_coins(protocol, "alice", 20_000 * WAD)
        protocol.post_price("WETH", 1_900 * RAY)
        fresh_until = protocol.read("PriceFeed.prices_of", WETH).fresh_until
        protocol.advance(fresh_until - protocol.timestamp)
        assert not can_auction(protocol)
        protocol.advance(1)
        assert can_auction(protocol)
