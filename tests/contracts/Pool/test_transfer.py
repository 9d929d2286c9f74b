"""transfer, transferFrom, approve: shares are an ERC-20."""

import pytest

from backstop.contract_base import ZERO_ADDRESS
from backstop.model.arithmetic import MAX_UINT256, WAD
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import charge_pool, cut_batch_and_wait_cooldown, redeem_all_shares


def test_transfer_moves_shares(savers):
    before = savers.read("Savings.balanceOf", "saver")
    assert savers.do("Savings.transfer", "stranger", 100, sender="saver") is True
    assert savers.read("Savings.balanceOf", "stranger") == 100
    assert savers.read("Savings.balanceOf", "saver") == before - 100
    assert [log.event for log in savers.last.logs] == ["Transfer"]


def test_transfer_to_oneself_changes_nothing(savers):
    before = savers.read("Savings.balanceOf", "saver")
    savers.do("Savings.transfer", "saver", before, sender="saver")
    assert savers.read("Savings.balanceOf", "saver") == before


def test_transfer_needs_the_balance(savers):
    with reverts("shares: balance too small"):
        savers.do("Savings.transfer", "saver", 1, sender="stranger")


@pytest.mark.parametrize("receiver", [ZERO_ADDRESS, "Savings"], ids=["zero", "the pool"])
def test_transfer_refuses_a_receiver_that_cannot_own(savers, receiver):
    with reverts("shares: bad receiver"):
        savers.do("Savings.transfer", receiver, 1, sender="saver")
    savers.do("Savings.approve", "stranger", 1, sender="saver")
    with reverts("shares: bad receiver"):
        savers.do("Savings.transferFrom", "saver", receiver, 1, sender="stranger")


def test_nobody_moves_the_shares_of_the_zero_address(savers):
    with reverts("shares: bad owner"):
        savers.do("Savings.transferFrom", ZERO_ADDRESS, "stranger", 0, sender="stranger")


def test_claims_for_losses_before_stay_with_who_bore_them(junior):
    charge_pool(junior, "Young", 400 * WAD)
    junior.do("Young.transfer", "newcomer", 3_000 * WAD * 10**6, sender="saver")
    assert 300 * WAD - 10**6 < junior.read("Young.Claims.balanceOf", "saver") <= 300 * WAD
    assert junior.read("Young.balanceOf", "saver") == 0
    charge_pool(junior, "Young", 400 * WAD)
    for who, claims in (("saver", 300), ("newcomer", 300), ("neighbour", 200)):
        junior.do("Young.collect_claims", who, sender="stranger")
        assert 0 <= claims * WAD - junior.read("Young.Claims.balanceOf", who) < 10**7


def test_the_receiver_is_settled_too(junior):
    charge_pool(junior, "Young", 400 * WAD)
    junior.do("Young.approve", "stranger", MAX_UINT256, sender="saver")
    junior.do("Young.transferFrom", "saver", "neighbour", 10**24, sender="stranger")
    assert 100 * WAD - 10**6 < junior.read("Young.Claims.balanceOf", "neighbour") <= 100 * WAD
    assert 300 * WAD - 10**6 < junior.read("Young.Claims.balanceOf", "saver") <= 300 * WAD


def test_transfer_from_spends_the_allowance(savers):
    savers.do("Savings.approve", "stranger", 150, sender="saver")
    savers.do("Savings.transferFrom", "saver", "stranger", 100, sender="stranger")
    assert savers.read("Savings.allowance", "saver", "stranger") == 50
    with reverts("shares: allowance too small"):
        savers.do("Savings.transferFrom", "saver", "stranger", 51, sender="stranger")


def test_transfer_from_leaves_an_endless_allowance(savers):
    savers.do("Savings.approve", "stranger", MAX_UINT256, sender="saver")
    savers.do("Savings.transferFrom", "saver", "stranger", 100, sender="stranger")
    assert savers.read("Savings.allowance", "saver", "stranger") == MAX_UINT256


def test_transfer_from_needs_the_balance(savers):
    savers.do("Savings.approve", "stranger", MAX_UINT256, sender="saver")
    with reverts("shares: balance too small"):
        savers.do("Savings.transferFrom", "saver", "stranger", MAX_UINT256, sender="stranger")


def test_approve_sets_and_logs(savers):
    assert savers.do("Savings.approve", "stranger", 7, sender="saver") is True
    assert savers.last.logs[0].values == (savers.address("saver"), savers.address("stranger"), 7)


def test_approve_refuses_the_zero_address(savers):
    with reverts("shares: bad spender"):
        savers.do("Savings.approve", ZERO_ADDRESS, 7, sender="saver")


def test_new_shares_of_another_owner_can_leave_with_him(savers):
    savers.do("Savings.transfer", "stranger", 10**24, sender="saver")
    savers.do("Savings.requestRedeem", 10**24, "stranger", "stranger", sender="stranger")
    cut_batch_and_wait_cooldown(savers)
    assert redeem_all_shares(savers, "stranger") == 10**18
