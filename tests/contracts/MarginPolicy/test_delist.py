"""delist, ends_at: a market ends at a moment that is announced; its marks go over to its final price."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from backstop.model.bounds import MAX_NOTICE, MIN_NOTICE
from tests.support.margin_order_steps import ETH
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.settlement_steps import report_until_final_prices_exist, start_settlement

DAY = 86_400


def delist(margin, after=MIN_NOTICE, market=ETH, sender="admin"):
    at = margin.timestamp + after
    margin.do("MarginPolicy.delist", market, at, sender=sender)
    return at


def test_it_is_told_and_the_feed_knows(margin):
    assert margin.read("MarginPolicy.ends_at", ETH) == 0
    at = delist(margin)
    assert [(log.event, log.values) for log in margin.last.logs] == [
        ("MarketDelisted", (ETH, at)),
        ("FinalPricePlanned", (ETH, at)),
    ]
    assert margin.read("MarginPolicy.ends_at", ETH) == at == margin.read("PriceFeed.planned_for", ETH)
    # Terms may still change, and what it is stays.
    base = margin.read("MarginPolicy.base_of", ETH)
    margin.do("MarginPolicy.set_terms", ETH, margin.read("MarginPolicy.terms_of", ETH), sender="admin")
    assert (margin.read("MarginPolicy.ends_at", ETH), margin.read("MarginPolicy.base_of", ETH)) == (at, base)


@pytest.mark.parametrize("sender", ["stranger", "guardian", "deployer"])
def test_admin_only(margin, sender):
    with reverts("roles: not admin"):
        delist(margin, sender=sender)


@pytest.mark.parametrize("after", [0, MIN_NOTICE - 1, MAX_NOTICE + 1])
def test_neither_in_a_hurry_nor_in_years(margin, after):
    with reverts("margin_policy: notice bounds"):
        delist(margin, after)


def test_once_and_only_what_there_is(margin):
    with reverts("margin_policy: unknown market"):
        delist(margin, market=margin.read("MarginPolicy.markets"))
    delist(margin, MAX_NOTICE)
    with reverts("margin_policy: is delisted"):
        delist(margin, MAX_NOTICE)


def test_two_markets_of_one_feed_end_together_or_one_after_the_other(margin):
    lot = margin.read("MarginPolicy.base_of", ETH)[1]
    terms = margin.read("MarginPolicy.terms_of", ETH)
    for each in (lot * 2, lot * 3):
        margin.do("MarginPolicy.add_market", ETH, each, terms._replace(open_limit=1), sender="admin")
    last = margin.read("MarginPolicy.markets") - 1
    at = delist(margin)
    with reverts("price_feed: another is planned"):
        delist(margin, MIN_NOTICE + 1, last)
    assert delist(margin, market=last) == at
    margin.advance(2 * MIN_NOTICE)
    assert margin.read("MarginPolicy.final_price", last) == 3 * margin.read("MarginPolicy.final_price", ETH)
    assert delist(margin, market=last - 1) > at


def test_no_funding_is_new(margin):
    assert margin.read("MarginPolicy.max_funding_premium", ETH, 20 * WAD) != 0
    delist(margin)
    assert margin.read("MarginPolicy.max_funding_premium", ETH, 20 * WAD) == 0


def test_the_mark_goes_over_to_the_final_price(margin):
    at = delist(margin)
    margin.post_price("WETH", 2_000 * RAY)
    margin.advance(at - margin.timestamp)
    margin.report("WETH", 1_000 * RAY)
    assert margin.read("MarginPolicy.mark_price", ETH, 60) == (10 * WAD, 10 * WAD, 10 * WAD)
    assert margin.read("MarginPolicy.final_price", ETH) == 0
    margin.advance(3 * DAY)
    final = margin.read("MarginPolicy.final_price", ETH)
    assert final == 20 * WAD
    margin.report("WETH", 1_000 * RAY)
    assert margin.read("MarginPolicy.mark_price", ETH, 60) == (final, final, final)


def test_settlement_that_begins_before_has_the_price(margin):
    delist(margin, MAX_NOTICE)
    start_settlement(margin)
    report_until_final_prices_exist(margin)
    assert margin.read("MarginPolicy.final_price", ETH) == 20 * WAD


def test_in_settlement_nothing_is_delisted_that_it_ends(margin):
    start_settlement(margin)
    with reverts("price_feed: closing has begun"):
        delist(margin)


def test_no_price_of_no_market(margin):
    start_settlement(margin)
    report_until_final_prices_exist(margin)
    assert margin.read("MarginPolicy.final_price", margin.read("MarginPolicy.markets")) == 0
