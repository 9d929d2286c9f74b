"""take: lots that are nobody's, for the pool's account; a keeper within limits, and after whoever is due."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.helpers import reverts
from tests.support.market_with_pool import (
    POOL_RULES,
    deploy_market_with_pool,
    deposit_two_members,
    seize_long,
)
from tests.support.perpetuals import ETH


def test_the_pool_has_the_lots_and_the_mark_moves_for_it(offered):
    offered.take(400)
    assert offered.size() == 400 and offered.market.nobodys() == 600
    offered.market.mark(ETH, 17 * WAD)
    assert offered.equity() == 20_400 * WAD
    offered.market.check_woken()


def test_a_keeper_only(offered):
    for name in ("stranger", "admin", "ann"):
        with reverts("roles: missing role"):
            offered.do("take", ETH, 1, sender=name)


def test_what_the_desk_refuses(offered):
    with reverts("trading: not so many lots"):
        offered.take(1_001)
    offered.market.advance(61)
    with reverts("trading: no price for lots"):
        offered.take(1)


def test_up_to_the_limit_of_the_market(offered):
    """A limit of 8,000 at 16 are 500 lots."""
    offered.do("set_limit", ETH, 8_000, sender="admin")
    with reverts("liquidity_vault: above its limit"):
        offered.take(501)
    offered.take(500)
    with reverts("liquidity_vault: above its limit"):
        offered.take(1)


@pytest.mark.parametrize(("leverage", "most"), [(10_000, 62), (5_000, 31), (20_000, 125)])
def test_up_to_what_its_money_allows(new_protocol, leverage, most):
    """1,000 at 16 a lot."""
    rules = POOL_RULES._replace(leverage=leverage)
    pool = seize_long(deposit_two_members(deploy_market_with_pool(new_protocol, rules=rules), 1_000))
    with reverts("liquidity_vault: too little cash"):
        pool.take(most + 1)
    pool.take(most)


def test_the_fee_counts_as_well(new_protocol):
    """A taker's fee of 10 basis points leaves a lot less."""
    pool = seize_long(deposit_two_members(deploy_market_with_pool(new_protocol, taker_fee=100), 1_000))
    with reverts("liquidity_vault: too little cash"):
        pool.take(62)
    pool.take(61)


def test_whoever_is_due_at_rest_goes_first(offered):
    batch = offered.request("bob", 10**25)
    offered.wait(batch)
    offered.market.refresh()
    with reverts("liquidity_vault: members are due"):
        offered.take(1)
    assert offered.leave("bob", batch) == 10**19
    offered.take(1)


def test_at_work_the_pool_goes_on_for_a_day_and_then_only_reduces(offered):
    offered.take(100)
    batch = offered.request("bob", 10**25)
    offered.market.advance(offered.read("due_at", batch + 1) - offered.market.world.timestamp - 1)
    offered.market.refresh()
    offered.take(1)
    offered.market.advance(1)
    offered.market.refresh()
    with reverts("liquidity_vault: members are due"):
        offered.take(1)
    offered.do("set_limit", ETH, 0, sender="admin")
    shorted(offered)
    assert offered.market.nobodys() < 0
    offered.take(101)
    assert offered.size() == 0
    with reverts("liquidity_vault: members are due"):
        offered.take(1)


def shorted(pool):
    """Somebody's short of 2,000 lots fails: the other side lacks lots from then on."""
    pool.market.deposit("short", 8_000 * WAD)
    pool.market.trade("other", "short", 2_000)
    pool.market.mark(ETH, 24 * WAD)
    assert pool.market.seize_insolvent("short")


def test_to_turn_is_new_risk(offered):
    """More lots than the pool has of the other side, though fewer remain."""
    offered.take(100)
    shorted(offered)
    offered.do("set_limit", ETH, 1, sender="admin")
    with reverts("liquidity_vault: above its limit"):
        offered.take(101)
    offered.take(100)
    assert offered.size() == 0


def test_without_a_limit_it_takes_nothing(members):
    seize_long(members)
    members.do("set_limit", ETH, 0, sender="admin")
    with reverts("liquidity_vault: above its limit"):
        members.take(1)


def test_while_losses_are_late_nobody_is_waited_for(offered):
    """Who is due may not want to leave then, and stops nothing."""
    offered.market.use_up_line()
    batch = offered.request("bob", 10**25)
    for name in ("left", "right"):
        offered.market.deposit(name, 2_500 * WAD)
    offered.market.trade("left", "right", 500)
    offered.market.mark(ETH, 32 * WAD)
    offered.wait(batch)
    for _ in range(3):
        offered.market.advance_cycle()
    offered.market.refresh()
    with reverts("liquidity_vault: members are due"):
        offered.take(1)
    assert offered.market.seize_insolvent("right") and offered.market.market.late_table[()] > 0
    assert offered.market.nobodys() == 500
    offered.take(1)
    assert offered.read("first_batch") == batch and offered.size() == 1


def test_crumbs_are_not_waited_for(offered):
    """However many there are: nobody has to pay them out before the pool may go on."""
    batch = offered.request("bob", 10**24)
    offered.market.advance(offered.read("due_at", batch + 1) - offered.market.world.timestamp)
    offered.market.refresh()
    offered.take(1)
    assert offered.read("request_of", batch, offered.market.at("bob")) == 10**24
