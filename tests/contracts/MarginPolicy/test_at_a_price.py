"""needs_at, most_premium_at, mark_price, final_price: for a market with marks of its own."""

import pytest

from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD
from backstop.model.interfaces import LAST, RISK
from tests.support.margin import ETH, terms
from tests.support.settling import begin, make_prices


@pytest.mark.parametrize(("risk", "kind"), [(True, RISK), (False, LAST)])
def test_needs_are_those_at_the_same_price(margin, risk, kind):
    steep = terms(of_accounts=((1_000, 500), (0, 0)), of_market=((30_000, 2_000), (0, 0)))
    margin.do("MarginPolicy.set_terms", ETH, steep, sender="admin")
    for size in (1, -1_500, 40_000):
        found = margin.read("MarginPolicy.needs_at", ETH, size, 20 * WAD, 2_000, risk)
        assert found == margin.read("MarginPolicy.needs", ETH, size, kind, 2_000)
    assert margin.read("MarginPolicy.most_premium_at", ETH, 20 * WAD) == 20 * WAD * 75 // BASIS_POINTS


def test_a_mark_is_what_the_feed_says_now_for_a_lot(margin):
    margin.advance(10)
    margin.report("WETH", 2_100 * RAY + 1)
    margin.advance(60)
    assert margin.read("MarginPolicy.mark_price", ETH, 60) == 21 * WAD
    assert margin.read("MarginPolicy.mark_price", ETH, 59) == 0
    margin.report("WETH", 1)
    assert margin.read("MarginPolicy.mark_price", ETH, 60) == 1


def test_a_final_price_is_none_before_it_is_made(margin):
    begin(margin)
    assert margin.read("MarginPolicy.final_price", ETH) == 0
    make_prices(margin)
    assert margin.read("MarginPolicy.final_price", ETH) == 20 * WAD
