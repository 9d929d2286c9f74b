"""report_range: listed reporters post a price, and the range of the prices since a moment."""

import pytest

from backstop.model.arithmetic import RAY
from tests.support.revert_setter_and_source_helpers import reverts


def say(market, price, low, high, since=0, sender="reporter_1"):
    """A reporter says whole stablecoins."""
    args = price * RAY, low * RAY, high * RAY, since
    return market.protocol.do("PriceFeed.report_range", market.id, *args, sender=sender)


def test_is_kept_in_millionths_rounded_outward(market):
    """A third of the price, and two thirds more."""
    since = market.protocol.timestamp - 20
    say(market, 3, 1, 5, since, sender="reporter_2")
    assert market.read("report_of", "reporter_2") == (
        3 * RAY,
        333_333,
        1_666_667,
        since,
        market.protocol.timestamp,
    )
    assert market.read("prices_of") == (0, 0, 0)


def test_is_said(market):
    since = market.protocol.timestamp - 20
    say(market, 3, 1, 5, since)
    (log,) = market.protocol.last.logs
    assert log.event == "RangeReported"
    reporter = market.protocol.address("reporter_1")
    assert log.values == (market.id, reporter, 3 * RAY, RAY, 5 * RAY, since)


def test_a_later_one_replaces_it(market):
    say(market, 5, 4, 6)
    market.protocol.advance(60)
    say(market, 7, 7, 7, 1)
    now = market.protocol.timestamp
    assert market.read("report_of", "reporter_1") == (7 * RAY, 10**6, 10**6, 1, now)


def test_it_steps_the_feed_as_any_report(market):
    for sender in market.reporters:
        say(market, 5, 1, 80, sender=sender)
    assert market.poke() == (5, 5)


@pytest.mark.parametrize("sender", ["stranger", "admin", "guardian"])
def test_only_the_listed_may(market, sender):
    with reverts("price_feed: not a reporter"):
        say(market, 1, 1, 1, sender=sender)


def test_only_for_the_market_that_lists_them(market):
    with reverts("price_feed: not a reporter"):
        market.protocol.do("PriceFeed.report_range", market.id + 1, RAY, RAY, RAY, 0, sender="reporter_1")


@pytest.mark.parametrize("price", [0, 2**112, 2**256 - 1])
def test_price_out_of_bounds(market, price):
    with reverts("price_feed: price bounds"):
        market.protocol.do("PriceFeed.report_range", market.id, price, price, price, 0, sender="reporter_1")


@pytest.mark.parametrize(
    ("low", "high"),
    [(5 * RAY + 1, 5 * RAY + 1), (5 * RAY, 5 * RAY - 1), (0, 80 * RAY + 1), (0, 2**256 - 1)],
    ids=["low", "high", "far", "farthest"],
)
def test_range_out_of_bounds(market, low, high):
    with reverts("price_feed: range bounds"):
        market.protocol.do("PriceFeed.report_range", market.id, 5 * RAY, low, high, 0, sender="reporter_1")


@pytest.mark.parametrize("later", [1, 2**64, 2**255])
def test_a_range_does_not_begin_in_the_future(market, later):
    with reverts("price_feed: range bounds"):
        say(market, 5, 5, 5, market.protocol.timestamp + later)


@pytest.mark.parametrize("price", [1, 2**112 - 1])
def test_at_the_bounds(market, price):
    """From nothing to sixteen times the price, as of now."""
    now = market.protocol.timestamp
    market.protocol.do("PriceFeed.report_range", market.id, price, 0, 16 * price, now, sender="reporter_1")
    assert market.read("report_of", "reporter_1") == (price, 0, 16 * 10**6, now, now)
