"""start: a lot of surplus is put up for sale at a fresh price of equity."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from backstop.model.bounds import EQUITY_MARKET
from tests.support.equity_steps import (
    build_equity_parameters,
    hold_equity_price_until_average,
    post_prices_and_fund_people,
    read_last_call_events,
    report_equity,
)
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import earn_year_of_high_fees

NAME = "SurplusAuction"
HOURS = 36_000


def start(protocol):
    protocol.do(f"{NAME}.start", sender="stranger")


def test_starts(offering):
    start(offering)
    top, floor = RAY * 24 // 1_000, RAY * 8 // 1_000
    assert offering.read(f"{NAME}.auction") == (500 * WAD, offering.timestamp, top, floor)
    assert read_last_call_events(offering, "AuctionStarted", NAME) == [(500 * WAD, top, floor)]
    # Nothing has left the reserve.
    assert offering.read("Stablecoin.balanceOf", NAME) == 0


def test_top_of_the_lower_price(offering):
    report_equity(offering, 50 * RAY)
    report_equity(offering, 50 * RAY)
    average = offering.read("PriceFeed.time_weighted", EQUITY_MARKET)
    assert average > 50 * RAY == offering.read("PriceFeed.current_price", EQUITY_MARKET)
    start(offering)
    found = offering.read(f"{NAME}.auction")
    assert found.top == RAY * 48 // 1_000
    assert found.floor == RAY * RAY // average * 8_000 // 10_000


@pytest.mark.parametrize("coming", [50, 99, 100, 200])
def test_top_of_the_next_price_where_that_is_lower(offering, coming):
    report_equity(offering, coming * RAY)
    start(offering)
    found = offering.read(f"{NAME}.auction")
    assert found.top == RAY * RAY // (min(100, coming) * RAY) * 24_000 // 10_000
    assert found.floor == RAY * 8 // 1_000


def test_not_while_a_halt_holds_the_next_price_back(offering):
    offering.do("PriceFeed.set_halted", EQUITY_MARKET, True, sender="admin")
    with reverts("surplus_auction: no price"):
        start(offering)
    offering.do("PriceFeed.set_halted", EQUITY_MARKET, False, sender="admin")
    start(offering)


def test_not_while_the_next_price_waits_to_be_confirmed(offering):
    offering.do("PriceFeed.set_guards", EQUITY_MARKET, 2_000, 1, 0, 0, sender="admin")
    report_equity(offering, 50 * RAY)
    with reverts("surplus_auction: no price"):
        start(offering)
    report_equity(offering, 50 * RAY)
    start(offering)
    assert offering.read(f"{NAME}.auction").top == RAY * 48 // 1_000


def test_top_of_the_average(offering):
    report_equity(offering, 200 * RAY)
    report_equity(offering, 200 * RAY)
    average = offering.read("PriceFeed.time_weighted", EQUITY_MARKET)
    assert average < 200 * RAY
    start(offering)
    found = offering.read(f"{NAME}.auction")
    assert found.top == RAY * RAY // average * 24_000 // 10_000
    assert found.floor == RAY * RAY // average * 8_000 // 10_000


def test_prices_are_capped(offering):
    hold_equity_price_until_average(offering, 1)
    start(offering)
    assert offering.read(f"{NAME}.auction")[2] == 2**112 - 1


def test_not_at_a_stale_price(offering):
    offering.advance(offering.parameters.equity.feed.stale_after)
    start(offering)
    offering.advance(HOURS + 1)
    with reverts("surplus_auction: no price"):
        start(offering)


def test_not_without_a_price(new_protocol):
    made = post_prices_and_fund_people(
        new_protocol(build_equity_parameters("buffer", "savings", surplus_lot=500)), equity_price=None
    )
    earn_year_of_high_fees(made)
    with reverts("surplus_auction: no price"):
        start(made)


def test_not_more_than_is_for_sale(offering):
    reserve = offering.read("VaultEngine.reserve") // RAY // WAD
    offering.do("Treasury.set_target", reserve - 499, sender="admin")
    with reverts("surplus_auction: too little"):
        start(offering)
    offering.do("Treasury.set_target", reserve - 500, sender="admin")
    start(offering)


def test_one_at_a_time(auction):
    with reverts("surplus_auction: under way"):
        start(auction)
    auction.advance(HOURS - 3 * 3_600)
    hold_equity_price_until_average(auction, 100 * RAY)
    found = auction.read(f"{NAME}.auction")
    assert auction.timestamp > found.started_at + HOURS
    start(auction)
    assert auction.read(f"{NAME}.auction").started_at == auction.timestamp


def test_at_its_deadline_it_is_still_under_way(auction):
    report_equity(auction, 100 * RAY)
    begun = auction.read(f"{NAME}.auction").started_at
    while auction.timestamp + 3_600 < begun + HOURS:
        report_equity(auction, 100 * RAY)
    auction.advance(begun + HOURS - auction.timestamp)
    with reverts("surplus_auction: under way"):
        start(auction)
    auction.advance(1)
    start(auction)


def test_once_it_is_sold(auction):
    auction.do(f"{NAME}.take", 500 * WAD, 2**256 - 1, "taker", b"", sender="taker")
    start(auction)
    assert auction.read(f"{NAME}.auction").lot == 500 * WAD
