"""admit: entries that have waited take part, unless debt is at risk."""

from backstop.model.arithmetic import RAY, WAD
from tests.support.auction_steps import get_only_event_values
from tests.support.stability_pool_members import flag_vault, read_member
from tests.support.stability_pool_steps import ENTRY_DELAY, POOL

HUNDRED = 100 * WAD


def test_two_epochs_at_once(pooled):
    pooled.do(f"{POOL}.deposit", HUNDRED, sender="alice")
    pooled.advance(ENTRY_DELAY)
    pooled.do(f"{POOL}.deposit", 2 * HUNDRED, sender="bob")
    pooled.advance(2 * ENTRY_DELAY)
    pooled.do(f"{POOL}.admit", sender="stranger")
    assert get_only_event_values(pooled, "EntriesAdmitted", POOL) == (3 * HUNDRED,)
    assert pooled.read(f"{POOL}.entries_waiting") == (0, 0, 0, 0)
    assert pooled.read(f"{POOL}.state") == (10**36, 3 * HUNDRED, 0, 0)
    assert [read_member(pooled, who)[:2] for who in ("alice", "bob")] == [(HUNDRED, 0), (2 * HUNDRED, 0)]


def test_the_older_epoch_alone(pooled):
    """The second before the newer one's time, and then at it."""
    pooled.do(f"{POOL}.deposit", HUNDRED, sender="alice")
    pooled.advance(ENTRY_DELAY)
    epoch = pooled.timestamp // ENTRY_DELAY
    pooled.do(f"{POOL}.deposit", 2 * HUNDRED, sender="bob")
    pooled.advance(2 * ENTRY_DELAY - 1)
    pooled.do(f"{POOL}.admit", sender="stranger")
    assert pooled.read(f"{POOL}.totalSupply") == HUNDRED
    assert pooled.read(f"{POOL}.entries_waiting") == (epoch, 2 * HUNDRED, 0, 0)
    pooled.advance(1)
    pooled.do(f"{POOL}.admit", sender="stranger")
    assert pooled.read(f"{POOL}.state") == (10**36, 3 * HUNDRED, 0, 0)


def test_nothing_happens_without_entries_nor_twice(pooled):
    pooled.do(f"{POOL}.admit", sender="stranger")
    assert pooled.last.logs == ()
    pooled.do(f"{POOL}.deposit", HUNDRED, sender="alice")
    pooled.advance(2 * ENTRY_DELAY)
    pooled.do(f"{POOL}.admit", sender="stranger")
    pooled.do(f"{POOL}.admit", sender="stranger")
    assert pooled.last.logs == () and pooled.read(f"{POOL}.totalSupply") == HUNDRED


def test_nobody_is_admitted_while_a_vault_is_flagged(pooled):
    """Entries wait on until the flag is gone."""
    pooled.do(f"{POOL}.deposit", HUNDRED, sender="alice")
    pooled.post_price("WETH", 1_700 * RAY)
    flag_vault(pooled)
    pooled.advance(2 * ENTRY_DELAY)
    pooled.do(f"{POOL}.admit", sender="stranger")
    assert pooled.read(f"{POOL}.totalSupply") == 0
    pooled.post_price("WETH", 1_900 * RAY)
    flag_vault(pooled)
    pooled.do(f"{POOL}.admit", sender="stranger")
    assert pooled.read(f"{POOL}.totalSupply") == HUNDRED


def test_nobody_is_admitted_just_after_a_fall(pooled):
    pooled.do(f"{POOL}.deposit", HUNDRED, sender="alice")
    pooled.advance(2 * ENTRY_DELAY)
    pooled.post_next("WETH", 1_900 * RAY)
    pooled.advance(pooled.read("PriceFeed.withdrawals_paused_until") - 1 - pooled.timestamp)
    assert pooled.timestamp % ENTRY_DELAY == 599
    pooled.do(f"{POOL}.admit", sender="stranger")
    assert pooled.read(f"{POOL}.totalSupply") == 0
    pooled.advance(1)
    pooled.do(f"{POOL}.admit", sender="stranger")
    assert pooled.read(f"{POOL}.totalSupply") == HUNDRED
