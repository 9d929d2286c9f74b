"""withdraw: deposits at once, profits through the fund, margin never."""

from backstop.deployment.signing import trader
from backstop.model.arithmetic import WAD
from tests.support.auctions import event, stablecoins
from tests.support.guards import EMERGENCY, with_guards
from tests.support.helpers import reverts
from tests.support.margin import (
    BTC,
    begin,
    books,
    cash,
    execute,
    fill,
    interest,
    liquidate,
    move,
    opened,
    price_of,
    prove,
    stage,
    terms,
    with_margin,
)
from tests.support.policy import set_mode


def withdraw(protocol, name, amount, receiver="receiver"):
    protocol.do("MarginMarket.withdraw", amount, receiver, sender=trader(name))


def test_a_deposit_comes_back_whole(margin):
    stage(margin, maker=10)
    withdraw(margin, "maker", 10 * WAD)
    assert event(margin, "Withdrawn", "MarginMarket") == (
        trader("maker"),
        margin.address("receiver"),
        10 * WAD,
        0,
    )
    assert stablecoins(margin, "receiver") == 10 * WAD
    assert cash(margin, "maker") == margin.read("MarginMarket.held") == 0
    with reverts("margin_market: more than it has"):
        withdraw(margin, "maker", 1)


def test_all_but_the_initial_margin_to_the_wei(open_interest):
    """20,000 of notional need 2,000."""
    withdraw(open_interest, "maker", 1_000 * WAD)
    with reverts("margin_market: initial margin"):
        withdraw(open_interest, "maker", 1)


def test_the_next_price_counts_before_it_is_the_current_one(open_interest):
    """Nobody takes margin out on what everybody knows is coming."""
    open_interest.post_next("WETH", 1_900 * 10**27)
    assert price_of(open_interest) == 20 * WAD
    # At 1,900 the long has 2,000 and needs 1,900; the short is measured at the higher of the two.
    with reverts("margin_market: initial margin"):
        withdraw(open_interest, "maker", 100 * WAD + 1)
    withdraw(open_interest, "maker", 100 * WAD)
    with reverts("margin_market: initial margin"):
        withdraw(open_interest, "taker", 18_000 * WAD + 1)
    withdraw(open_interest, "taker", 18_000 * WAD)


def test_profit_goes_through_the_fund(open_interest):
    move(open_interest, "WETH", 1_900)
    fill(open_interest, "third", "taker", -1_000)
    assert cash(open_interest, "taker") == 21_000 * WAD
    withdraw(open_interest, "taker", 20_500 * WAD)
    bucket = open_interest.timestamp // 86_400
    assert stablecoins(open_interest, "receiver") == 20_000 * WAD
    assert open_interest.read("MarginFund.profit_of", "receiver", bucket) == 500 * WAD
    assert stablecoins(open_interest, "MarginFund") == 500 * WAD
    withdraw(open_interest, "taker", 500 * WAD)
    assert open_interest.read("MarginFund.profit_of", "receiver", bucket) == 1_000 * WAD
    assert books(open_interest) == 0


def test_what_others_owe_cannot_be_taken_out(margin):
    """Before anybody has said that the loser is insolvent, there is no more than what is held."""
    stage(margin, maker=2_000, taker=2_000, third=5_000)
    fill(margin, "maker", "taker", 1_000)
    move(margin, "WETH", 1_000)
    fill(margin, "third", "taker", -1_000)
    withdraw(margin, "third", 4_000 * WAD)
    assert cash(margin, "taker") == 12_000 * WAD
    with reverts("margin_market: not held"):
        withdraw(margin, "taker", 5_000 * WAD + 1)
    withdraw(margin, "taker", 5_000 * WAD)


def test_fees_belong_to_the_fund(open_interest):
    move(open_interest, "WETH", 1_750)
    liquidate(open_interest, "maker", 100)
    fees = open_interest.read("MarginMarket.fees")
    assert fees != 0
    open_interest.do("MarginMarket.sweep", sender="stranger")
    assert open_interest.read("MarginFund.insurance_of").amount == fees
    assert open_interest.read("MarginMarket.fees") == 0
    assert books(open_interest) == 0
    open_interest.do("MarginMarket.sweep", sender="stranger")
    assert not open_interest.last.logs


def test_fees_of_gains_that_nobody_has_paid_in(margin):
    """Two shorts gained far more than their long had, and spend it on fees: these wait for what is held."""
    high = terms(max_funding=1_000)
    margin.do("MarginPolicy.set_terms", BTC, high, sender="admin")
    stage(margin, maker=400, taker=200, third=200)
    fill(margin, "maker", "taker", 100)
    fill(margin, "maker", "third", 100)
    move(margin, "WETH", 200)
    for lots in (100, -100) * 6:
        fill(margin, "taker", "third", lots, BTC, price=66 * WAD)
    fees = margin.read("MarginMarket.fees")
    assert fees > margin.read("MarginMarket.held") == 800 * WAD
    with reverts("margin_market: not held"):
        withdraw(margin, "taker", 1)
    margin.do("MarginMarket.sweep", sender="stranger")
    assert margin.read("MarginMarket.fees") == fees - 800 * WAD
    assert margin.read("MarginFund.insurance_of").amount == 800 * WAD
    # It pays for the long, as far as it goes.
    begin(margin, "maker")
    assert margin.read("MarginMarket.held") == 800 * WAD
    assert books(margin) == 0


def test_waits_for_a_price(open_interest):
    open_interest.advance(86_400)
    with reverts("margin_policy: no price for risk"):
        withdraw(open_interest, "maker", 1)
    stage(open_interest, fourth=1)
    withdraw(open_interest, "fourth", WAD)


def test_waits_while_a_market_of_it_is_frozen(open_interest):
    move(open_interest, "WETH", 1_500)
    begin(open_interest, "maker")
    with reverts("margin_market: withdrawals wait"):
        withdraw(open_interest, "taker", 1)
    withdraw(open_interest, "third", 1)
    open_interest.advance(3_601)
    move(open_interest, "WETH", 1_500)
    withdraw(open_interest, "taker", 1)


def test_a_gain_that_a_freeze_may_ask_for_stays(open_interest):
    """Also of who has closed its position in the market meanwhile; once the freeze is over it is its own."""
    stage(open_interest, fourth=20_000)
    fill(open_interest, "third", "fourth", 1_000)
    move(open_interest, "WETH", 1_600)
    begin(open_interest, "maker")
    fill(open_interest, "taker", "third", 1_000)
    assert cash(open_interest, "taker") == 24_000 * WAD
    with reverts("margin_market: gain is reserved"):
        withdraw(open_interest, "taker", 20_000 * WAD + 1)
    withdraw(open_interest, "taker", 20_000 * WAD)
    prove(open_interest, "taker", "fourth")
    execute(open_interest)
    assert interest(open_interest).unpaid == books(open_interest) == 0
    withdraw(open_interest, "taker", cash(open_interest, "taker"))


def test_waits_while_a_market_of_it_has_unpaid_losses(new_protocol):
    made = opened(new_protocol, with_margin(domain=""))
    stage(made, maker=2_000, taker=20_000, third=20_000, fourth=20_000)
    fill(made, "maker", "taker", 1_000)
    # The short that gained leaves to one that comes in after the fall.
    move(made, "WETH", 1_500)
    fill(made, "third", "taker", -1_000)
    begin(made, "maker")
    prove(made, "third")
    execute(made)
    assert interest(made).unpaid == 3_000 * WAD
    with reverts("margin_market: unpaid losses"):
        withdraw(made, "third", 1)
    withdraw(made, "fourth", 1)
    assert books(made) == 0


def test_not_with_positions_in_an_emergency(new_protocol):
    made = opened(new_protocol, with_margin(with_guards()))
    stage(made, maker=3_000, taker=20_000, third=1)
    fill(made, "maker", "taker", 1_000)
    set_mode(made, EMERGENCY)
    with reverts("margin_market: emergency"):
        withdraw(made, "maker", 1)
    withdraw(made, "third", WAD)
