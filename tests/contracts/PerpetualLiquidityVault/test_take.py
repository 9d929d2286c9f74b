"""take: unassigned lots, for the pool's account; a keeper within limits, and after all due members."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.market_with_pool import (
    POOL_RULES,
    add_members_with_unequal_deposits,
    deploy_market_with_pool,
    open_and_seize_long_position,
)
from tests.support.perpetual_test_market import ETH
from tests.support.revert_setter_and_source_helpers import reverts


def test_the_pool_has_the_lots_and_the_mark_moves_for_it(offered):
    offered.take_unassigned_lots(400)
    assert offered.read_pool_position_size() == 400 and offered.market.count_unassigned_lots() == 600
    offered.market.mark(ETH, 17 * WAD)
    assert offered.get_pool_equity() == 20_400 * WAD
    offered.market.check_books_after_touching_all()


def test_a_keeper_only(offered):
    for name in ("stranger", "admin", "ann"):
        with reverts("roles: missing role"):
            offered.do("take", ETH, 1, sender=name)


def test_what_the_desk_refuses(offered):
    with reverts("trading: not so many lots"):
        offered.take_unassigned_lots(1_001)
    offered.market.advance_clock(61)
    with reverts("trading: no price for lots"):
        offered.take_unassigned_lots(1)


def test_up_to_the_limit_of_the_market(offered):
    """A limit of 8,000 at 16 are 500 lots."""
    offered.do("set_limit", ETH, 8_000, sender="admin")
    with reverts("liquidity_vault: above its limit"):
        offered.take_unassigned_lots(501)
    offered.take_unassigned_lots(500)
    with reverts("liquidity_vault: above its limit"):
        offered.take_unassigned_lots(1)


@pytest.mark.parametrize(("leverage", "most"), [(10_000, 62), (5_000, 31), (20_000, 125)])
def test_up_to_what_its_money_allows(new_protocol, leverage, most):
    """1,000 at 16 a lot."""
    rules = POOL_RULES._replace(leverage=leverage)
    pool = open_and_seize_long_position(
        add_members_with_unequal_deposits(deploy_market_with_pool(new_protocol, rules=rules), 1_000)
    )
    with reverts("liquidity_vault: too little cash"):
        pool.take_unassigned_lots(most + 1)
    pool.take_unassigned_lots(most)


def test_the_fee_counts_as_well(new_protocol):
    """A taker's fee of 10 basis points leaves a lot less."""
    pool = open_and_seize_long_position(
        add_members_with_unequal_deposits(deploy_market_with_pool(new_protocol, taker_fee=100), 1_000)
    )
    with reverts("liquidity_vault: too little cash"):
        pool.take_unassigned_lots(62)
    pool.take_unassigned_lots(61)


def test_whoever_is_due_at_rest_goes_first(offered):
    batch = offered.request("bob", 10**25)
    offered.wait(batch)
    offered.market.report_current_prices_again()
    with reverts("liquidity_vault: members are due"):
        offered.take_unassigned_lots(1)
    assert offered.complete_exit_from_batch("bob", batch) == 10**19
    offered.take_unassigned_lots(1)


def test_at_work_the_pool_goes_on_for_a_day_and_then_only_reduces(offered):
    offered.take_unassigned_lots(100)
    batch = offered.request("bob", 10**25)
    offered.market.advance_clock(offered.read("due_at", batch + 1) - offered.market.world.timestamp - 1)
    offered.market.report_current_prices_again()
    offered.take_unassigned_lots(1)
    offered.market.advance_clock(1)
    offered.market.report_current_prices_again()
    with reverts("liquidity_vault: members are due"):
        offered.take_unassigned_lots(1)
    offered.do("set_limit", ETH, 0, sender="admin")
    shorted(offered)
    assert offered.market.count_unassigned_lots() < 0
    offered.take_unassigned_lots(101)
    assert offered.read_pool_position_size() == 0
    with reverts("liquidity_vault: members are due"):
        offered.take_unassigned_lots(1)


def shorted(pool):
    """A short of 2,000 lots becomes insolvent: the other side lacks lots from then on."""
    pool.market.deposit("short", 8_000 * WAD)
    pool.market.trade("other", "short", 2_000)
    pool.market.mark(ETH, 24 * WAD)
    assert pool.market.seize_insolvent("short")


def test_to_turn_is_new_risk(offered):
    """More lots than the pool has of the other side, though fewer remain."""
    offered.take_unassigned_lots(100)
    shorted(offered)
    offered.do("set_limit", ETH, 1, sender="admin")
    with reverts("liquidity_vault: above its limit"):
        offered.take_unassigned_lots(101)
    offered.take_unassigned_lots(100)
    assert offered.read_pool_position_size() == 0


def test_without_a_limit_it_takes_nothing(members):
    open_and_seize_long_position(members)
    members.do("set_limit", ETH, 0, sender="admin")
    with reverts("liquidity_vault: above its limit"):
        members.take_unassigned_lots(1)


def test_while_losses_are_late_nobody_is_waited_for(offered):
    """A due member may not want to leave then, and blocks nothing."""
    offered.market.set_loss_line_to_zero()
    batch = offered.request("bob", 10**25)
    for name in ("left", "right"):
        offered.market.deposit(name, 2_500 * WAD)
    offered.market.trade("left", "right", 500)
    offered.market.mark(ETH, 32 * WAD)
    offered.wait(batch)
    for _ in range(3):
        offered.market.advance_cycle()
    offered.market.report_current_prices_again()
    with reverts("liquidity_vault: members are due"):
        offered.take_unassigned_lots(1)
    assert offered.market.seize_insolvent("right") and offered.market.market.late_table[()] > 0
    assert offered.market.count_unassigned_lots() == 500
    offered.take_unassigned_lots(1)
    assert offered.read("first_batch") == batch and offered.read_pool_position_size() == 1


def test_crumbs_are_not_waited_for(offered):
    """Any number of dust requests may stay unpaid: the pool resumes all the same."""
    batch = offered.request("bob", 10**24)
    offered.market.advance_clock(offered.read("due_at", batch + 1) - offered.market.world.timestamp)
    offered.market.report_current_prices_again()
    offered.take_unassigned_lots(1)
    assert offered.read("request_of", batch, offered.market.get_contract_or_account_address("bob")) == 10**24
