"""setOperator, isOperator: the operators that may request and claim for another account (ERC-7540)."""

from tests.support.revert_setter_and_source_helpers import reverts


def test_is_set_and_taken_back_and_logged(savers):
    saver, stranger = savers.address("saver"), savers.address("stranger")
    for approved in (True, True, False):
        assert savers.do("Savings.setOperator", "stranger", approved, sender="saver") is True
        assert savers.read("Savings.isOperator", "saver", "stranger") is approved
        logs = [log.values for log in savers.last.logs if log.event == "OperatorSet"]
        assert logs == [(saver, stranger, approved)]


def test_is_of_one_owner_and_one_operator(savers):
    savers.do("Savings.setOperator", "stranger", True, sender="saver")
    assert not savers.read("Savings.isOperator", "stranger", "saver")
    assert not savers.read("Savings.isOperator", "neighbour", "stranger")
    with reverts("shares: allowance too small"):
        savers.do("Savings.requestRedeem", 1, "stranger", "neighbour", sender="stranger")
    # It moves no shares, and gives no right to let others act.
    with reverts("shares: allowance too small"):
        savers.do("Savings.transferFrom", "saver", "stranger", 1, sender="stranger")
