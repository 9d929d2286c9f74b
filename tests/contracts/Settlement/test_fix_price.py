"""fix_price: takes over the feed's final price, or nothing from a feed that is broken."""

from backstop.model.arithmetic import RAY
from backstop.model.roles import SETTLEMENT
from tests.support.auction_steps import WBTC, WETH, get_only_event_values
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.settlement_steps import report_until_final_prices_exist, start_settlement

CALL = "Settlement.fix_price"
DAY = 86_400


def test_what_the_feed_has_made(begun):
    begun.post_price("WETH", 1_700 * RAY)
    report_until_final_prices_exist(begun)
    made, price = begun.read("PriceFeed.final_price", WETH)
    assert made and price == 1_700 * RAY
    begun.post_price("WETH", 1_600 * RAY)
    assert begun.do(CALL, WETH, sender="stranger") == 1_700 * RAY
    assert get_only_event_values(begun, "PriceFixed", "Settlement") == (WETH, 1_700 * RAY)
    assert begun.read("Settlement.final_price_of", WETH) == (True, 1_700 * RAY)
    assert begun.read("Settlement.final_price_of", WBTC) == (False, 0)


def test_not_before_it_is_made(begun):
    with reverts("settlement: price is not final"):
        begun.do(CALL, WETH, sender="stranger")
    begun.post_price("WETH", 1_700 * RAY)
    begun.advance(3_600)
    with reverts("settlement: price is not final"):
        begun.do(CALL, WETH, sender="stranger")


def test_the_average_of_before_of_a_feed_that_died(begun):
    assert begun.read("PriceFeed.current_price", WETH) == 0
    begun.advance(3 * DAY - 1)
    with reverts("settlement: price is not final"):
        begun.do(CALL, WETH, sender="stranger")
    begun.advance(1)
    assert begun.do(CALL, WETH, sender="stranger") == 2_000 * RAY


def test_zero_if_there_never_was_one(new_protocol):
    protocol = new_protocol()
    start_settlement(protocol)
    protocol.advance(3 * DAY)
    assert protocol.do(CALL, WETH, sender="stranger") == 0
    assert protocol.read("Settlement.final_price_of", WETH) == (True, 0)
    with reverts("settlement: price is final"):
        protocol.do(CALL, WETH, sender="stranger")


def test_zero_if_the_feed_does_not_know_settlement(protocol):
    """A feed that fails when settlement begins holds it up for three days, and no longer."""
    protocol.do("PriceFeed.revoke_role", SETTLEMENT, "Settlement", sender="admin")
    start_settlement(protocol)
    assert [log.values for log in protocol.last.logs if log.event == "FeedFailed"] == [(0,), (1,), (2,)]
    protocol.post_price("WETH", 1_700 * RAY)
    protocol.advance(3 * DAY - 3_600 - 1)
    with reverts("settlement: price is not final"):
        protocol.do(CALL, WETH, sender="stranger")
    protocol.advance(3_600 + 1)
    assert protocol.do(CALL, WETH, sender="stranger") == 0


def test_once(begun):
    report_until_final_prices_exist(begun)
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
