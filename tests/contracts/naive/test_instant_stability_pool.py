"""The naive stability pool: members come and go in one block, and bear all of a debt."""

from dataclasses import replace

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.stability_pool_members import read_member
from tests.support.stability_pool_steps import POOL, TERMS, WETH, deploy_with_pool, liquidate_vaults

GAINED = 7_374_705_882_352_941_178
"""12,000 and 5% at 1,700 less a reward of 0.5%, in ether [wad]."""


@pytest.fixture
def naive(new_protocol):
    protocol = deploy_with_pool(new_protocol, contract="InstantStabilityPool")
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    return protocol


def deposit(protocol, member, amount, has_claim=True):
    protocol.do(f"{POOL}.deposit", amount, has_claim, sender=member)


def withdraw(protocol, member, amount, has_claim=True):
    return protocol.do(f"{POOL}.withdraw", amount, has_claim, sender=member)


def test_who_enters_in_the_block_of_a_liquidation_has_most_of_it(naive):
    """And leaves with it in the same block: alice bore the wait, bob gets nine tenths."""
    deposit(naive, "alice", 10_000 * WAD)
    naive.post_price("WETH", 1_700 * RAY)
    deposit(naive, "bob", 90_000 * WAD)
    liquidate_vaults(naive, "borrower")
    assert withdraw(naive, "bob", 90_000 * WAD) == 79_200 * WAD
    assert naive.read("WETH.balanceOf", "bob") == GAINED * 9 // 10
    assert read_member(naive, "alice") == (8_800 * WAD, 0, 0, 0, GAINED // 10, 0)


def test_who_leaves_ahead_of_a_loss_leaves_it_to_the_others(naive):
    """The pool pays all of the debt for 9.95 ether that are worth 10,945."""
    for member in ("alice", "bob"):
        deposit(naive, member, 12_001 * WAD)
    naive.post_price("WETH", 1_100 * RAY)
    assert withdraw(naive, "bob", 12_001 * WAD) == 12_001 * WAD
    liquidate_vaults(naive, "borrower")
    assert naive.read("VaultEngine.deficit_of", WETH) == 0
    assert read_member(naive, "alice")[4] == 995 * WAD // 100 - 1
    assert WAD - 2 <= read_member(naive, "alice")[0] <= WAD


def test_income_is_shared_at_once(naive):
    deposit(naive, "alice", 100 * WAD)
    deposit(naive, "bob", 300 * WAD)
    naive.do(f"{POOL}.add_income", 40 * WAD, sender="carol")
    assert withdraw(naive, "bob", 300 * WAD) == 300 * WAD
    assert naive.read("Stablecoin.balanceOf", "bob") == 100_030 * WAD
    assert read_member(naive, "alice").income == 10 * WAD


def test_income_waits_for_a_coin(naive):
    naive.do(f"{POOL}.add_income", 40 * WAD, sender="carol")
    deposit(naive, "alice", WAD - 1)
    assert read_member(naive, "alice").income == 0
    deposit(naive, "alice", 1)
    assert read_member(naive, "alice").income == 40 * WAD


def test_gains_that_stay(naive):
    """Income joins the coins at once, and collateral waits."""
    deposit(naive, "alice", 20_000 * WAD)
    naive.post_price("WETH", 1_700 * RAY)
    liquidate_vaults(naive, "borrower")
    naive.do(f"{POOL}.add_income", 40 * WAD, sender="carol")
    deposit(naive, "alice", WAD, False)
    assert read_member(naive, "alice") == (8_041 * WAD, 0, 0, 0, GAINED, 0)
    naive.do(f"{POOL}.add_income", 40 * WAD, sender="carol")
    assert withdraw(naive, "alice", 41 * WAD, False) == 41 * WAD
    has = read_member(naive, "alice")
    assert 8_040 * WAD - 2 <= has.coins <= 8_040 * WAD and has[4:] == (GAINED, 0)
    assert naive.read(f"{POOL}.totalSupply") - has.coins <= 2
    assert naive.read("WETH.balanceOf", "alice") == 0
    assert withdraw(naive, "alice", 0, True) == 0
    assert naive.read("WETH.balanceOf", "alice") == GAINED


@pytest.mark.parametrize("method", ["deposit", "withdraw"])
def test_whole_units_of_a_token(naive, method):
    """Only those are paid out; a fraction of a unit stays, and counts with the next gain."""
    pool = "StabilityPool.WBTC"
    for member, amount in (("alice", 20_000 * WAD), ("bob", 10_000 * WAD)):
        naive.do("Stablecoin.approve", pool, 2**255, sender=member)
        naive.do(f"{pool}.deposit", amount, True, sender=member)
    naive.borrow("borrower", "WBTC", WAD, 25_000 * WAD)
    naive.post_price("WBTC", 36_000 * RAY)
    liquidate_vaults(naive, "borrower", pool=pool)
    has = read_member(naive, "alice", pool).collateral
    assert has % 10**10 != 0
    naive.do(f"{pool}.{method}", WAD, True, sender="alice")
    assert naive.read("WBTC.balanceOf", "alice") == has // 10**10
    assert read_member(naive, "alice", pool).collateral == has % 10**10


def test_refusals(naive):
    with reverts("instant_pool: no coins"):
        deposit(naive, "alice", 0)
    deposit(naive, "alice", 10 * WAD)
    with reverts("instant_pool: one coin stays"):
        withdraw(naive, "alice", 10 * WAD)
    assert withdraw(naive, "alice", 9 * WAD) == 9 * WAD
    with reverts("instant_pool: too many coins"):
        deposit(naive, "bob", 2**96 - WAD)
    with reverts("erc20: transfer amount exceeds balance"):
        deposit(naive, "bob", 2**96 - 1 - WAD)
    with reverts(""):
        deposit(naive, "bob", 2**256 - 1)
    wanted = WETH, "borrower", *(2**255,) * 3, "alice", b""
    naive.post_price("WETH", 1_700 * RAY)
    with reverts("stability_pool: not for sale"):
        naive.do("LiquidationEngine.liquidate_and_buy", *wanted, sender="alice")


def test_an_auction_where_the_coins_are_too_few(naive):
    """It needs 2,000 of 12,000, at any worth of the collateral."""
    deposit(naive, "alice", 2_001 * WAD)
    naive.post_price("WETH", 1_000 * RAY)
    with reverts("liquidation_engine: no sale"):
        liquidate_vaults(naive, "borrower")
    with naive.lockstep.fork_state():
        # Here a floor of debt is 2,000.000..1, as ten ether are no multiple of six units.
        deposit(naive, "alice", 1_200)
        with reverts("liquidation_engine: no auctions"):
            naive.do("LiquidationEngine.liquidate", WETH, "borrower", "keeper", sender="keeper")
    assert naive.do("LiquidationEngine.liquidate", WETH, "borrower", "keeper", sender="keeper") == 1


def test_an_auction_while_the_feed_is_dead(naive):
    deposit(naive, "alice", 20_000 * WAD)
    naive.post_price("WETH", 1_700 * RAY)
    naive.advance(naive.read("PriceFeed.prices_of", WETH).fresh_until + 3 * 86_400 + 1 - naive.timestamp)
    assert naive.do("LiquidationEngine.liquidate", WETH, "borrower", "keeper", sender="keeper") == 1


def test_a_rest_that_is_written_off(new_protocol):
    terms = replace(TERMS, has_write_off=True)
    protocol = deploy_with_pool(new_protocol, terms, contract="InstantStabilityPool")
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    deposit(protocol, "alice", 6_001 * WAD)
    protocol.post_price("WETH", 1_000 * RAY)
    liquidate_vaults(protocol, "borrower")
    assert protocol.read("VaultEngine.deficit_of", WETH) == 6_000 * RAD
    assert protocol.read("VaultEngine.salvage_of", WETH) == 5 * WAD
