"""member_of and the other views: balances as of the last call."""

from backstop.model.arithmetic import RAY, WAD
from tests.support.stability_pool_members import read_member
from tests.support.stability_pool_steps import ENTRY_DELAY, POOL, deposit_coins, liquidate_vaults

HUNDRED = 100 * WAD


def test_nobody(pooled):
    assert read_member(pooled, "stranger") == (0, 0, 0, 0, 0, 0)
    assert pooled.read(f"{POOL}.state") == (10**36, 0, 0, 0)
    assert pooled.read(f"{POOL}.entries_waiting") == (0, 0, 0, 0)
    assert pooled.read(f"{POOL}.sums_of", 0) == pooled.read(f"{POOL}.sums_of", 5) == (0, 0)


def test_an_entry_counts_from_the_call_that_admits_it(pooled):
    pooled.do(f"{POOL}.deposit", HUNDRED, sender="alice")
    pooled.advance(2 * ENTRY_DELAY)
    assert read_member(pooled, "alice") == (0, HUNDRED, 0, 0, 0, 0)
    assert pooled.read(f"{POOL}.state") == (10**36, 0, 0, 1)
    pooled.do(f"{POOL}.admit", sender="stranger")
    assert read_member(pooled, "alice") == (HUNDRED, 0, 0, 0, 0, 0)
    assert pooled.read(f"{POOL}.totalSupply") == HUNDRED


def test_a_stake_and_an_entry_that_was_admitted_count_together(pooled):
    """An entry that came in after an offset has a part in the next one only."""
    pooled.borrow("another", "WETH", 10 * WAD, 12_000 * WAD)
    deposit_coins(pooled, "alice", 14_000 * WAD)
    deposit_coins(pooled, "bob", 2_000 * WAD)
    pooled.post_price("WETH", 1_700 * RAY)
    liquidate_vaults(pooled, "borrower")
    deposit_coins(pooled, "alice", 20_000 * WAD)
    bought, reward = 7_411_764_705_882_352_942, 37_058_823_529_411_764
    first = read_member(pooled, "alice")
    assert first == (23_500 * WAD, 0, 0, 0, (bought - reward) * 7 // 8, 0)
    pooled.post_price("WETH", 1_700 * RAY)
    liquidate_vaults(pooled, "another")
    # 23,500 of 24,000 coins take part in the offset of 12,000.
    then = read_member(pooled, "alice")
    assert then.coins == 11_750 * WAD
    both = (bought - reward) * 7 // 8 + (bought - reward) * 235 // 240
    assert both - 4 <= then.collateral <= both
    # A call of the member makes one stake of both, and changes nothing but for roundings.
    pooled.do(f"{POOL}.claim", "alice", False, sender="alice")
    assert pooled.read("WETH.balanceOf", "alice") == then.collateral
    assert read_member(pooled, "alice") == then._replace(collateral=0)


def test_sums_by_scale(pooled):
    """The product times the collateral for each coin, rounded down; the next scale begins at zero."""
    deposit_coins(pooled, "alice", 16_000 * WAD)
    pooled.post_price("WETH", 1_700 * RAY)
    liquidate_vaults(pooled, "borrower")
    gained = 7_374_705_882_352_941_178
    assert pooled.read(f"{POOL}.sums_of", 0) == (gained * 10**36 // (16_000 * WAD), 0)
    assert pooled.read(f"{POOL}.sums_of", 1) == (0, 0)
    assert pooled.read(f"{POOL}.state") == (25 * 10**34, 4_000 * WAD, 0, 0)
