"""current_price: the price for liquidations and auctions."""

from backstop.model.arithmetic import RAY


def test_is_the_price_of_a_step_ago(market):
    assert market.read("current_price") == 0
    market.poke(10, 10, 10)
    market.protocol.advance(market.step)
    market.poke(20, 20, 20)
    assert market.read("current_price") == 10 * RAY


def test_is_none_when_stale(market):
    market.poke(10, 10, 10)
    market.protocol.advance(market.stale_after)
    assert market.read("current_price") == 10 * RAY
    market.protocol.advance(1)
    assert market.read("current_price") == 0
