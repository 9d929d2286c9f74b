"""risk_price: new risk is measured at the lower of the current and the next price."""

import pytest

from backstop.model.arithmetic import RAY


@pytest.mark.parametrize(("first", "second"), [(10, 20), (20, 10), (10, 10)])
def test_is_the_lower_one(market, first, second):
    assert market.read("risk_price") == 0
    market.poke(first, first, first)
    market.protocol.advance(market.step)
    market.poke(second, second, second)
    assert market.read("risk_price") == min(first, second) * RAY


def test_is_none_when_stale(market):
    market.poke(10, 10, 10)
    market.protocol.advance(market.stale_after + 1)
    assert market.read("risk_price") == 0
