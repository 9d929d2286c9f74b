"""config_of, reporters_of, report_of: the settings, reporters and reports of a market."""

import pytest


def test_an_unknown_market_is_empty(market):
    read = market.protocol.read
    assert read("PriceFeed.config_of", 99) == (0, 0, 0, 0, 0, 0)
    assert read("PriceFeed.reporters_of", 99) == ()
    assert read("PriceFeed.report_of", 99, "reporter_1") == (0, 0, 0, 0, 0)


@pytest.mark.parametrize("who", ["stranger", "admin"])
def test_who_does_not_report_has_no_report(market, who):
    market.report(10, 10, 10)
    assert market.read("report_of", who) == (0, 0, 0, 0, 0)
