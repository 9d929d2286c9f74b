"""liquidation_price: the price at the start of a liquidation; none in a halt or in the grace after a gap."""

from backstop.model.arithmetic import RAY

GRACE, DEAD_AFTER = 3_600, 86_400


def test_is_the_current_price(market):
    assert market.read("liquidation_price") == 0
    market.poke(100, 100, 100)
    market.steps(90)
    assert market.read("liquidation_price") == 100 * RAY
    market.protocol.advance(market.stale_after)
    assert market.read("liquidation_price") == 100 * RAY
    market.protocol.advance(1)
    assert market.read("liquidation_price") == 0


def test_a_price_that_waits_changes_nothing(market):
    market.guard(deviation=1_000)
    market.poke(100, 100, 100)
    assert market.steps(50) == [(100, 0)]
    assert market.read("liquidation_price") == 100 * RAY


def test_none_before_the_end_of_a_grace(market):
    market.guard(grace=GRACE)
    market.poke(100, 100, 100)
    market.protocol.advance(market.stale_after + 1)
    market.poke(80, 80, 80)
    assert market.read("guards_of")[6] == market.protocol.timestamp + GRACE
    market.protocol.advance(GRACE - 1)
    assert market.read("liquidation_price") == 0
    assert market.read("auction_price") == market.read("current_price") == 80 * RAY
    market.protocol.advance(1)
    assert market.read("liquidation_price") == 80 * RAY


def test_the_last_one_of_a_dead_feed(market):
    market.guard(dead_after=DEAD_AFTER)
    market.poke(100, 100, 100)
    market.steps(90)
    market.protocol.advance(market.stale_after + DEAD_AFTER)
    assert market.read("liquidation_price") == 0
    market.protocol.advance(1)
    assert market.read("liquidation_price") == 100 * RAY
    assert market.read("current_price") == market.read("risk_price") == 0


def test_a_dead_feed_is_halted_as_well(market):
    market.guard(dead_after=DEAD_AFTER)
    market.poke(100, 100, 100)
    market.halt()
    market.protocol.advance(market.stale_after + DEAD_AFTER + 1)
    assert market.read("liquidation_price") == 0
    assert market.read("auction_price") == 100 * RAY
    market.halt(False)
    assert market.read("liquidation_price") == 100 * RAY


def test_a_feed_that_comes_back_leaves_time(market):
    market.guard(grace=GRACE, dead_after=DEAD_AFTER)
    market.poke(100, 100, 100)
    market.protocol.advance(market.stale_after + DEAD_AFTER + 1)
    assert market.read("liquidation_price") == 100 * RAY
    market.poke(80, 80, 80)
    assert market.read("liquidation_price") == 0
