"""quote: a share of a position for some time, by anybody, and no more until then."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.helpers import reverts
from tests.support.market_with_pool import (
    POOL_RULES,
    deploy_market_with_pool,
    deposit_two_members,
    seize_long,
)
from tests.support.perpetuals import BTC, ETH


def test_a_share_rounded_up_for_its_time(offered):
    offered.take(101)
    offered.quote()
    now = offered.market.world.timestamp
    assert tuple(offered.read("quote_of", ETH)) == (75, now + 600)
    offered.market.advance(599)
    with reverts("liquidity_vault: quote runs"):
        offered.quote()
    offered.market.advance(1)
    offered.quote()


def test_nothing_to_quote(offered):
    with reverts("liquidity_vault: none to quote"):
        offered.quote(BTC)
    with reverts("liquidity_vault: none to quote"):
        offered.quote()


@pytest.mark.parametrize(("share", "left"), [(1, 999), (10_000, 0)])
def test_the_least_and_the_most(new_protocol, share, left):
    rules = POOL_RULES._replace(share=share)
    pool = seize_long(deposit_two_members(deploy_market_with_pool(new_protocol, rules=rules)))
    pool.take(1_000)
    pool.quote()
    assert pool.read("quote_of", ETH).down_to == left


def test_what_it_takes_meanwhile_is_for_sale_as_well(offered):
    """A quote says how much the pool keeps."""
    offered.take(100)
    offered.quote()
    offered.take(50)
    offered.fill("first", -75, offered.least())
    assert offered.size() == 75
    assert offered.fills("first", -1, offered.least()) == "margin_orders: not its signer"


def test_a_fill_at_the_least_price(offered):
    """A fifth of a percent over the mark, to a wei; what that is over is the pool's."""
    offered.take(100)
    offered.quote()
    price = 16 * WAD * 1_002 // 1_000
    assert offered.least() == price
    assert offered.fills("first", -25, price - 1) == "margin_orders: not its signer"
    before = offered.equity()
    offered.fill("first", -25, price)
    charge = -(-25 * (price - 16 * WAD) // 8)
    assert offered.equity() - before == 25 * (price - 16 * WAD) - charge
    assert offered.size() == 75
