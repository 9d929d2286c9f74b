"""latest_round_data: the face that consumers of Chainlink aggregators know."""

from backstop.model.arithmetic import RAY


def test_has_eight_decimals_and_the_time_of_the_last_step(market):
    assert market.protocol.read("PriceFeed.decimals") == 8
    assert market.read("latest_round_data") == (0, 0, 0, 0, 0)
    market.poke(1_234, 1_234, 1_234)
    at = market.protocol.timestamp
    market.protocol.advance(2 * market.stale_after)
    assert market.read("latest_round_data") == (at, 1_234 * 10**8, at, at, at)


def test_rounds_down(market):
    for reporter in market.reporters:
        market.protocol.do("PriceFeed.report", market.id, RAY + 2 * 10**19 - 1, sender=reporter)
    market.protocol.do("PriceFeed.poke", market.id, sender="stranger")
    assert market.read("latest_round_data")[1] == 10**8 + 1
