"""mint: a number of shares for assets rounded up."""

import pytest

from backstop.contract_base import ZERO_ADDRESS
from backstop.model.arithmetic import MAX_UINT256, WAD
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import XAU, give_stablecoin, lose_new_vault

CALL = "Savings.mint"


@pytest.fixture
def funded(protocol):
    give_stablecoin(protocol, "saver", 1_000 * WAD)
    protocol.do("Stablecoin.approve", "Savings", MAX_UINT256, sender="saver")
    return protocol


def test_pulls_what_the_shares_cost(funded):
    assert funded.do(CALL, 400 * WAD * 10**6, "saver", sender="saver") == 400 * WAD
    assert funded.read("Savings.totalAssets") == 400 * WAD
    assert funded.read("Stablecoin.balanceOf", "saver") == 600 * WAD


def test_rounds_the_price_up(funded):
    assert funded.do(CALL, 1, "saver", sender="saver") == 1
    assert funded.do(CALL, 10**6 + 1, "saver", sender="saver") == 2
    assert funded.do(CALL, 1, "saver", sender="saver") == 1


def test_shares_go_to_the_receiver_and_are_logged(funded):
    assets = funded.do(CALL, 10**20, "neighbour", sender="saver")
    assert funded.read("Savings.balanceOf", "neighbour") == 10**20
    deposits = [log.values for log in funded.last.logs if log.event == "Deposit"]
    assert deposits == [(funded.address("saver"), funded.address("neighbour"), assets, 10**20)]


def test_after_a_loss_shares_are_cheaper_but_never_free(savers):
    lose_new_vault(savers)
    savers.do("LossWaterfall.cover", XAU, sender="stranger")
    give_stablecoin(savers, "newcomer", 100 * WAD)
    savers.do("Stablecoin.approve", "Savings", MAX_UINT256, sender="newcomer")
    assert savers.do(CALL, 1, "newcomer", sender="newcomer") == 1
    assert savers.do(CALL, 100 * WAD * 10**6, "newcomer", sender="newcomer") < 100 * WAD


def test_no_shares_are_refused(funded):
    with reverts("pool: no shares"):
        funded.do(CALL, 0, "saver", sender="saver")


def test_needs_the_balance(funded):
    with reverts("erc20: transfer amount exceeds balance"):
        funded.do(CALL, 2_000 * WAD * 10**6, "saver", sender="saver")


def test_needs_an_allowance(protocol):
    give_stablecoin(protocol, "saver", WAD)
    with reverts("erc20: insufficient allowance"):
        protocol.do(CALL, 10**6, "saver", sender="saver")


def test_not_to_the_zero_address(funded):
    with reverts("shares: bad receiver"):
        funded.do(CALL, 10**6, ZERO_ADDRESS, sender="saver")


def test_more_shares_than_can_ever_exist_are_refused(savers):
    with reverts(""):
        savers.do(CALL, MAX_UINT256, "saver", sender="saver")


def test_a_token_that_returns_false_brings_no_shares(protocol, false_pool):
    with reverts("pool: transfer in failed"):
        protocol.do(f"{false_pool}.mint", 10**6, "saver", sender="saver")
