"""margin_requirement, max_funding_premium, mark_price, final_price: for a market with marks of its own."""

from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD
from backstop.model.bounds import MAX_LOT_PRICE
from backstop.model.interfaces import Mark
from tests.support.margin_order_steps import ETH, build_perpetual_market_terms
from tests.support.settlement_steps import report_until_final_prices_exist, start_settlement


def test_margins_of_new_risk_count_all_that_is_open(margin):
    """1,500 lots are 30,000; 2,000 that are open are 40,000, and pay more above 30,000."""
    steep = build_perpetual_market_terms(
        of_accounts=((1_000, 500), (0, 0)), of_market=((30_000, 2_000), (0, 0))
    )
    margin.do("MarginPolicy.set_terms", ETH, steep, sender="admin")
    for size, own, last in (
        (1, 0, 40_000),
        (-1_500, 29_000 * 500, 20_000_000),
        (2_000, 39_000 * 500, 20_000_000),
    ):
        notional = abs(size) * 20 * WAD
        initial = notional * 1_000 + own * WAD
        plain = margin.read("MarginPolicy.margin_requirement", ETH, size, 20 * WAD, 2_000, False)
        assert plain == (20 * WAD, notional, initial, notional * 500 + own * WAD)
        risk = margin.read("MarginPolicy.margin_requirement", ETH, size, 20 * WAD, 2_000, True)
        assert risk == plain._replace(initial=notional * 1_000 + max(own, last) * WAD)


def test_margins_are_those_of_the_price_that_is_asked_for(margin):
    for price in (1, 20 * WAD, MAX_LOT_PRICE):
        found = margin.read("MarginPolicy.margin_requirement", ETH, -3, price, 3, False)
        assert found == (price, 3 * price, 3 * price * 1_000, 3 * price * 500)
    assert margin.read("MarginPolicy.max_funding_premium", ETH, 20 * WAD) == 20 * WAD * 75 // BASIS_POINTS


def test_a_mark_is_what_the_feed_says_now_for_a_lot(margin):
    margin.advance(10)
    margin.report("WETH", 2_100 * RAY + 1)
    margin.advance(60)
    assert margin.read("MarginPolicy.mark_price", ETH, 60) == (21 * WAD, 21 * WAD, 21 * WAD + 1)
    assert margin.read("MarginPolicy.mark_price", ETH, 59) == Mark()
    margin.report("WETH", 1)
    assert margin.read("MarginPolicy.mark_price", ETH, 60) == (1, 1, 1)


def say(margin, *prices):
    """All reporters say a price and its ends, ray."""
    for index in range(4):
        margin.do("PriceFeed.report_range", ETH, *prices, 0, sender=f"reporter_{index + 1}")


def test_a_marks_range_is_rounded_outward(margin):
    """A lot is a hundredth of an ether: ends that are no whole wei of a lot."""
    price = 2_000 * RAY + 10**10 + 1
    say(margin, price, 1_000 * RAY, 3_000 * RAY)
    _, low, high = margin.read("PriceFeed.mark_within", ETH, 60, 0)
    lot, found = WAD // 100, margin.read("MarginPolicy.mark_price", ETH, 60)
    assert low * lot % RAY and high * lot % RAY
    assert found == (20 * WAD, low * lot // RAY, high * lot // RAY + 1)
    assert found.low < 10 * WAD and found.high > 30 * WAD


def test_the_low_of_a_mark_is_never_zero(margin):
    say(margin, 2_000 * RAY, 0, 2_000 * RAY)
    assert margin.read("MarginPolicy.mark_price", ETH, 60) == (20 * WAD, 1, 20 * WAD)


def test_a_final_price_is_none_before_it_is_made(margin):
    start_settlement(margin)
    assert margin.read("MarginPolicy.final_price", ETH) == 0
    report_until_final_prices_exist(margin)
    assert margin.read("MarginPolicy.final_price", ETH) == 20 * WAD
