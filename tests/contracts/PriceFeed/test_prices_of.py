"""prices_of: the current and the next price, and until when they are fresh."""

from backstop.model.arithmetic import RAY


def test_gives_both_and_when_they_go_stale(market):
    market.poke(10, 10, 10)
    market.protocol.advance(market.step)
    market.poke(20, 20, 20)
    until = market.protocol.timestamp + market.stale_after
    assert market.read("prices_of") == (10 * RAY, 20 * RAY, until)
    market.protocol.advance(10 * market.stale_after)
    assert market.read("prices_of") == (10 * RAY, 20 * RAY, until)
