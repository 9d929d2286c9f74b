"""deposit: into the pool's account, at rest, priced by that account's value."""

from backstop.contract_base import ZERO_ADDRESS
from backstop.model.arithmetic import WAD
from backstop.model.denominations import VOID
from tests.support.market_with_pool import (
    POOL,
    add_members_with_unequal_deposits,
    deploy_market_with_pool,
    make_pool_whose_account_is_seized,
    make_wiped_pool,
    open_and_seize_long_position,
)
from tests.support.perpetual_test_market import ETH, HOUSE
from tests.support.revert_setter_and_source_helpers import reverts


def test_the_first_share_is_a_millionth_of_a_wei(pool):
    assert pool.enter("ann", 100 * WAD) == pool.shares("ann") == 100 * WAD * 10**6
    assert (
        pool.cash()
        == pool.market.market.deposits[pool.market.get_contract_or_account_address(POOL)]
        == 100 * WAD
    )
    assert pool.coins(POOL) == 0


def test_the_next_pays_for_what_there_is(members):
    """A gift to the account belongs to all members; the price is rounded against the depositor."""
    members.market.do(
        f"{HOUSE}.deposit", members.market.get_contract_or_account_address(POOL), 7 * WAD + 1, sender="rich"
    )
    supply, held = members.read("totalSupply"), members.cash()
    amount = 10 * WAD + 3
    made = members.enter("carl", amount)
    assert made == amount * (supply + 10**6) // (held + 1) < amount * 10**6


def test_nothing_and_nobody(pool):
    with reverts("liquidity_vault: no shares"):
        pool.enter("ann", 0)
    for receiver in (pool.market.get_contract_or_account_address(POOL), ZERO_ADDRESS):
        with reverts("shares: bad receiver"):
            pool.do("deposit", WAD, receiver, sender="rich")
    with reverts("erc20: insufficient allowance"):
        pool.do("deposit", WAD, pool.market.get_contract_or_account_address("ann"), sender="ann")
    with reverts(""):
        pool.do("deposit", 2**255, pool.market.get_contract_or_account_address("ann"), sender="rich")


def test_only_at_rest(new_protocol):
    """Neither with a position, nor with gains that are not final, nor before its bond has come back."""
    pool = open_and_seize_long_position(
        add_members_with_unequal_deposits(deploy_market_with_pool(new_protocol, third_bond=5 * WAD))
    )
    pool.take_unassigned_lots(1_000)
    with reverts("liquidity_vault: not idle"):
        pool.enter("carl", WAD)
    pool.market.mark(ETH, 17 * WAD)
    pool.fill_quotes_until_pool_empty("first")
    for _ in range(2):
        assert not pool.read("is_idle")
        with reverts("liquidity_vault: not idle"):
            pool.enter("carl", WAD)
        pool.market.advance_cycle()
    # What it gained by the move and by its quotes, and its bond, are in the price.
    supply = pool.read("totalSupply")
    made = pool.enter("carl", WAD)
    assert pool.read("is_idle") and pool.cash() > 21_000 * WAD
    assert made == WAD * (supply + 10**6) // (pool.cash() - WAD + 1) < WAD * 10**6 * 20 // 21


def test_not_while_it_owes_and_then_shares_are_void(new_protocol):
    pool = make_pool_whose_account_is_seized(new_protocol)
    batch = pool.request("bob", 10**26)
    # While nobody books what it lacks it goes on to owe.
    for meets in (False, False, False, True, True):
        with reverts("liquidity_vault: not idle"):
            pool.enter("carl", WAD)
        pool.market.advance_cycle()
        if meets:
            pool.market.seize_insolvent(POOL)
    pool.roll_until_gains_are_final()
    assert pool.read("is_idle") and pool.cash() == 0
    assert pool.enter("carl", 50 * WAD) == 50 * WAD * 10**6 == pool.read("totalSupply")
    assert pool.read("generation") == VOID and pool.shares("ann") == 0
    bob = pool.market.get_contract_or_account_address("bob")
    assert pool.read("request_of", batch, bob) == pool.read("first_batch") == 0
    assert pool.read("batch_of", batch).requests == 0


def test_what_a_new_generation_finds_in_the_account_is_its_own(new_protocol):
    """A gift to a pool with void shares goes to the next member: a wei less than its shares need to live."""
    pool = make_wiped_pool(new_protocol, 10**6 - 1)
    assert pool.enter("carl", WAD) == WAD
    assert pool.read("generation") == VOID and pool.read("totalSupply") == WAD


def test_an_empty_pool_has_no_shares_to_void(pool):
    """However little the pool has, and that without an owner."""
    pool.market.do(f"{HOUSE}.deposit", pool.market.get_contract_or_account_address(POOL), 7, sender="rich")
    pool.enter("ann", WAD)
    assert pool.read("generation") == 0
