"""burn: the owner of equity, or a spender with an allowance, destroys it."""

from backstop.model.arithmetic import MAX_UINT256, WAD
from tests.support.revert_setter_and_source_helpers import reverts


def give_some(equity):
    equity.do("Equity.transfer", "holder", 10 * WAD, sender="admin")


def test_ones_own(equity):
    give_some(equity)
    supply = equity.read("Equity.totalSupply")
    equity.do("Equity.burn", "holder", 4 * WAD, sender="holder")
    assert equity.read("Equity.balanceOf", "holder") == 6 * WAD
    assert equity.read("Equity.totalSupply") == supply - 4 * WAD


def test_no_more_than_one_has(equity):
    give_some(equity)
    with reverts("erc20: burn amount exceeds balance"):
        equity.do("Equity.burn", "holder", 10 * WAD + 1, sender="holder")


def test_somebody_elses_needs_an_allowance(equity):
    give_some(equity)
    for sender in ("stranger", "admin", "minter"):
        with reverts("erc20: insufficient allowance"):
            equity.do("Equity.burn", "holder", 1, sender=sender)
    equity.do("Equity.approve", "spender", 3 * WAD, sender="holder")
    equity.do("Equity.burn", "holder", 2 * WAD, sender="spender")
    assert equity.read("Equity.allowance", "holder", "spender") == WAD
    with reverts("erc20: insufficient allowance"):
        equity.do("Equity.burn", "holder", WAD + 1, sender="spender")


def test_an_allowance_without_limit_stays(equity):
    give_some(equity)
    equity.do("Equity.approve", "spender", MAX_UINT256, sender="holder")
    equity.do("Equity.burn", "holder", 2 * WAD, sender="spender")
    assert equity.read("Equity.allowance", "holder", "spender") == MAX_UINT256


def test_what_is_burned_makes_no_room_under_the_cap(equity):
    equity.do("Equity.mint", "holder", 1_000 * WAD, sender="minter")
    equity.do("Equity.burn", "holder", 1_000 * WAD, sender="holder")
    assert equity.read("Equity.mintable") == 0
