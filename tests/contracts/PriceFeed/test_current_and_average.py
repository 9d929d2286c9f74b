"""current_and_average: two prices in one answer, each as its own view has it."""

from backstop.model.arithmetic import RAY


def both(market):
    return tuple(market.read("current_and_average"))


def test_nothing_without_a_price(market):
    assert both(market) == (0, 0)


def test_each_is_what_its_own_view_says(market):
    for price in (10, 40, 40):
        market.poke(price, price, price)
        market.protocol.advance(3_600)
    assert both(market) == (market.read("current_price"), market.read("time_weighted"))
    assert both(market)[0] == 40 * RAY > both(market)[1] > 10 * RAY


def test_the_average_has_no_age(market):
    market.poke(10, 10, 10)
    market.protocol.advance(30 * 86_400)
    assert both(market) == (0, 10 * RAY)
