"""auction_price: the price at which auctions are reset and closed; neither halt nor grace stops them."""

import pytest

from backstop.model.arithmetic import RAY


def test_is_the_current_price_while_it_is_fresh(market):
    assert market.read("auction_price") == 0
    market.poke(100, 100, 100)
    market.steps(90)
    assert market.read("auction_price") == 100 * RAY
    market.protocol.advance(market.stale_after + 1)
    assert market.read("auction_price") == 0


def test_never_again_without_a_limit(market):
    market.poke(100, 100, 100)
    market.protocol.advance(10 * 365 * 86_400)
    assert market.read("auction_price") == 0


@pytest.mark.parametrize("dead_after", [1, 86_400, 90 * 86_400])
def test_the_last_one_once_the_feed_is_dead(market, dead_after):
    market.guard(dead_after=dead_after)
    market.poke(100, 100, 100)
    market.protocol.advance(market.stale_after + dead_after)
    assert market.read("auction_price") == 0
    market.protocol.advance(1)
    assert market.read("auction_price") == 100 * RAY


def test_zero_is_no_price(market):
    market.guard(dead_after=1)
    market.protocol.advance(365 * 86_400)
    assert market.read("auction_price") == market.read("liquidation_price") == 0
