"""liquidate: members' coins repay unsafe vaults, and the collateral is shared among the members."""

from dataclasses import replace
from fractions import Fraction

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAD, RAY, WAD
from backstop.model.product_sum import ONE, STEP
from tests.support.auction_steps import get_only_event_values
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.stability_pool_members import flag_vault, read_member
from tests.support.stability_pool_steps import (
    ENTRY_DELAY,
    POOL,
    TERMS,
    WBTC,
    WETH,
    deploy_with_pool,
    deposit_coins,
    liquidate_vaults,
)

BOUGHT = 7_411_764_705_882_352_942
"""12,000 and 5% at 1,700 [wad], rounded up."""
REWARD = 37_058_823_529_411_764
"""0.5% of that, rounded down."""
BITCOIN_POOL = "StabilityPool.WBTC"


def read_vault(protocol, owner="borrower", c=WETH):
    return protocol.read("VaultEngine.vault", c, owner)[:2]


def read_deficit(protocol, c=WETH):
    return protocol.read("VaultEngine.deficit_of", c)


@pytest.fixture
def writing_off(new_protocol):
    protocol = deploy_with_pool(new_protocol, replace(TERMS, has_write_off=True))
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    return protocol


def test_all_of_a_vault_and_what_is_beyond_stays_with_its_owner(pooled):
    deposit_coins(pooled, "alice", 15_000 * WAD)
    deposit_coins(pooled, "bob", 5_000 * WAD)
    pooled.post_price("WETH", 1_700 * RAY)
    assert liquidate_vaults(pooled, "borrower") == 1
    told = get_only_event_values(pooled, "CollateralSold", "LiquidationEngine")
    assert told[2:] == (pooled.address(POOL), BOUGHT, 0, 12_000 * WAD, 12_000 * RAD)
    assert read_vault(pooled) == (10 * WAD - BOUGHT, 0)
    assert pooled.read("WETH.balanceOf", "keeper") == REWARD
    assert pooled.read("WETH.balanceOf", POOL) == BOUGHT - REWARD
    assert pooled.read(f"{POOL}.state")[:3] == (ONE * 2 // 5, 8_000 * WAD, 0)
    assert read_deficit(pooled) == 0
    kept = BOUGHT - REWARD
    assert read_member(pooled, "alice") == (6_000 * WAD, 0, 0, 0, kept * 3 // 4, 0)
    assert read_member(pooled, "bob") == (2_000 * WAD, 0, 0, 0, kept // 4, 0)


def test_a_vault_under_water(pooled):
    """10 ether at 1,100 are worth 11,000: the pool pays for 9.95 of them, and the rest is a deficit."""
    deposit_coins(pooled, "alice", 20_000 * WAD)
    pooled.post_price("WETH", 1_100 * RAY)
    assert liquidate_vaults(pooled, "borrower") == 1
    assert read_vault(pooled) == (0, 0)
    assert read_deficit(pooled) == 12_000 * RAD - 10_945 * RAD
    assert pooled.read("WETH.balanceOf", "keeper") == 5 * WAD // 100
    assert read_member(pooled, "alice") == (9_055 * WAD, 0, 0, 0, 995 * WAD // 100, 0)


def test_exactly_the_coins_that_are_needed(pooled):
    deposit_coins(pooled, "alice", 12_001 * WAD)
    pooled.post_price("WETH", 1_700 * RAY)
    liquidate_vaults(pooled, "borrower")
    assert read_vault(pooled)[1] == 0
    assert pooled.read(f"{POOL}.totalSupply") == WAD
    assert read_member(pooled, "alice").coins == WAD - 1


def test_a_wei_less(pooled):
    """A part of 10,000 leaves 2,000, and better covered: that is safe now."""
    deposit_coins(pooled, "alice", 12_001 * WAD - 1)
    pooled.post_price("WETH", 1_700 * RAY)
    liquidate_vaults(pooled, "borrower")
    bought = 10_500 * WAD // 1_700
    part = -(-bought * 1_700 * 100 // 105)
    assert 0 < 10_000 * WAD - part < 1_700
    assert read_vault(pooled) == (10 * WAD - bought, 12_000 * WAD - part)
    assert pooled.read(f"{POOL}.totalSupply") == 12_001 * WAD - 1 - part
    with reverts("liquidation_engine: safe vault"):
        liquidate_vaults(pooled, "borrower")
    with reverts("liquidation_engine: safe vault"):
        pooled.do("LiquidationEngine.liquidate", WETH, "borrower", "keeper", sender="keeper")


@pytest.mark.parametrize("coins, can_pay", [(1_991 * WAD, False), (1_992 * WAD, True)])
def test_a_part_and_an_auction_of_what_is_left(pooled, coins, can_pay):
    """The pool takes its part before an auction may start; with too few coins there is no part.

    9.95 ether at 1,200 are 11,940, so 1,990 coins are a sixth, which is the floor but for a rounding.
    """
    deposit_coins(pooled, "alice", coins)
    pooled.post_price("WETH", 1_200 * RAY)
    wanted = "LiquidationEngine.liquidate", WETH, "borrower", "keeper"
    if can_pay:
        with reverts("liquidation_engine: no auctions"):
            pooled.do(*wanted, sender="keeper")
        assert liquidate_vaults(pooled, "borrower") == 1
    with reverts("liquidation_engine: no sale"):
        liquidate_vaults(pooled, "borrower")
    part = 12_000 * WAD * 1_991 // 11_940 if can_pay else 0
    bought = 10 * WAD * part // (12_000 * WAD)
    part = bought * 1_200
    assert read_vault(pooled) == (10 * WAD - bought, 12_000 * WAD - part)
    # The worth of the pool's collateral is 400 wei more than its coins.
    paid = coins - pooled.read(f"{POOL}.totalSupply")
    assert paid == (1_991 * WAD if can_pay else 0)
    assert 0 <= (bought - bought // 200) * 1_200 - paid <= 400
    assert read_deficit(pooled) == (part - paid) * RAY
    auction = pooled.do(*wanted, sender="keeper")
    assert pooled.read("CollateralAuction.auction_of", auction).lot == 10 * WAD - bought
    assert read_vault(pooled) == (0, 0)


def test_no_auction_while_the_pool_can_take_all(pooled):
    deposit_coins(pooled, "alice", 20_000 * WAD)
    pooled.post_price("WETH", 1_700 * RAY)
    with reverts("liquidation_engine: no auctions"):
        pooled.do("LiquidationEngine.liquidate", WETH, "borrower", "keeper", sender="keeper")


def test_an_auction_while_the_feed_is_dead(pooled):
    """The pool buys nothing at the price of a dead feed, so a vault is auctioned."""
    deposit_coins(pooled, "alice", 20_000 * WAD)
    pooled.post_price("WETH", 1_700 * RAY)
    pooled.advance(pooled.read("PriceFeed.prices_of", WETH).fresh_until + 3 * 86_400 + 1 - pooled.timestamp)
    with reverts("liquidation_engine: stale price"):
        liquidate_vaults(pooled, "borrower")
    assert pooled.do("LiquidationEngine.liquidate", WETH, "borrower", "keeper", sender="keeper") == 1


def test_an_empty_pool(pooled):
    pooled.post_price("WETH", 1_700 * RAY)
    with reverts("liquidation_engine: no sale"):
        liquidate_vaults(pooled, "borrower")
    assert pooled.do("LiquidationEngine.liquidate", WETH, "borrower", "keeper", sender="keeper") == 1


def test_what_the_pool_cannot_pay_is_written_off(writing_off):
    """6,000 coins buy half of the collateral that the debt stands for; the other half is salvage."""
    deposit_coins(writing_off, "alice", 6_001 * WAD)
    writing_off.post_price("WETH", 1_700 * RAY)
    with reverts("liquidation_engine: no auctions"):
        writing_off.do("LiquidationEngine.liquidate", WETH, "borrower", "keeper", sender="keeper")
    assert liquidate_vaults(writing_off, "borrower") == 1
    assert read_vault(writing_off) == (10 * WAD - BOUGHT, 0)
    assert read_deficit(writing_off) == 6_000 * RAD
    assert writing_off.read("VaultEngine.salvage_of", WETH) == BOUGHT // 2
    assert writing_off.read("WETH.balanceOf", "keeper") == BOUGHT // 2 // 200
    assert writing_off.read(f"{POOL}.totalSupply") == WAD


@pytest.mark.parametrize("coins", [0, WAD, WAD + 1])
def test_without_coins_all_of_a_debt_is_written_off(writing_off, coins):
    """Payment, collateral and reward are zero: a wei buys no unit."""
    if coins:
        deposit_coins(writing_off, "alice", coins)
    writing_off.post_price("WETH", 1_700 * RAY)
    assert liquidate_vaults(writing_off, "borrower") == 1
    assert read_vault(writing_off) == (10 * WAD - BOUGHT, 0)
    assert read_deficit(writing_off) == 12_000 * RAD
    assert writing_off.read("VaultEngine.salvage_of", WETH) == BOUGHT
    assert writing_off.read("WETH.balanceOf", "keeper") == 0
    assert writing_off.read(f"{POOL}.totalSupply") == coins


def test_a_single_wei_of_collateral_is_sent_for_its_price(writing_off):
    """1,700 wei of coins pay for a wei of ether, which is the members'; all else is written off."""
    deposit_coins(writing_off, "alice", WAD + 1_700)
    writing_off.post_price("WETH", 1_700 * RAY)
    assert liquidate_vaults(writing_off, "borrower") == 1
    assert read_deficit(writing_off) == 12_000 * RAD - 1_700 * RAY
    assert writing_off.read("VaultEngine.salvage_of", WETH) == BOUGHT - 1
    assert writing_off.read("WETH.balanceOf", POOL) == 1
    assert writing_off.read(f"{POOL}.totalSupply") == WAD


def test_a_safe_vault_in_a_batch_is_left_out(pooled):
    pooled.borrow("another", "WETH", 10 * WAD, 12_000 * WAD)
    pooled.borrow("careful", "WETH", 10 * WAD, 11_000 * WAD)
    deposit_coins(pooled, "alice", 50_000 * WAD)
    pooled.post_price("WETH", 1_700 * RAY)
    # A second time in a list a vault is safe.
    assert liquidate_vaults(pooled, "careful", "borrower", "borrower", "another", "nobody") == 2
    assert [read_vault(pooled, who)[1] for who in ("borrower", "another", "careful")] == [0, 0, 11_000 * WAD]
    assert pooled.read("WETH.balanceOf", "keeper") == 2 * REWARD
    # The second offset is of 38,000 coins: each member's sums go on from the first.
    assert pooled.read(f"{POOL}.state")[:2] == (ONE * 26 // 50, 26_000 * WAD)
    assert read_member(pooled, "alice").collateral == pytest.approx(2 * (BOUGHT - REWARD), abs=2)


def test_coins_for_the_first_of_two(pooled):
    """One after the other: the coins left for the second vault are too few for a part."""
    pooled.borrow("another", "WETH", 10 * WAD, 12_000 * WAD)
    deposit_coins(pooled, "alice", 14_000 * WAD)
    pooled.post_price("WETH", 1_700 * RAY)
    assert liquidate_vaults(pooled, "borrower", "another") == 1
    assert read_vault(pooled, "another") == (10 * WAD, 12_000 * WAD)


def test_where_no_vault_can_be_liquidated_the_last_reason_is_given(pooled):
    deposit_coins(pooled, "alice", 1_000 * WAD)
    pooled.borrow("careful", "WETH", 10 * WAD, 11_000 * WAD)
    pooled.post_price("WETH", 1_700 * RAY)
    with reverts("liquidation_engine: safe vault"):
        liquidate_vaults(pooled, "borrower", "careful")
    with reverts("liquidation_engine: no sale"):
        liquidate_vaults(pooled, "careful", "borrower")
    with reverts(""):
        liquidate_vaults(pooled)


def test_not_more_than_32_vaults(pooled):
    deposit_coins(pooled, "alice", 20_000 * WAD)
    pooled.post_price("WETH", 1_700 * RAY)
    with reverts(""):
        liquidate_vaults(pooled, *["nobody"] * 32, "borrower")
    assert liquidate_vaults(pooled, *["nobody"] * 31, "borrower") == 1


def test_entries_that_have_waited_take_part(pooled):
    """Without a flag, as the type is not at risk yet; with one they bear and gain nothing."""
    deposit_coins(pooled, "alice", 20_000 * WAD)
    pooled.do(f"{POOL}.deposit", 20_000 * WAD, sender="bob")
    pooled.advance(ENTRY_DELAY)
    pooled.post_price("WETH", 1_700 * RAY)
    with pooled.lockstep.fork_state():
        liquidate_vaults(pooled, "borrower")
        assert read_member(pooled, "bob")[:2] == (14_000 * WAD, 0)
    flag_vault(pooled)
    liquidate_vaults(pooled, "borrower")
    assert pooled.read("LiquidationEngine.flagged_of", WETH) == 0
    assert read_member(pooled, "bob")[:2] == (0, 20_000 * WAD)
    pooled.do(f"{POOL}.admit", sender="stranger")
    assert read_member(pooled, "bob") == (20_000 * WAD, 0, 0, 0, 0, 0)


def test_a_token_of_eight_decimals(pooled):
    """30,000 and 5% at 41,000, but for the fee since then, up to the unit; the reward is cut to units."""
    pooled.do("Stablecoin.approve", BITCOIN_POOL, 2**255, sender="alice")
    pooled.borrow("borrower", "WBTC", WAD, 30_000 * WAD)
    deposit_coins(pooled, "alice", 40_000 * WAD, BITCOIN_POOL)
    pooled.post_price("WBTC", 41_000 * RAY)
    debt = pooled.read("VaultEngine.vault", WBTC, "borrower").normalized_debt
    pooled.do("VaultEngine.accrue", WBTC, sender="stranger")
    debt *= pooled.read("VaultEngine.debts_of", WBTC).accumulated_rate
    liquidate_vaults(pooled, "borrower", pool=BITCOIN_POOL)
    bought = -(-debt * 105 // (41_000 * 100 * RAY * 10**10))
    assert read_vault(pooled, c=WBTC) == (WAD - bought * 10**10, 0)
    assert pooled.read("WBTC.balanceOf", "keeper") == bought // 200 > 384_000
    assert pooled.read("WBTC.balanceOf", BITCOIN_POOL) == bought - bought // 200
    assert pooled.read(f"{BITCOIN_POOL}.totalSupply") == 40_000 * WAD - -(-debt // RAY)


def test_a_worthless_price(pooled):
    """The lowest that the feed has is a ray's wei: all of the debt but 9.95 wei is a deficit."""
    deposit_coins(pooled, "alice", 20_000 * WAD)
    pooled.post_price("WETH", RAY // WAD)
    assert liquidate_vaults(pooled, "borrower") == 1
    assert read_vault(pooled) == (0, 0)
    assert read_deficit(pooled) == 12_000 * RAD - 10 * RAY
    assert read_member(pooled, "alice").coins == 20_000 * WAD - 10


def test_nobody_else_buys(pooled):
    deposit_coins(pooled, "alice", 20_000 * WAD)
    pooled.post_price("WETH", 1_700 * RAY)
    with reverts("stability_pool: not for sale"):
        pooled.do(
            "LiquidationEngine.liquidate_and_buy",
            *(WETH, "borrower", *(MAX_UINT256,) * 3, "alice", b""),
            sender="alice",
        )


def test_at_the_next_price_where_it_is_higher(pooled):
    deposit_coins(pooled, "alice", 20_000 * WAD)
    pooled.post_price("WETH", 1_700 * RAY)
    pooled.post_next("WETH", 1_750 * RAY)
    liquidate_vaults(pooled, "borrower")
    assert read_vault(pooled)[0] == 10 * WAD - 72 * WAD // 10


@pytest.mark.parametrize("following, can_pay", [(None, True), (1_150, True), (1_700, False)])
def test_an_auction_where_the_coins_are_too_few_at_the_next_price(pooled, following, can_pay):
    """The pool sells and allows auctions by the same price, so every vault can be liquidated by one of both.

    It pays 2,740 for 2.49 ether at 1,100, and 2,864 at 1,150; at 1,700 all of a debt of 3,000, and has 2,900.
    """
    pooled.borrow("small", "WETH", 2_503 * WAD // 1_000, 3_000 * WAD)
    deposit_coins(pooled, "alice", 2_901 * WAD)
    pooled.post_price("WETH", 1_100 * RAY)
    if following:
        pooled.post_next("WETH", following * RAY)
    wanted = "LiquidationEngine.liquidate", WETH, "small", "keeper"
    if can_pay:
        with reverts("liquidation_engine: no auctions"):
            pooled.do(*wanted, sender="keeper")
        assert liquidate_vaults(pooled, "small") == 1
    else:
        with reverts("liquidation_engine: no sale"):
            liquidate_vaults(pooled, "small")
        assert pooled.do(*wanted, sender="keeper") == 1
    assert read_vault(pooled, "small") == (0, 0)


@pytest.mark.parametrize("stop", ["limit", "halt"])
def test_a_type_whose_sales_are_stopped(pooled, stop):
    deposit_coins(pooled, "alice", 20_000 * WAD)
    pooled.post_price("WETH", 1_700 * RAY)
    if stop == "limit":
        pooled.do("VaultEngine.set_auction_limit", WETH, 0, sender="admin")
    else:
        pooled.do("PriceFeed.set_halted", WETH, True, sender="admin")
    with reverts(f"liquidation_engine: {'no sales' if stop == 'limit' else 'stale price'}"):
        liquidate_vaults(pooled, "borrower")


def test_a_reward_that_cannot_be_sent(new_protocol):
    """The call fails and no vault is liquidated; with another receiver it succeeds."""
    protocol = deploy_with_pool(new_protocol, token="BlocklistToken")
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    deposit_coins(protocol, "alice", 20_000 * WAD)
    protocol.post_price("WETH", 1_700 * RAY)
    protocol.do("WETH.block", "keeper", True, sender="issuer")
    with reverts("token: receiver blocked"):
        liquidate_vaults(protocol, "borrower")
    assert read_vault(protocol) == (10 * WAD, 12_000 * WAD)
    assert liquidate_vaults(protocol, "borrower", keeper="saver") == 1


def test_offsets_that_leave_one_coin_each_change_the_scale(new_protocol):
    """Every time 12,001 are cut to one; after three the product is under its least and a scale begins."""
    protocol = deploy_with_pool(new_protocol, replace(TERMS, entry_delay=60))
    owners = [f"borrower_{i}" for i in range(7)]
    for owner in owners:
        protocol.borrow(owner, "WETH", 10 * WAD, 12_000 * WAD)
    protocol.post_price("WETH", 1_700 * RAY)
    members = "alice", "bob", "carol"
    product, scale, scales = ONE, 0, []
    for i, owner in enumerate(owners):
        member = members[i % 3]
        missing = 12_001 * WAD - protocol.read(f"{POOL}.totalSupply")
        protocol.do(f"{POOL}.deposit", missing, sender=member)
        protocol.advance(120)
        liquidate_vaults(protocol, owner)
        if product // 12_001 < ONE // STEP:
            product, scale = product * STEP, scale + 1
        product //= 12_001
        scales.append(scale)
        assert protocol.read(f"{POOL}.state")[:3] == (product, WAD, scale)
    assert scales == [0, 0, 1, 1, 2, 2, 3]
    has = [read_member(protocol, member) for member in members]
    # The last depositor has nearly all of the coin that is left.
    assert WAD - 10**15 < sum(member.coins for member in has) <= WAD
    assert WAD - has[0].coins < 10**15
    collateral = 7 * (BOUGHT - REWARD)
    assert collateral - 10**6 < sum(member.collateral for member in has) <= collateral
    # bob came in twice, the second time with 12,000 of 12,001 coins, and carol as often.
    for member in members:
        protocol.do(f"{POOL}.claim", member, False, sender=member)
    assert [read_member(protocol, member).coins for member in members] == [member.coins for member in has]
    assert 0 <= protocol.read("WETH.balanceOf", POOL) < 10**6


def test_a_stake_counts_sums_of_three_scales(new_protocol):
    """alice stays from the beginning: after each offset she has her part of it, and of the last nothing."""
    protocol = deploy_with_pool(new_protocol, replace(TERMS, entry_delay=60))
    owners = [f"borrower_{i}" for i in range(7)]
    for owner in owners:
        protocol.borrow(owner, "WETH", 10 * WAD, 12_000 * WAD)
    protocol.post_price("WETH", 1_700 * RAY)
    gained, coins = Fraction(0), Fraction(12_001 * WAD)
    protocol.do(f"{POOL}.deposit", 12_001 * WAD, sender="alice")
    for i, owner in enumerate(owners):
        if i:
            protocol.do(f"{POOL}.deposit", 12_000 * WAD, sender="bob")
        protocol.advance(120)
        liquidate_vaults(protocol, owner)
        # One coin of 12,001: her part of the offset's collateral.
        gained += (BOUGHT - REWARD) * coins / (12_001 * WAD)
        coins /= 12_001
        has = read_member(protocol, "alice")
        assert 0 <= coins - has.coins < 2
        assert 0 <= gained - has.collateral < 2
    assert has.coins == 0


def test_an_owners_surplus_can_be_withdrawn_at_once(pooled):
    deposit_coins(pooled, "alice", 20_000 * WAD)
    pooled.post_price("WETH", 1_700 * RAY)
    liquidate_vaults(pooled, "borrower")
    left = 10 * WAD - BOUGHT
    pooled.do("VaultEngine.repay_and_withdraw", WETH, "borrower", 0, left, "borrower", sender="borrower")
    assert pooled.read("WETH.balanceOf", "borrower") == left


def test_the_shortest_wait_before_a_part_in_a_liquidation(pooled):
    """A second under the delay there is no part in it, at the delay there is."""
    deposit_coins(pooled, "alice", 20_000 * WAD)
    pooled.post_price("WETH", 1_700 * RAY)
    pooled.do(f"{POOL}.deposit", 20_000 * WAD, sender="bob")
    pooled.advance(2 * ENTRY_DELAY - 1)
    for wait, has_part in ((0, False), (1, True)):
        with pooled.lockstep.fork_state():
            pooled.advance(wait)
            liquidate_vaults(pooled, "borrower")
            assert (read_member(pooled, "bob").collateral > 0) == has_part
