"""leave: a batch that is due, at rest, at one price; deposits and profit alike for all."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.market_with_pool import (
    POOL,
    add_members_with_unequal_deposits,
    deploy_market_with_pool,
    make_pool_whose_account_is_seized,
    open_and_seize_long_position,
)
from tests.support.perpetual_test_market import ETH, HOUSE
from tests.support.revert_setter_and_source_helpers import reverts


def exit_price(pool, shares):
    return shares * (pool.cash() + 1) // (pool.read("totalSupply") + 10**6)


def test_nothing_without_a_request_and_before_it_is_due(members):
    with reverts("liquidity_vault: no request"):
        members.complete_exit_from_batch("bob", 1)
    batch = members.request("bob")
    members.market.advance_clock(members.read("due_at", batch) - members.market.world.timestamp - 1)
    with reverts("liquidity_vault: notice runs"):
        members.complete_exit_from_batch("bob", batch)
    members.market.advance_clock(1)
    assert members.complete_exit_from_batch("bob", batch) == members.coins("bob")
    with reverts("liquidity_vault: no request"):
        members.complete_exit_from_batch("bob", batch)


def test_without_profit_it_is_paid_at_once(members):
    batch = members.request("bob")
    members.wait(batch)
    expected = exit_price(
        members, members.read("request_of", batch, members.market.get_contract_or_account_address("bob"))
    )
    assert expected == 5_000 * WAD
    assert members.complete_exit_from_batch("bob", batch) == members.coins("bob") == expected
    assert (
        members.cash()
        == 15_000 * WAD
        == members.market.market.deposits[members.market.get_contract_or_account_address(POOL)]
    )
    assert members.read("first_batch") == 0 and members.read("batch_of", batch).requests == 0


def test_not_at_work(offered):
    batch = offered.request("bob")
    offered.take_unassigned_lots(1_000)
    offered.wait(batch)
    offered.market.report_current_prices_again()
    with reverts("liquidity_vault: at work"):
        offered.complete_exit_from_batch("bob", batch)
    offered.fill_quotes_until_pool_empty("first")
    with reverts("liquidity_vault: at work"):
        offered.complete_exit_from_batch("bob", batch)
    offered.roll_until_gains_are_final()
    assert offered.complete_exit_from_batch("bob", batch) > 5_000 * WAD


def earned(new_protocol, third_bond=0):
    """Return a pool that earned about 1,000 on 1,000 unassigned lots, at rest, both members due."""
    pool = open_and_seize_long_position(
        add_members_with_unequal_deposits(deploy_market_with_pool(new_protocol, third_bond=third_bond))
    )
    pool.take_unassigned_lots(1_000)
    pool.market.mark(ETH, 17 * WAD)
    pool.fill_quotes_until_pool_empty("first")
    batch = pool.request("bob"), pool.request("ann")
    assert batch[0] == batch[1]
    pool.roll_until_gains_are_final()
    pool.wait(batch[0])
    assert pool.cash() > 21_000 * WAD
    return pool, batch[0]


@pytest.mark.parametrize("names", [("bob", "ann"), ("ann", "bob")])
def test_deposits_and_profit_are_shared_by_who_leaves_first_and_last(new_protocol, names):
    """Each has its part at once and the rest of it in the fund, in its own name, to a wei."""
    pool, batch = earned(new_protocol)
    held, paid_in = (
        pool.cash(),
        pool.market.market.deposits[pool.market.get_contract_or_account_address(POOL)],
    )
    assert paid_in < held
    for name, part in (("ann", 3), ("bob", 1)) if names[0] == "ann" else (("bob", 1), ("ann", 3)):
        paid = pool.complete_exit_from_batch(name, batch)
        assert abs(paid - held * part // 4) <= 2
        assert abs(pool.coins(name) - paid_in * part // 4) <= 2
        assert pool.read_vesting_profit(name) == paid - pool.coins(name)
    assert pool.read("totalSupply") == 0 and pool.cash() <= 1 and pool.coins(POOL) == 0
    assert pool.read("first_batch") == 0


def test_the_last_one_alone_takes_all_that_is_deposit(new_protocol):
    """A profit of which nothing is left to be paid in again."""
    pool, batch = earned(new_protocol)
    pool.complete_exit_from_batch("bob", batch)
    left = pool.market.market.deposits[pool.market.get_contract_or_account_address(POOL)]
    pool.complete_exit_from_batch("ann", batch)
    assert 0 <= left - pool.coins("ann") <= 1


def test_a_batch_leaves_in_any_order_and_so_do_batches(members):
    first = members.request("bob", 10**25)
    members.market.advance_clock(86_400)
    second = members.request("ann", 10**25)
    members.market.advance_clock(86_400)
    third = members.request("ann", 10**25)
    members.request("bob", 10**25)
    members.wait(third)
    members.complete_exit_from_batch("ann", second)
    assert members.read("batch_of", first).next == third
    assert members.read("batch_of", third).previous == first
    members.complete_exit_from_batch("bob", third)
    assert members.read("batch_of", third).requests == 1
    members.complete_exit_from_batch("bob", first)
    assert members.read("first_batch") == third and members.read("batch_of", third).previous == 0
    members.complete_exit_from_batch("ann", third)
    assert members.read("first_batch") == 0
    assert members.request("ann", 10**25) == members.read("first_batch")


def test_the_last_of_the_list_leaves_first(members):
    first = members.request("bob", 10**25)
    members.market.advance_clock(86_400)
    second = members.request("ann", 10**25)
    members.wait(second)
    members.complete_exit_from_batch("ann", second)
    assert tuple(members.read("batch_of", first)) == (1, 0, 0)
    members.market.advance_clock(86_400)
    third = members.request("ann", 10**25)
    assert members.read("batch_of", first).next == third


def test_a_crumb_is_paid_nothing(members):
    batch = members.request("bob", 1)
    members.wait(batch)
    assert members.complete_exit_from_batch("bob", batch) == 0 and members.coins("bob") == 0


def test_who_leaves_a_pool_that_failed_gets_nothing(new_protocol):
    pool = make_pool_whose_account_is_seized(new_protocol)
    batch = pool.request("bob")
    pool.market.advance_cycle()
    pool.market.seize_insolvent(POOL)
    pool.roll_until_gains_are_final()
    pool.wait(batch)
    assert pool.cash() == 0
    assert pool.complete_exit_from_batch("bob", batch) == 0
    assert pool.read("first_batch") == 0


def late(pool, amount):
    """Create a late loss: an account has owed it since a finished cycle, and is liquidated now.

    The protocol pays nothing, and the fund its small balance.
    """
    pool.market.set_loss_line_to_zero()
    pool.market.deposit("left", 5_000 * WAD)
    pool.market.deposit("right", 5_000 * WAD)
    pool.market.trade("left", "right", 1_000)
    mark = pool.market.price(ETH)
    pool.market.mark(ETH, mark + (5_000 * WAD + amount) // 1_000)
    for _ in range(3):
        pool.market.advance_cycle()
    pool.market.report_current_prices_again()
    paid = sum(pool.market.read(f"MarginFund.{each}") for each in ("unvested", "spendable"))
    assert pool.market.seize_insolvent("right")
    assert pool.market.market.late_table[()] == amount - paid and paid < amount // 100
    return pool


def test_while_losses_are_late_the_controller_alone_and_cut_as_anybody(members):
    batch = members.request("bob")
    members.wait(batch)
    members.market.report_current_prices_again()
    late(members, 1_000 * WAD)
    with reverts("liquidity_vault: losses are late"):
        members.complete_exit_from_batch("bob", batch)
    house = members.market.market
    free = house.holdings[()] - house.fee_table[()]
    expected = 5_000 * WAD * free // (free + 1_000 * WAD)
    assert (
        members.complete_exit_from_batch("bob", batch, by="bob")
        == members.coins("bob")
        == expected
        < 5_000 * WAD
    )
    assert members.cash() == 15_000 * WAD


def test_insurance_that_came_since_pays_before_a_member_is_cut(members):
    batch = members.request("bob")
    members.wait(batch)
    members.market.report_current_prices_again()
    late(members, 1_000 * WAD)
    members.market.do("MarginFund.insure", 400 * WAD, sender="rich")
    house = members.market.market
    free = house.holdings[()] - house.fee_table[()]
    expected = 5_000 * WAD * (free + 400 * WAD) // (free + 1_000 * WAD)
    assert members.complete_exit_from_batch("bob", batch, by="bob") == members.coins("bob") == expected
    assert members.market.read("MarginFund.spendable") == 0


def test_while_losses_are_late_deposits_go_first(new_protocol):
    """Assets that are deposited again would be cut as well."""
    pool, batch = earned(new_protocol)
    pool.market.report_current_prices_again()
    late(pool, 1_000 * WAD)
    paid = pool.complete_exit_from_batch("bob", batch, by="bob")
    assert paid == pool.coins("bob") and pool.read_vesting_profit("bob") == 0


def test_a_gift_is_profit_of_nobody(members):
    """It counts as paid in."""
    members.market.do(
        f"{HOUSE}.deposit", members.market.get_contract_or_account_address(POOL), 4_000 * WAD, sender="rich"
    )
    batch = members.request("bob")
    members.wait(batch)
    assert members.complete_exit_from_batch("bob", batch) == members.coins("bob") == 6_000 * WAD - 1
