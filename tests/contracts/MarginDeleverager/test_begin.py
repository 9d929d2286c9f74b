"""begin: the fund pays first; what it cannot pay freezes a market."""

import pytest

from backstop.deployment.signing import trader
from backstop.model.arithmetic import WAD
from tests.support.auctions import event
from tests.support.helpers import reverts
from tests.support.margin import BTC, ETH, begin, books, fill, liquidate, move, stage, worth


def test_freezes_for_what_is_missing(insolvent):
    assert begin(insolvent, "maker") == 1
    assert event(insolvent, "LossCovered", "MarginMarket") == (trader("maker"), 1_000 * WAD, 0)
    assert event(insolvent, "Begun", "MarginDeleverager") == (1, trader("maker"), ETH, 1_000, 1_000 * WAD, 3)
    until = insolvent.timestamp + 3_600
    assert insolvent.read("MarginDeleverager.case_of") == (1, until, 3, True, 1_000, 1_000 * WAD)
    assert insolvent.read("MarginMarket.freeze_of") == (ETH, until)
    assert insolvent.read("MarginDeleverager.insolvent") == trader("maker")


def test_insurance_may_pay_all(insolvent):
    insolvent.do("MarginFund.insure", 1_000 * WAD, sender="rich")
    assert begin(insolvent, "maker") == 0
    assert worth(insolvent, "maker").equity == 0
    assert insolvent.read("MarginMarket.freeze_of").until == 0
    # Its position is for anybody, at the market's price.
    assert liquidate(insolvent, "maker", 1_000) == 0
    assert books(insolvent) == 0


def test_insurance_pays_a_part(insolvent):
    insolvent.do("MarginFund.insure", 300 * WAD, sender="rich")
    begin(insolvent, "maker")
    assert insolvent.read("MarginDeleverager.case_of").loss == 700 * WAD


def test_profits_that_left_come_back(crowd):
    """The short withdraws its gain before the long's loss is booked."""
    move(crowd, "WETH", 1_650)
    crowd.do("MarginMarket.withdraw", 40_900 * WAD, "receiver", sender=trader("third"))
    move(crowd, "WETH", 1_600)
    begin(crowd, "maker")
    assert crowd.read("MarginFund.unvested") == 0
    assert event(crowd, "LossCovered", "MarginMarket") == (trader("maker"), 1_000 * WAD, 900 * WAD)
    assert crowd.read("MarginDeleverager.case_of").loss == 100 * WAD


@pytest.mark.parametrize("name", ["taker", "third", "nobody"])
def test_solvent_accounts_are_left_alone(insolvent, name):
    with reverts("margin_market: solvent account"):
        begin(insolvent, name)


def test_at_exactly_nothing_an_account_is_solvent(crowd):
    move(crowd, "WETH", 1_700)
    with reverts("margin_market: solvent account"):
        begin(crowd, "maker")


def test_in_a_market_where_it_has_a_position(insolvent):
    with reverts("margin_market: no position"):
        begin(insolvent, "maker", BTC)


def test_a_loss_is_the_positions_by_their_notional(crowd):
    """16,000 of ether and 48,000 of bitcoin: a quarter and three."""
    stage(crowd, maker=20_000)
    fill(crowd, "maker", "third", 1_000, BTC)
    move(crowd, "WETH", 1_600)
    move(crowd, "WBTC", 40_000)
    assert worth(crowd, "maker").equity == -(1_000 * WAD)
    assert begin(crowd, "maker") == 1
    notional = worth(crowd, "maker").notional
    assert crowd.read("MarginDeleverager.case_of").loss == -(-1_000 * WAD * 16_000 * WAD // notional)


def test_one_freeze_at_a_time_and_each_ends(insolvent):
    begin(insolvent, "maker")
    with reverts("margin_market: frozen already"):
        begin(insolvent, "maker")
    insolvent.advance(3_600)
    with reverts("margin_market: frozen already"):
        begin(insolvent, "maker")
    insolvent.advance(1)
    move(insolvent, "WETH", 1_600)
    assert begin(insolvent, "maker") == 2


def test_needs_a_price(insolvent):
    insolvent.advance(14_401)
    with reverts("margin_policy: no price"):
        begin(insolvent, "maker")
