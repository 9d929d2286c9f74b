"""fix_price: one final price for each type, whatever the feed does afterwards."""

from backstop.model.arithmetic import RAY
from tests.support.auctions import WBTC, WETH, event
from tests.support.helpers import reverts

CALL = "Settlement.fix_price"


def test_the_current_price(begun):
    begun.post_price("WETH", 1_700 * RAY)
    begun.post_next("WETH", 1_600 * RAY)
    assert begun.do(CALL, WETH, sender="stranger") == 1_700 * RAY
    assert event(begun, "PriceFixed", "Settlement") == (WETH, 1_700 * RAY)
    assert begun.read("Settlement.final_price_of", WETH) == (True, 1_700 * RAY)
    assert begun.read("Settlement.final_price_of", WBTC) == (False, 0)


def test_the_last_valid_one_of_a_dead_feed(begun):
    assert begun.read("PriceFeed.current_price", WETH) == 0
    assert begun.do(CALL, WETH, sender="stranger") == 2_000 * RAY


def test_zero_if_there_never_was_one(new_protocol):
    protocol = new_protocol()
    protocol.do("Settlement.announce", sender="admin")
    protocol.advance(30 * 86_400)
    protocol.do("Settlement.begin", sender="stranger")
    assert protocol.do(CALL, WETH, sender="stranger") == 0
    assert protocol.read("Settlement.final_price_of", WETH) == (True, 0)
    with reverts("settlement: price is final"):
        protocol.do(CALL, WETH, sender="stranger")


def test_once(begun):
    begun.do(CALL, WETH, sender="stranger")
    begun.post_price("WETH", 1_700 * RAY)
    with reverts("settlement: price is final"):
        begun.do(CALL, WETH, sender="stranger")


def test_not_before_settlement(protocol):
    with reverts("settlement: not begun"):
        protocol.do(CALL, WETH, sender="admin")


def test_not_of_an_unknown_type(begun):
    with reverts("settlement: unknown type"):
        begun.do(CALL, 3, sender="stranger")
