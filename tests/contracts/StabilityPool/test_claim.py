"""claim: members take collateral and income out, or put the income in again."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.auction_steps import get_only_event_values
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.settlement_steps import start_settlement
from tests.support.stability_pool_members import flag_vault, read_member
from tests.support.stability_pool_steps import (
    ENTRY_DELAY,
    POOL,
    deploy_with_pool,
    deposit_coins,
    liquidate_vaults,
)

GAINED = 7_374_705_882_352_941_178
"""12,000 and 5% at 1,700 less a reward of 0.5%, in ether [wad]."""
BITCOIN_POOL = "StabilityPool.WBTC"
DAY = 86_400


def liquidate_by_alice(protocol, coins=20_000 * WAD):
    deposit_coins(protocol, "alice", coins)
    protocol.post_price("WETH", 1_700 * RAY)
    liquidate_vaults(protocol, "borrower")


def test_collateral_and_income_are_sent(pooled):
    liquidate_by_alice(pooled)
    pooled.do(f"{POOL}.add_income", 100 * WAD, sender="bob")
    pooled.advance(DAY)
    assert pooled.do(f"{POOL}.claim", "saver", False, sender="alice") == (GAINED, 100 * WAD)
    told = get_only_event_values(pooled, "GainsClaimed", POOL)
    assert told == (pooled.address("alice"), GAINED, 100 * WAD)
    assert pooled.read("WETH.balanceOf", "saver") == GAINED
    assert pooled.read("Stablecoin.balanceOf", "saver") == 100 * WAD
    assert read_member(pooled, "alice") == (8_000 * WAD, 0, 0, 0, 0, 0)
    assert pooled.do(f"{POOL}.claim", "saver", False, sender="alice") == (0, 0)


def test_income_is_put_in_again(pooled):
    """As a deposit is: it waits for one to two entry delays."""
    deposit_coins(pooled, "alice", 1_000 * WAD)
    pooled.do(f"{POOL}.add_income", 100 * WAD, sender="bob")
    pooled.advance(DAY)
    epoch = pooled.timestamp // ENTRY_DELAY
    assert pooled.do(f"{POOL}.claim", "stranger", True, sender="alice") == (0, 100 * WAD)
    assert read_member(pooled, "alice") == (1_000 * WAD, 100 * WAD, 0, 0, 0, 0)
    assert pooled.read(f"{POOL}.entries_waiting") == (epoch, 100 * WAD, 0, 0)
    pooled.advance(2 * ENTRY_DELAY)
    pooled.do(f"{POOL}.admit", sender="stranger")
    assert pooled.read(f"{POOL}.state")[:2] == (10**36, 1_100 * WAD)
    assert pooled.read("Stablecoin.balanceOf", POOL) == 1_100 * WAD
    # Without any there is nothing to put in, and no entry.
    assert pooled.do(f"{POOL}.claim", "stranger", True, sender="alice") == (0, 0)
    assert read_member(pooled, "alice") == (1_100 * WAD, 0, 0, 0, 0, 0)


def test_entries_that_have_waited_take_part_first(pooled):
    """Income that is put in again goes to a batch of its own, and mixes with none that came before."""
    deposit_coins(pooled, "alice", 1_000 * WAD)
    pooled.do(f"{POOL}.add_income", 100 * WAD, sender="bob")
    pooled.advance(DAY)
    epoch = pooled.timestamp // ENTRY_DELAY
    pooled.do(f"{POOL}.deposit", 300 * WAD, sender="bob")
    pooled.advance(ENTRY_DELAY)
    pooled.do(f"{POOL}.deposit", 200 * WAD, sender="carol")
    pooled.advance(ENTRY_DELAY)
    assert pooled.do(f"{POOL}.claim", "alice", True, sender="alice") == (0, 100 * WAD)
    assert pooled.read(f"{POOL}.totalSupply") == 1_300 * WAD
    assert pooled.read(f"{POOL}.entries_waiting") == (epoch + 1, 200 * WAD, epoch + 2, 100 * WAD)
    assert read_member(pooled, "bob")[:2] == (300 * WAD, 0)
    pooled.advance(ENTRY_DELAY)
    assert pooled.do(f"{POOL}.claim", "carol", False, sender="carol") == (0, 0)
    assert read_member(pooled, "carol")[:2] == (200 * WAD, 0)


def test_at_any_time_but_to_put_income_in_again(pooled):
    """While a vault is flagged collateral and income are paid, and nothing enters."""
    pooled.borrow("another", "WETH", 10 * WAD, 12_000 * WAD)
    liquidate_by_alice(pooled)
    pooled.do(f"{POOL}.add_income", 100 * WAD, sender="bob")
    pooled.advance(DAY)
    pooled.post_price("WETH", 1_700 * RAY)
    flag_vault(pooled, "another")
    with reverts("stability_pool: debt at risk"):
        pooled.do(f"{POOL}.claim", "alice", True, sender="alice")
    assert pooled.do(f"{POOL}.claim", "alice", False, sender="alice") == (GAINED, 100 * WAD)
    # With no income there is nothing that could not enter.
    assert pooled.do(f"{POOL}.claim", "alice", True, sender="alice") == (0, 0)


def test_in_settlement_income_is_sent_and_not_put_in_again(pooled):
    """Entries of this epoch may have been paid by then: one more would count as paid in twice."""
    deposit_coins(pooled, "alice", 1_000 * WAD)
    deposit_coins(pooled, "bob", 1_000 * WAD)
    pooled.do(f"{POOL}.add_income", 100 * WAD, sender="carol")
    pooled.advance(DAY)
    start_settlement(pooled)
    for member in ("alice", "bob"):
        with reverts("stability_pool: settling"):
            pooled.do(f"{POOL}.claim", member, True, sender=member)
    assert pooled.do(f"{POOL}.claim", "alice", False, sender="alice") == (0, 50 * WAD)
    assert pooled.do(f"{POOL}.withdraw", "alice", sender="alice") == 1_000 * WAD
    assert read_member(pooled, "bob")[:2] == (1_000 * WAD, 0)


def test_whole_units_of_a_token(pooled):
    """A fraction of a unit stays, and counts with the next gain."""
    for member, amount in (("alice", 20_000 * WAD), ("bob", 10_000 * WAD)):
        pooled.do("Stablecoin.approve", BITCOIN_POOL, 2**255, sender=member)
        deposit_coins(pooled, member, amount, BITCOIN_POOL)
    pooled.borrow("borrower", "WBTC", WAD, 25_000 * WAD)
    pooled.post_price("WBTC", 36_000 * RAY)
    liquidate_vaults(pooled, "borrower", pool=BITCOIN_POOL)
    has = read_member(pooled, "alice", BITCOIN_POOL).collateral
    assert has % 10**10 not in (0, 10**10 - 1)
    assert pooled.do(f"{BITCOIN_POOL}.claim", "alice", False, sender="alice") == (has - has % 10**10, 0)
    assert pooled.read("WBTC.balanceOf", "alice") == has // 10**10
    assert read_member(pooled, "alice", BITCOIN_POOL).collateral == has % 10**10
    assert pooled.do(f"{BITCOIN_POOL}.claim", "alice", False, sender="alice") == (0, 0)


@pytest.mark.parametrize("method", ["claim", "liquidate"])
def test_a_token_that_does_not_move(new_protocol, method):
    """Nothing is lost: once it moves again it is sent."""
    protocol = deploy_with_pool(new_protocol, token="ReturnsFalseToken")
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    deposit_coins(protocol, "alice", 20_000 * WAD)
    protocol.post_price("WETH", 1_700 * RAY)
    if method == "liquidate":
        protocol.do("WETH.freeze", True, sender="issuer")
        with reverts("terms: push failed"):
            liquidate_vaults(protocol, "borrower")
        return
    liquidate_vaults(protocol, "borrower")
    protocol.do("WETH.freeze", True, sender="issuer")
    with reverts("stability_pool: transfer failed"):
        protocol.do(f"{POOL}.claim", "alice", False, sender="alice")
    protocol.do("WETH.freeze", False, sender="issuer")
    assert protocol.do(f"{POOL}.claim", "alice", False, sender="alice") == (GAINED, 0)


def test_a_member_that_is_blocked_claims_to_another(new_protocol):
    protocol = deploy_with_pool(new_protocol, token="BlocklistToken")
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    liquidate_by_alice(protocol)
    protocol.do("WETH.block", "alice", True, sender="issuer")
    with reverts("token: receiver blocked"):
        protocol.do(f"{POOL}.claim", "alice", False, sender="alice")
    assert protocol.do(f"{POOL}.claim", "saver", False, sender="alice") == (GAINED, 0)


def test_a_stranger_has_nothing(pooled):
    liquidate_by_alice(pooled)
    assert pooled.do(f"{POOL}.claim", "stranger", False, sender="stranger") == (0, 0)
    assert read_member(pooled, "stranger") == (0, 0, 0, 0, 0, 0)
