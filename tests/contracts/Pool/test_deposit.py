"""deposit: assets in, shares out, rounded down, at a price that cannot be inflated."""

import pytest

from backstop.contract_base import ZERO_ADDRESS
from backstop.model.arithmetic import MAX_UINT256, WAD
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import (
    DAY,
    XAU,
    compute_entry_shares,
    cut_batch,
    deposit_savings,
    give_stablecoin,
    lose_new_vault,
    request_all_shares,
)

CALL = "Savings.deposit"


@pytest.fixture
def funded(protocol):
    give_stablecoin(protocol, "saver", 1_000 * WAD)
    protocol.do("Stablecoin.approve", "Savings", MAX_UINT256, sender="saver")
    return protocol


def test_the_first_deposit_gets_a_million_shares_for_each_wei(funded):
    assert funded.do(CALL, 1_000 * WAD, "saver", sender="saver") == 1_000 * WAD * 10**6
    assert funded.read("Savings.balanceOf", "saver") == 1_000 * WAD * 10**6


def test_books_what_it_pulls(funded):
    funded.do(CALL, 400 * WAD, "saver", sender="saver")
    assert funded.read("Savings.totalAssets") == 400 * WAD
    assert funded.read("Stablecoin.balanceOf", "Savings") == 400 * WAD
    assert funded.read("Stablecoin.balanceOf", "saver") == 600 * WAD


def test_shares_go_to_the_receiver(funded):
    shares = funded.do(CALL, 400 * WAD, "neighbour", sender="saver")
    assert funded.read("Savings.balanceOf", "neighbour") == shares
    assert funded.read("Savings.balanceOf", "saver") == 0


def test_logs_the_deposit(funded):
    shares = funded.do(CALL, 400 * WAD, "neighbour", sender="saver")
    deposits = [log.values for log in funded.last.logs if log.event == "Deposit"]
    assert deposits == [(funded.address("saver"), funded.address("neighbour"), 400 * WAD, shares)]


def test_a_second_deposit_pays_the_same_price(savers):
    assert savers.read("Savings.balanceOf", "saver") == 3 * savers.read("Savings.balanceOf", "neighbour")


def test_after_a_loss_shares_are_rounded_down(savers):
    lose_new_vault(savers)
    savers.do("LossWaterfall.cover", XAU, sender="stranger")
    give_stablecoin(savers, "newcomer", 1_001)
    savers.do("Stablecoin.approve", "Savings", MAX_UINT256, sender="newcomer")
    expected = compute_entry_shares(savers, 1_001)
    assert expected > 1_001 * 10**6
    assert savers.do(CALL, 1_001, "newcomer", sender="newcomer") == expected


def test_whoever_enters_before_the_cover_bears_the_loss_too(savers):
    lose_new_vault(savers)
    before = deposit_savings(savers, "early", 10_000 * WAD)
    assert before == 10_000 * WAD * 10**6
    savers.do("LossWaterfall.cover", XAU, sender="stranger")
    assert deposit_savings(savers, "late", 10_000 * WAD) > before


def test_a_donation_does_not_change_the_price(savers):
    give_stablecoin(savers, "attacker", 50_000 * WAD)
    price = savers.read("Savings.convertToAssets", WAD)
    savers.do("Stablecoin.transfer", "Savings", 50_000 * WAD, sender="attacker")
    assert savers.read("Savings.convertToAssets", WAD) == price
    assert savers.read("Savings.totalAssets") == 40_000 * WAD


def test_a_deposit_that_gets_no_shares_is_refused(funded):
    with reverts("pool: no shares"):
        funded.do(CALL, 0, "saver", sender="saver")


def test_a_deposit_too_small_for_a_share_is_refused(junior):
    """Income that vested while the pool had no members makes a share dear."""
    for who in ("saver", "neighbour"):
        request_all_shares(junior, who, "Young")
    cut_batch(junior, "Young")
    junior.do("Young.add_income", 700 * WAD, sender="payer")
    junior.advance(7 * DAY)
    assert junior.read("Young.totalSupply") == 0
    assert junior.read("Young.totalAssets") == 700 * WAD
    # (700e18 + 1) / 1e6 wei for a share.
    dearest = 700 * 10**12
    give_stablecoin(junior, "newcomer", WAD)
    junior.do("Stablecoin.approve", "Young", MAX_UINT256, sender="newcomer")
    with reverts("pool: no shares"):
        junior.do("Young.deposit", dearest, "newcomer", sender="newcomer")
    assert junior.do("Young.deposit", dearest + 1, "newcomer", sender="newcomer") == 1


def test_needs_an_allowance(protocol):
    give_stablecoin(protocol, "saver", WAD)
    with reverts("erc20: insufficient allowance"):
        protocol.do(CALL, WAD, "saver", sender="saver")


def test_needs_the_balance(funded):
    with reverts("erc20: transfer amount exceeds balance"):
        funded.do(CALL, 1_000 * WAD + 1, "saver", sender="saver")


def test_shares_are_not_sent_to_the_zero_address(funded):
    with reverts("shares: bad receiver"):
        funded.do(CALL, WAD, ZERO_ADDRESS, sender="saver")


def test_an_absurd_amount_is_refused(savers):
    with reverts(""):
        savers.do(CALL, MAX_UINT256, "saver", sender="saver")
    with reverts("pool: too many assets"):
        savers.do(CALL, savers.read("Savings.maxDeposit", "saver") + 1, "saver", sender="saver")


def test_a_token_that_returns_false_brings_no_shares(protocol, false_pool):
    with reverts("pool: transfer in failed"):
        protocol.do(f"{false_pool}.deposit", WAD, "saver", sender="saver")
    assert protocol.read(f"{false_pool}.totalSupply") == 0


def test_a_token_that_returns_nothing_is_fine(protocol, silent_pool):
    assert protocol.read("SIL.balanceOf", silent_pool) == WAD
    assert protocol.read(f"{silent_pool}.balanceOf", "saver") == WAD * 10**6
