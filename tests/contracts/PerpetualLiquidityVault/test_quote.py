"""quote: any account quotes a share of a position for some time; no further quote until then."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.market_with_pool import (
    POOL_RULES,
    add_members_with_unequal_deposits,
    deploy_market_with_pool,
    open_and_seize_long_position,
)
from tests.support.perpetual_test_market import BTC, ETH
from tests.support.revert_setter_and_source_helpers import reverts


def test_a_share_rounded_up_for_its_time(offered):
    offered.take_unassigned_lots(101)
    offered.request_pool_quote()
    now = offered.market.world.timestamp
    assert tuple(offered.read("quote_of", ETH)) == (75, now + 600)
    offered.market.advance_clock(599)
    with reverts("liquidity_vault: quote runs"):
        offered.request_pool_quote()
    offered.market.advance_clock(1)
    offered.request_pool_quote()


def test_nothing_to_quote(offered):
    with reverts("liquidity_vault: none to quote"):
        offered.request_pool_quote(BTC)
    with reverts("liquidity_vault: none to quote"):
        offered.request_pool_quote()


@pytest.mark.parametrize(("share", "left"), [(1, 999), (10_000, 0)])
def test_the_least_and_the_most(new_protocol, share, left):
    rules = POOL_RULES._replace(share=share)
    pool = open_and_seize_long_position(
        add_members_with_unequal_deposits(deploy_market_with_pool(new_protocol, rules=rules))
    )
    pool.take_unassigned_lots(1_000)
    pool.request_pool_quote()
    assert pool.read("quote_of", ETH).down_to == left


def test_what_it_takes_meanwhile_is_for_sale_as_well(offered):
    """A quote says how much the pool keeps."""
    offered.take_unassigned_lots(100)
    offered.request_pool_quote()
    offered.take_unassigned_lots(50)
    offered.fill("first", -75, offered.compute_worst_quote_price())
    assert offered.read_pool_position_size() == 75
    assert (
        offered.find_fill_revert_reason("first", -1, offered.compute_worst_quote_price())
        == "margin_orders: not its signer"
    )


def test_a_fill_at_the_least_price(offered):
    """A fifth of a percent over the mark, to a wei; the excess is the pool's."""
    offered.take_unassigned_lots(100)
    offered.request_pool_quote()
    price = 16 * WAD * 1_002 // 1_000
    assert offered.compute_worst_quote_price() == price
    assert offered.find_fill_revert_reason("first", -25, price - 1) == "margin_orders: not its signer"
    before = offered.get_pool_equity()
    offered.fill("first", -25, price)
    charge = -(-25 * (price - 16 * WAD) // 8)
    assert offered.get_pool_equity() - before == 25 * (price - 16 * WAD) - charge
    assert offered.read_pool_position_size() == 75
