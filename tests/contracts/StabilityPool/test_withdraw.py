"""withdraw: any account can pay a member's request."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.auction_steps import get_only_event_values
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.settlement_steps import start_settlement
from tests.support.stability_pool_members import flag_vault, read_member, request_and_wait
from tests.support.stability_pool_steps import ENTRY_DELAY, POOL, deposit_coins, liquidate_vaults

HUNDRED = 100 * WAD
START = 100_000 * WAD
"""Coins of each member before."""


def test_the_second_before_the_cooldowns_end_and_at_it(pooled):
    for member in ("alice", "bob"):
        deposit_coins(pooled, member, HUNDRED)
    pooled.do(f"{POOL}.request_withdrawal", 60 * WAD, sender="alice")
    pooled.advance(86_399)
    with reverts("stability_pool: cooldown runs"):
        pooled.do(f"{POOL}.withdraw", "alice", sender="alice")
    pooled.advance(1)
    assert pooled.do(f"{POOL}.withdraw", "alice", sender="stranger") == 60 * WAD
    assert get_only_event_values(pooled, "Withdrawn", POOL) == (pooled.address("alice"), 60 * WAD)
    assert read_member(pooled, "alice") == (40 * WAD, 0, 0, 0, 0, 0)
    assert pooled.read("Stablecoin.balanceOf", "alice") == START - 40 * WAD
    assert pooled.read(f"{POOL}.totalSupply") == 140 * WAD
    with reverts("stability_pool: no request"):
        pooled.do(f"{POOL}.withdraw", "alice", sender="alice")


def test_without_a_request(pooled):
    deposit_coins(pooled, "alice", HUNDRED)
    with reverts("stability_pool: no request"):
        pooled.do(f"{POOL}.withdraw", "alice", sender="alice")


def test_one_coin_stays(pooled):
    """The last member leaves all but that, and the request is over."""
    deposit_coins(pooled, "alice", HUNDRED)
    request_and_wait(pooled, "alice", HUNDRED)
    assert pooled.do(f"{POOL}.withdraw", "alice", sender="alice") == 99 * WAD
    assert read_member(pooled, "alice") == (WAD, 0, 0, 0, 0, 0)
    request_and_wait(pooled, "alice", WAD)
    assert pooled.do(f"{POOL}.withdraw", "alice", sender="alice") == 0
    assert pooled.read(f"{POOL}.totalSupply") == WAD


def test_an_offset_in_between_leaves_less_than_was_asked_for(pooled):
    deposit_coins(pooled, "alice", 20_000 * WAD)
    pooled.do(f"{POOL}.request_withdrawal", 20_000 * WAD, sender="alice")
    pooled.post_price("WETH", 1_700 * RAY)
    liquidate_vaults(pooled, "borrower")
    pooled.advance(86_400)
    assert pooled.do(f"{POOL}.withdraw", "alice", sender="alice") == 7_999 * WAD
    assert read_member(pooled, "alice")[:5] == (WAD, 0, 0, 0, 7_374_705_882_352_941_178)


def test_not_while_debt_is_at_risk(pooled):
    for member in ("alice", "bob"):
        deposit_coins(pooled, member, HUNDRED)
    request_and_wait(pooled, "alice", HUNDRED)
    pooled.post_price("WETH", 1_700 * RAY)
    flag_vault(pooled)
    with reverts("stability_pool: debt at risk"):
        pooled.do(f"{POOL}.withdraw", "alice", sender="alice")
    pooled.post_price("WETH", 1_750 * RAY)
    flag_vault(pooled)
    pooled.post_next("WETH", 1_650 * RAY)
    pooled.advance(pooled.read("PriceFeed.withdrawals_paused_until") - 1 - pooled.timestamp)
    with reverts("stability_pool: debt at risk"):
        pooled.do(f"{POOL}.withdraw", "alice", sender="alice")
    pooled.advance(1)
    assert pooled.do(f"{POOL}.withdraw", "alice", sender="alice") == HUNDRED


def test_entries_are_admitted_first(pooled):
    """Coins that have waited are there to be paid from, and one of them stays."""
    deposit_coins(pooled, "alice", HUNDRED)
    request_and_wait(pooled, "alice", HUNDRED)
    pooled.do(f"{POOL}.deposit", HUNDRED, sender="bob")
    pooled.advance(2 * ENTRY_DELAY)
    assert pooled.do(f"{POOL}.withdraw", "alice", sender="stranger") == HUNDRED
    assert read_member(pooled, "alice") == (0, 0, 0, 0, 0, 0)
    assert pooled.read(f"{POOL}.totalSupply") == HUNDRED


def test_in_settlement_all_coins_are_paid_at_once(pooled):
    """Without a request or in spite of its cooldown, with a flag, those that wait too, the last coin too."""
    deposit_coins(pooled, "alice", HUNDRED)
    deposit_coins(pooled, "bob", HUNDRED)
    pooled.do(f"{POOL}.deposit", 10 * WAD, sender="alice")
    pooled.advance(ENTRY_DELAY)
    pooled.do(f"{POOL}.deposit", 20 * WAD, sender="carol")
    pooled.do(f"{POOL}.request_withdrawal", WAD, sender="alice")
    delay = pooled.parameters.settlement.delay
    pooled.do("Settlement.announce", sender="admin")
    pooled.advance(delay - ENTRY_DELAY)
    pooled.do(f"{POOL}.admit", sender="stranger")
    for member, amount in (("alice", 3 * WAD), ("carol", 4 * WAD)):
        pooled.do(f"{POOL}.deposit", amount, sender=member)
    pooled.advance(ENTRY_DELAY)
    pooled.do("Settlement.begin", sender="stranger")
    assert read_member(pooled, "alice").entry == 3 * WAD
    assert pooled.do(f"{POOL}.withdraw", "alice", sender="stranger") == 113 * WAD
    assert read_member(pooled, "alice") == (0, 0, 0, 0, 0, 0)
    assert pooled.do(f"{POOL}.withdraw", "carol", sender="carol") == 24 * WAD
    assert pooled.do(f"{POOL}.withdraw", "bob", sender="bob") == HUNDRED
    assert pooled.read("Stablecoin.balanceOf", POOL) == pooled.read(f"{POOL}.totalSupply") == 0
    assert [pooled.read("Stablecoin.balanceOf", who) for who in ("alice", "bob", "carol")] == [START] * 3
    assert pooled.do(f"{POOL}.withdraw", "bob", sender="bob") == 0


@pytest.mark.parametrize("member", ["alice", "bob"])
def test_one_of_two_batches_that_wait_in_settlement(pooled, member):
    """Both take part when the first is paid, and the other has all of its coins."""
    pooled.do("Settlement.announce", sender="admin")
    pooled.advance(pooled.parameters.settlement.delay - ENTRY_DELAY)
    pooled.do(f"{POOL}.deposit", HUNDRED, sender="alice")
    pooled.advance(ENTRY_DELAY)
    pooled.do(f"{POOL}.deposit", 2 * HUNDRED, sender="bob")
    pooled.do("Settlement.begin", sender="stranger")
    has = {"alice": HUNDRED, "bob": 2 * HUNDRED}
    assert pooled.do(f"{POOL}.withdraw", member, sender=member) == has.pop(member)
    [(other, left)] = has.items()
    assert pooled.read(f"{POOL}.entries_waiting") == (0, 0, 0, 0)
    assert pooled.do(f"{POOL}.withdraw", other, sender="stranger") == left


def test_in_settlement_gains_stay_to_be_claimed(pooled):
    deposit_coins(pooled, "alice", 20_000 * WAD)
    pooled.post_price("WETH", 1_700 * RAY)
    liquidate_vaults(pooled, "borrower")
    start_settlement(pooled)
    assert pooled.do(f"{POOL}.withdraw", "alice", sender="alice") == 8_000 * WAD
    assert pooled.do(f"{POOL}.claim", "alice", False, sender="alice") == (7_374_705_882_352_941_178, 0)
