"""deposit: coins come in, and take part after one to two entry delays."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.auction_steps import get_only_event_values
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.settlement_steps import start_settlement
from tests.support.stability_pool_members import flag_vault, read_member
from tests.support.stability_pool_steps import ENTRY_DELAY, POOL, deposit_coins, liquidate_vaults

HUNDRED = 100 * WAD


def test_coins_wait_and_are_booked(pooled):
    epoch = pooled.timestamp // ENTRY_DELAY
    pooled.do(f"{POOL}.deposit", HUNDRED, sender="alice")
    told = get_only_event_values(pooled, "Deposited", POOL)
    assert told == (pooled.address("alice"), HUNDRED, epoch)
    assert read_member(pooled, "alice") == (0, HUNDRED, 0, 0, 0, 0)
    assert pooled.read(f"{POOL}.totalSupply") == 0
    assert pooled.read(f"{POOL}.entries_waiting") == (epoch, HUNDRED, 0, 0)
    assert pooled.read("Stablecoin.balanceOf", POOL) == HUNDRED


def test_an_empty_deposit(pooled):
    with reverts("stability_pool: empty deposit"):
        pooled.do(f"{POOL}.deposit", 0, sender="alice")


def test_a_second_deposit_of_an_epoch_joins_the_first(pooled):
    """One of a later epoch waits until the first takes part; other members' come in beside it."""
    epoch = pooled.timestamp // ENTRY_DELAY
    pooled.do(f"{POOL}.deposit", HUNDRED, sender="alice")
    pooled.do(f"{POOL}.deposit", WAD, sender="alice")
    assert pooled.read(f"{POOL}.entries_waiting") == (epoch, 101 * WAD, 0, 0)
    pooled.advance(ENTRY_DELAY)
    with reverts("stability_pool: entry waits"):
        pooled.do(f"{POOL}.deposit", WAD, sender="alice")
    pooled.do(f"{POOL}.deposit", 3 * WAD, sender="bob")
    pooled.do(f"{POOL}.deposit", 4 * WAD, sender="bob")
    assert pooled.read(f"{POOL}.entries_waiting") == (epoch, 101 * WAD, epoch + 1, 7 * WAD)
    pooled.advance(ENTRY_DELAY)
    # Before this one comes in alice's first is admitted; she has some of both kinds then.
    pooled.do(f"{POOL}.deposit", 5 * WAD, sender="alice")
    assert pooled.read(f"{POOL}.entries_waiting") == (epoch + 1, 7 * WAD, epoch + 2, 5 * WAD)
    assert pooled.read(f"{POOL}.totalSupply") == 101 * WAD
    assert [read_member(pooled, who)[:2] for who in ("alice", "bob")] == [(101 * WAD, 5 * WAD), (0, 7 * WAD)]


def test_the_last_of_a_newer_batch_leaves_it(pooled):
    """Both batches are bob's and carol's alone; each moves on by itself."""
    epoch = pooled.timestamp // ENTRY_DELAY
    pooled.do(f"{POOL}.deposit", HUNDRED, sender="bob")
    pooled.advance(ENTRY_DELAY)
    pooled.do(f"{POOL}.deposit", WAD, sender="carol")
    pooled.do(f"{POOL}.deposit", 2 * WAD, sender="carol")
    assert pooled.read(f"{POOL}.entries_waiting") == (epoch, HUNDRED, epoch + 1, 3 * WAD)


def test_a_deposit_while_debt_is_at_risk(pooled):
    pooled.post_price("WETH", 1_700 * RAY)
    flag_vault(pooled)
    with reverts("stability_pool: debt at risk"):
        pooled.do(f"{POOL}.deposit", HUNDRED, sender="alice")
    pooled.post_price("WETH", 1_740 * RAY)
    flag_vault(pooled)
    pooled.do(f"{POOL}.deposit", HUNDRED, sender="alice")


def test_a_deposit_just_after_a_fall_of_a_price(pooled):
    """Of any type's, by 5%: ten minutes long, to the second."""
    pooled.post_next("WBTC", 57_000 * RAY)
    assert pooled.read("PriceFeed.withdrawals_paused_until") == pooled.timestamp + 600
    pooled.advance(599)
    with reverts("stability_pool: debt at risk"):
        pooled.do(f"{POOL}.deposit", HUNDRED, sender="alice")
    pooled.advance(1)
    pooled.do(f"{POOL}.deposit", HUNDRED, sender="alice")


def test_a_deposit_in_settlement(pooled):
    start_settlement(pooled)
    with reverts("stability_pool: settling"):
        pooled.do(f"{POOL}.deposit", HUNDRED, sender="alice")


def test_more_coins_than_there_can_be(pooled):
    """Those that take part and those that wait have 96 bits together."""
    deposit_coins(pooled, "alice", HUNDRED)
    pooled.do(f"{POOL}.deposit", HUNDRED, sender="bob")
    pooled.advance(ENTRY_DELAY)
    pooled.do(f"{POOL}.deposit", HUNDRED, sender="carol")
    most = 2**96 - 1 - 3 * HUNDRED
    with reverts("stability_pool: too many coins"):
        pooled.do(f"{POOL}.deposit", most + 1, sender="carol")
    with reverts("erc20: transfer amount exceeds balance"):
        pooled.do(f"{POOL}.deposit", most, sender="carol")
    with reverts(""):
        pooled.do(f"{POOL}.deposit", 2**256 - 1, sender="carol")


def test_a_deposit_without_an_allowance(pooled):
    with reverts("erc20: insufficient allowance"):
        pooled.do(f"{POOL}.deposit", HUNDRED, sender="keeper")


def test_a_deposit_counts_gains_first(pooled):
    """A stake keeps its gains, and later deposits have no part in them."""
    deposit_coins(pooled, "alice", 20_000 * WAD)
    pooled.post_price("WETH", 1_700 * RAY)
    liquidate_vaults(pooled, "borrower")
    before = read_member(pooled, "alice")
    pooled.do(f"{POOL}.deposit", HUNDRED, sender="alice")
    assert read_member(pooled, "alice") == before._replace(entry=HUNDRED)
    # 12,600 at 1,700 are 7.4117647058823529.. ether, of which the liquidator has 0.5%.
    assert before[:1] == (8_000 * WAD,) and before.collateral == 7_374_705_882_352_941_178


@pytest.mark.parametrize("second, has_part", [(3_600, False), (3_601, True)])
def test_the_second_before_an_admission_and_at_it(pooled, second, has_part):
    """A deposit in the last second of an epoch waits for an epoch and a second, the shortest time."""
    pooled.advance(-pooled.timestamp % ENTRY_DELAY + ENTRY_DELAY - 1)
    pooled.do(f"{POOL}.deposit", HUNDRED, sender="alice")
    pooled.advance(second)
    pooled.do(f"{POOL}.admit", sender="stranger")
    assert pooled.read(f"{POOL}.totalSupply") == HUNDRED * has_part
