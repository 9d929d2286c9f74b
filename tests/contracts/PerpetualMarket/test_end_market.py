"""end_market in settlement: one final price, losses met as at all times, all paid alike whoever is first."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.helpers import reverts
from tests.support.perpetuals import BTC, DESK, ETH, HOUSE, RULES
from tests.support.protocol import Protocol
from tests.support.settling import begin, make_prices


@pytest.fixture
def settled(crowd):
    """The price falls to 16, the long owes 1,000; then the protocol settles, and 400 are insured."""
    crowd.do("MarginFund.insure", 400 * WAD, sender="rich")
    crowd.post(ETH, 1_600)
    crowd.mark(ETH, 16 * WAD)
    begin(Protocol(crowd.system))
    return crowd


@pytest.fixture
def closing(settled):
    make_prices(Protocol(settled.system))
    end(settled)
    return settled


def end(market):
    for each in (ETH, BTC):
        market.do(f"{HOUSE}.end_market", each, sender="stranger")


def roll(market):
    market.advance(RULES.window)
    market.do(f"{HOUSE}.roll", sender="stranger")


def leave(market, name):
    """Take out all that is paid."""
    amount = market.standing(name)
    claims = amount.own - amount.haircut
    return market.do(f"{HOUSE}.withdraw", claims, market.at(name), sender=name)


def test_only_in_settlement_at_final_prices_and_once(crowd):
    for _ in range(2):
        with reverts("perpetuals: no final price"):
            crowd.do(f"{HOUSE}.end_market", ETH, sender="stranger")
        if crowd.read("VaultEngine.in_settlement"):
            break
        begin(Protocol(crowd.system))
    make_prices(Protocol(crowd.system))
    with reverts("perpetuals: no final price"):
        crowd.do(f"{HOUSE}.end_market", 2, sender="stranger")
    for each in (BTC, ETH):
        crowd.do(f"{HOUSE}.end_market", each, sender="stranger")
        with reverts("perpetuals: ends once"):
            crowd.do(f"{HOUSE}.end_market", each, sender="stranger")
    assert crowd.market.clocks[()].ended == 0b11


def test_nothing_is_traded_any_more(settled):
    with reverts("desk: in settlement"):
        settled.trade("other", "first", 1)
    make_prices(Protocol(settled.system))
    end(settled)
    settled.deposit("long", 2_000 * WAD)
    with reverts("perpetuals: price is final"):
        settled.trade("first", "long", 1)
    with reverts("desk: no price for lots"):
        settled.do(f"{DESK}.take", ETH, 1, sender="first")


def test_the_fund_pays_first_and_then_who_gained(closing):
    """600 of the loss are left for two shorts that have gained 2,000 each; a bystander loses nothing."""
    with reverts("perpetuals: losses are open"):
        closing.do(f"{HOUSE}.withdraw", 1, closing.at("other"), sender="other")
    roll(closing)
    closing.meet("long")
    roll(closing)
    for name, amount in (("other", 10_000), ("first", 11_700), ("second", 11_700)):
        assert leave(closing, name) == amount * WAD
    assert closing.market.holdings[()] == 0
    closing.check_woken()


def test_the_first_and_the_last_are_paid_alike(closing):
    """Nobody has met the long in time: 600 are late after the fund."""
    for _ in range(2):
        roll(closing)
    closing.meet("long")
    roll(closing)
    assert closing.market.late_table[()] == 600 * WAD
    ends = [leave(closing, name) for name in ("first", "other", "second")]
    assert [end // WAD for end in ends] == [11_788, 9_823, 11_788]
    assert abs(ends[0] - ends[2]) <= 1


def test_funding_ends_with_the_prices(crowd):
    """It has run until then: nobody pays it for the days in which losses become final."""
    crowd.trade("other", "first", 10, price=20 * WAD + WAD // 20)
    crowd.advance(3_601)
    crowd.refresh()
    assert crowd.market.fundings[ETH].rate > 0
    begin(Protocol(crowd.system))
    make_prices(Protocol(crowd.system))
    end(crowd)
    before = crowd.read(f"{HOUSE}.standing_of", crowd.at("other")).own
    crowd.advance(86_400)
    assert crowd.read(f"{HOUSE}.standing_of", crowd.at("other")).own == before
