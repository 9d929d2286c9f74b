"""deposit: cash for an account, by anyone, whatever else is the matter."""

import pytest

from backstop.deployment.signing import trader
from backstop.model.arithmetic import MAX_UINT256, WAD
from tests.support.auctions import event, stablecoins
from tests.support.guards import EMERGENCY, with_guards
from tests.support.helpers import reverts
from tests.support.margin import begin, books, cash, deposit, move, opened, with_margin
from tests.support.policy import set_mode


def test_is_cash_and_what_may_leave_without_vesting(margin):
    deposit(margin, "maker", 5 * WAD + 1)
    assert event(margin, "Deposited", "MarginMarket") == (
        trader("maker"),
        margin.address("rich"),
        5 * WAD + 1,
    )
    assert cash(margin, "maker") == margin.read("MarginMarket.paid_in", trader("maker")) == 5 * WAD + 1
    assert margin.read("MarginMarket.held") == stablecoins(margin, "MarginMarket") == 5 * WAD + 1
    assert books(margin) == 0


def test_stablecoin_that_nobody_booked_changes_nothing(margin):
    margin.do("Stablecoin.transfer", "MarginMarket", WAD, sender="rich")
    assert margin.read("MarginMarket.held") == 0
    with reverts("margin_market: more than it has"):
        margin.do("MarginMarket.withdraw", 1, "stranger", sender=trader("maker"))


def test_in_an_emergency_without_prices_and_in_a_freeze(open_interest):
    open_interest.advance(30 * 86_400)
    deposit(open_interest, "maker", 1)
    move(open_interest, "WETH", 1_500)
    assert begin(open_interest, "maker") == 1
    for name in ("maker", "taker", "third"):
        deposit(open_interest, name, 1)
    assert books(open_interest) == 0


def test_in_an_emergency(new_protocol):
    made = opened(new_protocol, with_margin(with_guards()))
    set_mode(made, EMERGENCY)
    deposit(made, "maker", WAD)
    assert cash(made, "maker") == WAD


@pytest.mark.parametrize(
    ("amount", "reason"),
    [(2**137, "margin_book: beyond all figures"), (MAX_UINT256, ""), (2**255, "")],
)
def test_amounts_beyond_all_figures(margin, amount, reason):
    with reverts(reason):
        margin.do("MarginMarket.deposit", trader("maker"), amount, sender="rich")


def test_what_the_payer_has_not(margin):
    with reverts("erc20: insufficient allowance"):
        margin.do("MarginMarket.deposit", trader("maker"), 1, sender="stranger")
