"""report: listed reporters post a price; one report alone moves nothing."""

import pytest

from backstop.model.arithmetic import RAY
from tests.support.revert_setter_and_source_helpers import reverts


def test_is_kept_with_its_time(market):
    """Of the seconds before it says nothing: its range is the second of now."""
    market.protocol.do("PriceFeed.report", market.id, 5 * RAY, sender="reporter_2")
    now = market.protocol.timestamp
    assert market.read("report_of", "reporter_2") == (5 * RAY, 10**6, 10**6, now, now)
    assert market.protocol.last.logs[0].values == (
        market.id,
        market.protocol.address("reporter_2"),
        5 * RAY,
    )
    assert market.read("prices_of") == (0, 0, 0)


def test_a_later_one_replaces_it(market):
    market.report(5)
    market.protocol.advance(60)
    market.report(6)
    now = market.protocol.timestamp
    assert market.read("report_of", "reporter_1") == (6 * RAY, 10**6, 10**6, now, now)


@pytest.mark.parametrize("sender", ["stranger", "admin", "guardian"])
def test_only_the_listed_may(market, sender):
    with reverts("price_feed: not a reporter"):
        market.protocol.do("PriceFeed.report", market.id, RAY, sender=sender)


def test_only_for_the_market_that_lists_them(market):
    with reverts("price_feed: not a reporter"):
        market.protocol.do("PriceFeed.report", market.id + 1, RAY, sender="reporter_1")


@pytest.mark.parametrize("price", [0, 2**112, 2**256 - 1])
def test_out_of_bounds(market, price):
    with reverts("price_feed: price bounds"):
        market.protocol.do("PriceFeed.report", market.id, price, sender="reporter_1")


@pytest.mark.parametrize("price", [1, 2**112 - 1])
def test_at_the_bounds(market, price):
    for reporter in market.reporters:
        market.protocol.do("PriceFeed.report", market.id, price, sender=reporter)
    market.protocol.do("PriceFeed.poke", market.id, sender="stranger")
    assert market.read("current_price") == price
