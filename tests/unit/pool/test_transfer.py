"""transfer, transferFrom, approve: shares are an ERC-20."""

from offchain.model.arithmetic import MAX_UINT256
from offchain.model.state import ZERO_ADDRESS
from tests.helpers import reverts


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
    with reverts("erc20: transfer amount exceeds balance"):
        savers.do("Savings.transfer", "saver", 1, sender="stranger")


def test_transfer_refuses_the_zero_address(savers):
    with reverts("erc20: transfer to the zero address"):
        savers.do("Savings.transfer", ZERO_ADDRESS, 1, sender="saver")


def test_transfer_from_spends_the_allowance(savers):
    savers.do("Savings.approve", "stranger", 150, sender="saver")
    savers.do("Savings.transferFrom", "saver", "stranger", 100, sender="stranger")
    assert savers.read("Savings.allowance", "saver", "stranger") == 50
    with reverts("erc20: insufficient allowance"):
        savers.do("Savings.transferFrom", "saver", "stranger", 51, sender="stranger")


def test_transfer_from_leaves_an_endless_allowance(savers):
    savers.do("Savings.approve", "stranger", MAX_UINT256, sender="saver")
    savers.do("Savings.transferFrom", "saver", "stranger", 100, sender="stranger")
    assert savers.read("Savings.allowance", "saver", "stranger") == MAX_UINT256


def test_transfer_from_needs_the_balance(savers):
    savers.do("Savings.approve", "stranger", MAX_UINT256, sender="saver")
    with reverts("erc20: transfer amount exceeds balance"):
        savers.do("Savings.transferFrom", "saver", "stranger", MAX_UINT256, sender="stranger")


def test_approve_sets_and_logs(savers):
    assert savers.do("Savings.approve", "stranger", 7, sender="saver") is True
    assert savers.last.logs[0].values == (savers.address("saver"), savers.address("stranger"), 7)


def test_approve_refuses_the_zero_address(savers):
    with reverts("erc20: approve to the zero address"):
        savers.do("Savings.approve", ZERO_ADDRESS, 7, sender="saver")


def test_new_shares_of_another_owner_can_be_redeemed_by_him(savers):
    savers.do("Savings.transfer", "stranger", 10**24, sender="saver")
    savers.do("Savings.request_redeem", 10**24, sender="stranger")
    savers.advance(86_400)
    assert savers.do("Savings.redeem", 10**24, "stranger", "stranger", sender="stranger") == 10**18
