"""transfer, transferFrom: tokens move, the cash that they were paid before stays."""

from backstop.model.arithmetic import MAX_UINT256, WAD
from tests.support.revert_setter_and_source_helpers import reverts


def test_moves_tokens(owed):
    assert owed.do("pool.Claims.transfer", "stranger", 30 * WAD, sender="saver") is True
    assert owed.read("pool.Claims.balanceOf", "saver") == 270 * WAD
    assert owed.read("pool.Claims.balanceOf", "stranger") == 30 * WAD


def test_both_are_settled_first(owed):
    owed.do("pool.Claims.repay", 100 * WAD, sender="payer")
    owed.do("pool.Claims.approve", "stranger", MAX_UINT256, sender="saver")
    owed.do("pool.Claims.transferFrom", "saver", "neighbour", 300 * WAD, sender="stranger")
    assert owed.read("pool.Claims.cash", "saver") == 75 * WAD
    assert owed.read("pool.Claims.cash", "neighbour") == 25 * WAD
    owed.do("pool.Claims.repay", 100 * WAD, sender="payer")
    assert owed.read("pool.Claims.cash_of", "saver", 0) == 75 * WAD
    assert owed.read("pool.Claims.cash_of", "neighbour", 0) == 125 * WAD


def test_to_oneself_changes_nothing(owed):
    owed.do("pool.Claims.repay", 100 * WAD, sender="payer")
    owed.do("pool.Claims.transfer", "saver", 300 * WAD, sender="saver")
    assert owed.read("pool.Claims.balanceOf", "saver") == 300 * WAD
    assert owed.read("pool.Claims.cash", "saver") == 75 * WAD


def test_not_more_than_one_has(owed):
    with reverts("shares: balance too small"):
        owed.do("pool.Claims.transfer", "stranger", 300 * WAD + 1, sender="saver")


def test_not_on_too_small_an_allowance(owed):
    owed.do("pool.Claims.approve", "stranger", 1, sender="saver")
    with reverts("shares: allowance too small"):
        owed.do("pool.Claims.transferFrom", "saver", "stranger", 2, sender="stranger")
