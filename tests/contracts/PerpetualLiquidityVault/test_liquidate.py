"""liquidate: lots of an account under its maintenance margin, for the pool's account and its reward."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.market_with_pool import POOL
from tests.support.perpetual_test_market import ETH, open_long_and_two_shorts
from tests.support.revert_setter_and_source_helpers import reverts


@pytest.fixture
def short_of_margin(members):
    """A long of 1,000 lots at 17.6 has 600 left, and needs more."""
    open_long_and_two_shorts(members.market)
    members.market.mark(ETH, 176 * WAD // 10)
    return members


def test_lots_and_reward_are_the_pools(short_of_margin):
    pool = short_of_margin
    before, owners = pool.get_pool_equity(), pool.market.equity("long")
    reward = pool.liquidate("long", 500)
    fee = reward * 1_000 // 10_000
    assert pool.read_pool_position_size() == 500 and pool.market.size("long") == 500
    assert reward > 0 and pool.get_pool_equity() - before == reward - fee
    assert owners - pool.market.equity("long") == reward
    pool.market.check_books_after_touching_all()


def test_a_keeper_only(short_of_margin):
    with reverts("roles: missing role"):
        who = short_of_margin.market.get_contract_or_account_address("long")
        short_of_margin.do("liquidate", who, ETH, 1, sender="stranger")


def test_what_the_desk_refuses(short_of_margin):
    with reverts("trading: safe account"):
        short_of_margin.liquidate("first", 1)
    with reverts("trading: own account"):
        short_of_margin.liquidate(short_of_margin.market.get_contract_or_account_address(POOL), 1)
    with reverts("trading: not that many"):
        short_of_margin.liquidate("long", 0)


def test_limits_and_who_is_due(short_of_margin):
    pool = short_of_margin
    pool.do("set_limit", ETH, 1_760, sender="admin")
    with reverts("liquidity_vault: above its limit"):
        pool.liquidate("long", 101)
    pool.liquidate("long", 100)
    pool.do("set_limit", ETH, 10**6, sender="admin")
    batch = pool.request("bob", 10**25)
    pool.market.advance_clock(pool.read("due_at", batch + 1) - pool.market.world.timestamp)
    pool.market.report_current_prices_again()
    with reverts("liquidity_vault: members are due"):
        pool.liquidate("long", 100)


def test_it_may_reduce_what_the_pool_has(short_of_margin):
    """A short pool takes over a long position, even while members are due."""
    pool = short_of_margin
    pool.market.deposit("weak", 300 * WAD)
    pool.market.trade("other", "weak", 100)
    pool.market.mark(ETH, 199 * WAD // 10)
    pool.liquidate("weak", 50)
    assert pool.read_pool_position_size() == -50
    pool.do("set_limit", ETH, 0, sender="admin")
    pool.market.mark(ETH, 175 * WAD // 10)
    with reverts("liquidity_vault: above its limit"):
        pool.liquidate("long", 101)
    pool.liquidate("long", 50)
    assert pool.read_pool_position_size() == 0
