"""Funding: longs pay shorts, to the wei, at a rate that follows what trades were made at."""

import pytest

from backstop.model.arithmetic import WAD
from backstop.model.margin_book import INTERVAL, PERIOD
from tests.support.auctions import event
from tests.support.margin import ETH, books, cash, fill, move, position, stage, worth


def accrue(protocol):
    protocol.do("MarginMarket.accrue", ETH, sender="stranger")
    return protocol.read("MarginMarket.funding_of", ETH)


def test_longs_pay_shorts_what_trades_were_above_the_price(margin):
    stage(margin, maker=10_000, taker=10_000)
    fill(margin, "maker", "taker", 1_000, price=20 * WAD + WAD // 10)
    assert margin.read("MarginMarket.premium_of", ETH)[:2] == (100 * WAD, 1_000)
    # An eighth of it is the seller's fee.
    fee = margin.read("MarginMarket.fees")
    assert fee == 125 * WAD // 10
    assert worth(margin, "taker").equity == 10_100 * WAD - fee
    before = worth(margin, "maker").equity, worth(margin, "taker").equity
    margin.advance(INTERVAL)
    rate = accrue(margin).rate
    assert rate == WAD // 10 // PERIOD
    assert event(margin, "FundingSet", "MarginMarket") == (ETH, 0, rate)
    margin.advance(1_000)
    paid = 1_000 * 1_000 * rate
    assert worth(margin, "maker").equity == before[0] - paid
    assert worth(margin, "taker").equity == before[1] + paid
    # It needs no touch of a position, and counts in the cash once one is closed.
    fill(margin, "taker", "maker", 1_000, price=20 * WAD)
    assert cash(margin, "maker") + cash(margin, "taker") == 20_000 * WAD - fee
    assert cash(margin, "maker") == before[0] - paid
    assert books(margin) == 0


def test_the_rate_is_capped_and_follows_the_next_interval(margin):
    stage(margin, maker=10_000, taker=10_000)
    fill(margin, "maker", "taker", -1_000, price=15 * WAD)
    margin.advance(INTERVAL)
    # 75 basis points of 20 in 8 hours, and shorts pay.
    assert accrue(margin).rate == -(20 * WAD * 75 // 10_000 // PERIOD)
    margin.advance(INTERVAL)
    assert accrue(margin).rate == 0
    index = margin.read("MarginMarket.funding_of", ETH).level
    assert index == -INTERVAL * (20 * WAD * 75 // 10_000 // PERIOD)


def test_a_small_trade_moves_a_large_market_little(margin):
    stage(margin, maker=10_000, taker=10_000, third=100, fourth=100)
    fill(margin, "maker", "taker", 1_000)
    margin.advance(INTERVAL)
    accrue(margin)
    fill(margin, "third", "fourth", 1, price=21 * WAD)
    margin.advance(INTERVAL)
    assert accrue(margin).rate == 20 * WAD * 75 // 10_000 // 1_001 // PERIOD


def test_no_volume_waters_it_down(margin):
    """What was traded at the price, to and fro, changes nothing."""
    stage(margin, maker=10_000, taker=10_000, third=10_000, fourth=10_000)
    fill(margin, "maker", "taker", 1_000, price=20 * WAD + WAD // 100)
    for lots in (3_000, -3_000):
        fill(margin, "third", "fourth", lots)
    margin.advance(INTERVAL)
    assert accrue(margin).rate == WAD // 100 // PERIOD


@pytest.mark.parametrize(("lots", "side"), [(7, "taker"), (-7, "maker")])
def test_whoever_had_the_better_price_pays_the_fee(margin, lots, side):
    """Rounded up; beyond what funding may follow a premium costs no more."""
    stage(margin, maker=10_000, taker=10_000)
    over = WAD // 10 + 3
    fill(margin, "maker", "taker", lots, price=20 * WAD + over)
    fees = -(-7 * over // 8)
    assert margin.read("MarginMarket.fees") == fees
    assert worth(margin, side).equity == 10_000 * WAD + 7 * over - fees
    fill(margin, "maker", "taker", -lots, price=20 * WAD - over)
    fees *= 2
    assert margin.read("MarginMarket.fees") == fees
    fill(margin, "maker", "taker", 8, price=30 * WAD)
    assert margin.read("MarginMarket.fees") == fees + 20 * WAD * 75 // 10_000
    assert books(margin) == 0


def test_at_the_price_there_is_no_fee(margin):
    stage(margin, maker=10_000, taker=10_000)
    fill(margin, "maker", "taker", 1_000)
    assert margin.read("MarginMarket.fees") == 0


def test_however_often_it_is_accrued(margin):
    stage(margin, maker=10_000, taker=10_000)
    fill(margin, "maker", "taker", 1_000, price=20 * WAD + 7)
    fill(margin, "maker", "taker", 1, price=20 * WAD + WAD // 7)
    margin.advance(INTERVAL)
    rate = accrue(margin).rate
    for seconds in (1, 2, 3, 100):
        margin.advance(seconds)
        accrue(margin)
    assert margin.read("MarginMarket.funding_of", ETH).level == 106 * rate != 0


def test_what_a_position_cost_is_less_funding(margin):
    """A gain is measured with the funding that was paid for it."""
    stage(margin, maker=10_000, taker=10_000)
    fill(margin, "maker", "taker", 1_000, price=20 * WAD + WAD // 10)
    margin.advance(INTERVAL)
    rate = accrue(margin).rate
    margin.advance(100)
    move(margin, "WETH", 2_000)
    seconds = margin.timestamp - margin.read("MarginMarket.funding_of", ETH).updated
    index = margin.read("MarginMarket.funding_of", ETH).level + rate * seconds
    fill(margin, "maker", "taker", 500)
    assert position(margin, "maker").cost == 20_100 * WAD + 500 * (20 * WAD - index)


def test_it_goes_on_for_ever(margin):
    """At its highest for as long as seconds count, the index is far within its field."""
    stage(margin, maker=10_000, taker=10_000)
    fill(margin, "maker", "taker", 100, price=21 * WAD)
    margin.advance(INTERVAL)
    accrue(margin)
    margin.advance(2**32 - 1 - margin.timestamp)
    assert 0 < accrue(margin).level < 2**90
    stage(margin, maker=1)
    assert books(margin) == 0
