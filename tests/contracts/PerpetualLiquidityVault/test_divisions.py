"""Shares that losses left almost nothing are divided at an entry; a void ends an era of requests."""

import pytest

from backstop.model.arithmetic import WAD
from backstop.model.denominations import MOST_SHARES, STEP, VOID
from tests.support.market_with_pool import (
    POOL,
    POOL_RULES,
    add_members_with_unequal_deposits,
    deploy_market_with_pool,
    give_to_pool,
    make_wiped_pool,
    open_and_seize_long_position,
    settle_failed_pool,
)
from tests.support.perpetual_test_market import ETH
from tests.support.revert_setter_and_source_helpers import reverts

LEAST = 10**6
"""Wei: with less all shares are void."""
SHARES = 2_000 * WAD * 10**6
"""Of both members of a pool that has failed; the first has three quarters."""


def price(pool, shares):
    """Return the assets paid for shares at rest [wad]."""
    return shares * (pool.cash() + 1) // (pool.read("totalSupply") + 10**6)


def test_a_division_leaves_all_what_they_had(new_protocol):
    pool = make_wiped_pool(new_protocol, LEAST)
    assert pool.read("totalSupply") == SHARES
    expected = pool.read("convertToShares", WAD)
    assert pool.enter("carl", WAD) == expected == WAD * (SHARES // STEP + 10**6) // (LEAST + 1)
    assert pool.shares("ann") == 3 * SHARES // 4 // STEP and pool.shares("bob") == SHARES // 4 // STEP
    assert (pool.read("generation"), pool.read("totalSupply")) == (1, SHARES // STEP + expected)
    assert pool.market.read(
        f"{POOL}.balanceOf", pool.market.get_contract_or_account_address("ann")
    ) == pool.shares("ann")
    assert WAD - 1 <= pool.read("convertToAssets", pool.shares("carl")) <= WAD
    assert LEAST - 2 <= pool.read("convertToAssets", SHARES // STEP) <= LEAST


def test_shares_are_minted_at_the_price_of_the_next_generation(new_protocol):
    pool = make_wiped_pool(new_protocol, LEAST)
    made = 10**30 + 7
    expected = -(-made * (LEAST + 1) // (SHARES // STEP + 10**6))
    assert (
        pool.do("mint", made, pool.market.get_contract_or_account_address("carl"), sender="rich") == expected
    )
    assert (pool.read("generation"), pool.shares("carl")) == (1, made)


@pytest.mark.parametrize("missing", [0, 1])
def test_the_most_shares_for_a_wei_are_divided_beyond(new_protocol, missing):
    """With as many wei as its shares just need nothing is divided, with one less they are."""
    pool = make_wiped_pool(new_protocol)
    give_to_pool(pool, -(-(SHARES + 10**6) // MOST_SHARES) - 1 - missing)
    pool.enter("carl", WAD)
    assert pool.read("generation") == missing


def test_shares_are_void_where_a_wei_is_missing(new_protocol):
    pool = make_wiped_pool(new_protocol, LEAST - 1)
    assert pool.read("convertToShares", WAD) == WAD
    assert pool.enter("carl", WAD) == WAD == pool.read("totalSupply")
    assert pool.read("generation") == VOID and pool.shares("ann") == pool.shares("bob") == 0


def test_a_record_is_divided_once(new_protocol):
    """An account gets shares, sends some and requests: each record counts in the generation of its time."""
    pool = make_wiped_pool(new_protocol, LEAST)
    made = pool.enter("ann", WAD)
    assert pool.shares("ann") == 3 * SHARES // 4 // STEP + made
    moved = pool.shares("ann") // 2
    pool.do("transfer", pool.market.get_contract_or_account_address("bob"), moved, sender="ann")
    assert pool.shares("bob") == SHARES // 4 // STEP + moved
    pool.do("transfer", pool.market.get_contract_or_account_address("ann"), 5, sender="bob")
    pool.request("bob", moved)
    assert pool.liquidity_vault_model.held(pool.market.get_contract_or_account_address(POOL)) == moved
    assert pool.shares("bob") == SHARES // 4 // STEP - 5
    with reverts("shares: balance too small"):
        pool.request("bob", SHARES // 4 // STEP - 4)


# ----------------------------------------------------------------------- requests


def test_requests_outlive_a_division(new_protocol):
    """Of two that are listed and one that is a crumb, each as it was; the next days follow in the list."""
    pool = make_wiped_pool(new_protocol)
    bob, ann = (
        pool.market.get_contract_or_account_address("bob"),
        pool.market.get_contract_or_account_address("ann"),
    )
    batch = pool.request("bob", 10**26)
    crumb = 3 * STEP - 1
    pool.request("ann", crumb)
    give_to_pool(pool, LEAST)
    pool.enter("carl", WAD)
    assert pool.read("request_of", batch, bob) == 10**26 // STEP
    assert pool.read("request_of", batch, ann) == 2
    assert pool.read("first_batch") == batch and tuple(pool.read("batch_of", batch)) == (1, 0, 0)
    pool.market.advance_clock(86_400)
    later = pool.request("carl")
    assert pool.read("batch_of", batch).next == later and pool.read("batch_of", later).previous == batch
    pool.wait(later)
    expected = price(pool, 10**26 // STEP)
    assert pool.complete_exit_from_batch("bob", batch) == pool.coins("bob") == expected > 0
    assert pool.read("first_batch") == later
    assert pool.complete_exit_from_batch("ann", batch) == 0
    assert WAD - 2 <= pool.complete_exit_from_batch("carl", later) <= WAD
    assert pool.read("first_batch") == 0
    # Of the escrow a share is left that is nobody's: parts are rounded down, and so is their sum.
    assert (
        pool.liquidity_vault_model.held(pool.market.get_contract_or_account_address(POOL))
        == (10**26 + crumb) // STEP - 10**26 // STEP - 2
        == 0
    )


def test_more_of_a_request_after_a_division_is_the_same_request(new_protocol):
    pool = make_wiped_pool(new_protocol)
    bob = pool.market.get_contract_or_account_address("bob")
    batch = pool.request("bob", 10**26)
    give_to_pool(pool, LEAST)
    pool.enter("bob", WAD)
    assert pool.request("bob", 7) == batch
    assert pool.read("request_of", batch, bob) == 10**26 // STEP + 7
    assert tuple(pool.read("batch_of", batch)) == (1, 0, 0)
    pool.wait(batch)
    pool.complete_exit_from_batch("bob", batch)
    assert pool.read("first_batch") == pool.read("request_of", batch, bob) == 0


def test_a_crumb_is_a_part_of_all_shares_of_its_generation(new_protocol):
    """Shares that were no dust in the last generation are dust now, also with the earlier request."""
    pool = make_wiped_pool(new_protocol)
    asked = SHARES // 10**4 - 1
    batch = pool.request("bob", asked)
    give_to_pool(pool, LEAST)
    pool.enter("bob", WAD)
    least = -(-pool.read("totalSupply") // 10**4)
    pool.request("bob", least - asked // STEP - 1)
    assert pool.read("first_batch") == 0 and tuple(pool.read("batch_of", batch)) == (0, 0, 0)
    pool.request("bob", 1)
    assert pool.read("first_batch") == batch and tuple(pool.read("batch_of", batch)) == (1, 0, 0)


@pytest.fixture
def divided_to_nothing(new_protocol):
    """Two requests were parts of a small pool, which grew, lost all and was divided: nothing is left."""
    pool = deploy_market_with_pool(new_protocol, rules=POOL_RULES._replace(leverage=100_000))
    pool.enter("ann", LEAST)
    pool.enter("dora", 10**5)
    batch = pool.request("dora", STEP - 1)
    assert pool.read("first_batch") == batch
    pool.request("ann", STEP - 1)
    open_and_seize_long_position(add_members_with_unequal_deposits(pool, 2_000))
    pool.take_unassigned_lots(1_000)
    pool.market.mark(ETH, 13 * WAD)
    assert pool.market.seize_insolvent(pool.market.get_contract_or_account_address(POOL))
    settle_failed_pool(pool, LEAST)
    pool.enter("carl", 1_000 * WAD)
    assert pool.read("generation") == 1
    return pool, batch


def test_a_request_of_nothing_is_waited_for_and_can_be_cleared(divided_to_nothing):
    """Any account may clear it, and gets no money for it.

    Another day's members are no longer held up by it.
    """
    pool, batch = divided_to_nothing
    assert pool.read("request_of", batch, pool.market.get_contract_or_account_address("dora")) == 0
    assert pool.read("first_batch") == batch and tuple(pool.read("batch_of", batch)) == (2, 0, 0)
    pool.wait(batch)
    pool.market.report_current_prices_again()
    assert pool.read("room", ETH) == 0
    held, supply = pool.cash(), pool.read("totalSupply")
    assert pool.complete_exit_from_batch("dora", batch) == 0 and pool.coins("dora") == 0
    assert pool.read("first_batch") == batch and pool.read("room", ETH) == 0
    assert pool.complete_exit_from_batch("ann", batch) == 0
    assert pool.read("first_batch") == 0 and pool.read("room", ETH) > 0
    assert (pool.cash(), pool.read("totalSupply")) == (held, supply)
    # Together they were a share.
    assert pool.liquidity_vault_model.held(pool.market.get_contract_or_account_address(POOL)) == 1
    with reverts("liquidity_vault: no request"):
        pool.complete_exit_from_batch("dora", batch)


def test_a_void_ends_all_requests_of_its_era(new_protocol):
    """The list begins anew, with the same batch and for the same controllers."""
    pool = make_wiped_pool(new_protocol)
    bob, ann = (
        pool.market.get_contract_or_account_address("bob"),
        pool.market.get_contract_or_account_address("ann"),
    )
    batch = pool.request("bob", 10**26)
    pool.request("ann", 5)
    pool.enter("bob", WAD)
    assert pool.read("first_batch") == 0 and tuple(pool.read("batch_of", batch)) == (0, 0, 0)
    assert pool.read("request_of", batch, bob) == pool.read("request_of", batch, ann) == 0
    made = pool.shares("bob")
    assert pool.request("bob") == batch
    assert pool.read("request_of", batch, bob) == made
    assert pool.read("first_batch") == batch and tuple(pool.read("batch_of", batch)) == (1, 0, 0)
    pool.wait(batch)
    with reverts("liquidity_vault: no request"):
        pool.complete_exit_from_batch("ann", batch)
    assert pool.complete_exit_from_batch("bob", batch) == WAD
    assert pool.read("first_batch") == pool.read("totalSupply") == 0
