"""last_price: the price for settlement when the feed is dead."""

from backstop.model.arithmetic import RAY


def test_the_current_price_fresh_or_not(protocol):
    protocol.post_next("WETH", 1_900 * RAY)
    assert protocol.read("PriceFeed.last_price", 0) == 2_000 * RAY
    protocol.advance(365 * 86_400)
    assert protocol.read("PriceFeed.current_price", 0) == 0
    assert protocol.read("PriceFeed.last_price", 0) == 2_000 * RAY


def test_zero_if_there_never_was_one(protocol):
    assert protocol.read("PriceFeed.last_price", 31) == 0
