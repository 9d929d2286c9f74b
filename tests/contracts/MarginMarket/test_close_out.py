"""begin_close and close_out: in settlement all positions end at final prices, and all are paid alike."""

import pytest

from backstop.deployment.signing import trader
from backstop.model.arithmetic import WAD
from tests.support.auctions import event, stablecoins
from tests.support.helpers import reverts
from tests.support.margin import BTC, ETH, begin, books, cash, deposit, fill, interest, liquidate, move, stage
from tests.support.settling import begin as settle


@pytest.fixture
def closing(open_interest):
    """The long owes 500 more than it has; the shorts gained 3,500."""
    fill(open_interest, "third", "taker", -100)
    move(open_interest, "WETH", 1_650)
    settle(open_interest)
    open_interest.do("MarginMarket.begin_close", sender="stranger")
    return open_interest


def close(protocol, long, short, lots, market=ETH):
    accounts = trader(long), trader(short)
    protocol.do("MarginMarket.close_out", *accounts, market, lots, sender="stranger")


def withdraw(protocol, name, amount):
    protocol.do("MarginMarket.withdraw", amount, name, sender=trader(name))


def test_in_settlement_only_and_once(open_interest):
    with reverts("margin_market: no settlement"):
        open_interest.do("MarginMarket.begin_close", sender="stranger")
    with reverts("margin_market: not closing"):
        close(open_interest, "maker", "taker", 1)
    settle(open_interest)
    open_interest.do("MarginMarket.begin_close", sender="stranger")
    assert open_interest.read("MarginMarket.closing_since") == open_interest.timestamp
    with reverts("margin_market: closes once"):
        open_interest.do("MarginMarket.begin_close", sender="stranger")


def test_all_end_at_the_final_price_and_bear_what_is_missing_alike(closing):
    close(closing, "maker", "taker", 400)
    assert event(closing, "ClosedOut", "MarginMarket") == (trader("maker"), trader("taker"), ETH, 400)
    with reverts("margin_market: still open"):
        withdraw(closing, "liquidator", 1)
    close(closing, "maker", "third", 100)
    close(closing, "maker", "taker", 500)
    assert interest(closing) == (0, 0, 0, 500 * WAD)
    assert event(closing, "LossLeft", "MarginMarket") == (trader("maker"), ETH, 500 * WAD)
    found = [cash(closing, name) for name in ("maker", "taker", "third", "liquidator")]
    assert found == [0, 23_150 * WAD, 10_350 * WAD, 50_000 * WAD]
    # 83,000 are held for 83,500: whoever comes first gets no more than the last.
    withdraw(closing, "liquidator", 25_000 * WAD)
    withdraw(closing, "third", 10_350 * WAD)
    withdraw(closing, "liquidator", 25_000 * WAD)
    withdraw(closing, "taker", 23_150 * WAD)
    assert abs(stablecoins(closing, "liquidator") - 50_000 * WAD * 83_000 // 83_500) <= 2
    locked = closing.read("MarginFund.unvested")
    assert (
        abs(
            stablecoins(closing, "taker")
            + stablecoins(closing, "third")
            + locked
            - (33_500 * WAD * 83_000 // 83_500)
        )
        <= 4
    )
    assert closing.read("MarginMarket.held") <= 3
    assert interest(closing).unpaid == books(closing) == 0


def test_with_whomever_it_is_the_same(closing):
    close(closing, "maker", "third", 37)
    close(closing, "maker", "taker", 900)
    close(closing, "maker", "third", 63)
    assert [cash(closing, name) for name in ("maker", "taker", "third")] == [0, 23_150 * WAD, 10_350 * WAD]


def test_no_more_than_is_open_and_the_right_way_round(closing):
    for long, short, lots in (("maker", "third", 101), ("taker", "maker", 1), ("maker", "maker", 1)):
        with reverts("margin_market: not that many"):
            close(closing, long, short, lots)
    with reverts(""):
        close(closing, "maker", "third", 2**255)


def test_nothing_else_goes_on(closing):
    with reverts("margin_market: prices are final"):
        fill(closing, "taker", "maker", 1)
    with reverts("margin_market: is closing"):
        liquidate(closing, "maker", 1)
    with reverts("margin_market: closes already"):
        begin(closing, "maker")
    deposit(closing, "maker", 500 * WAD)
    close(closing, "maker", "taker", 900)
    close(closing, "maker", "third", 100)
    assert interest(closing).unpaid == books(closing) == 0
    withdraw(closing, "taker", 23_150 * WAD)


def test_a_freeze_ends_first(open_interest):
    stage(open_interest, fourth=100_000)
    settle(open_interest)
    move(open_interest, "WETH", 1_650)
    begin(open_interest, "maker")
    with reverts("margin_market: freeze first"):
        open_interest.do("MarginMarket.begin_close", sender="stranger")
    open_interest.advance(3_601)
    open_interest.do("MarginMarket.begin_close", sender="stranger")


def test_an_account_that_has_another_position_is_not_done(closing):
    assert closing.read("MarginMarket.account_of", trader("maker")).markets == 1 << ETH
    close(closing, "maker", "third", 0, BTC)
    assert cash(closing, "maker") == -17_000 * WAD
