"""set_price: the word of the market's issuer counts at once, everywhere, for good."""

import pytest

from backstop.model.arithmetic import RAY
from tests.support.auction_steps import get_only_event_values
from tests.support.revert_setter_and_source_helpers import reverts

PRICES = ("current_price", "risk_price", "liquidation_price", "auction_price", "last_price", "time_weighted")
# No type, no market yet.
OWN = 7


@pytest.fixture
def issued(protocol):
    protocol.do("PriceFeed.set_issuer", OWN, "issuer", sender="admin")
    return protocol


def say(protocol, price):
    protocol.do("PriceFeed.set_price", OWN, price, sender="issuer")


@pytest.mark.parametrize("view", PRICES)
def test_every_price_is_that_at_once_and_later(issued, view):
    for price in (RAY, RAY // 3, 1, 2**112 - 1):
        say(issued, price)
        assert issued.read(f"PriceFeed.{view}", OWN) == price
        issued.advance(1_234)
        assert issued.read(f"PriceFeed.{view}", OWN) == price


def test_it_never_goes_stale(issued):
    say(issued, RAY)
    issued.advance(20 * 365 * 86_400)
    assert issued.read("PriceFeed.risk_price", OWN) == RAY


def test_is_told_as_any_other_price(issued):
    say(issued, RAY)
    assert get_only_event_values(issued, "Poked", "PriceFeed") == (OWN, RAY, RAY)
    assert issued.read("PriceFeed.latest_round_data", OWN)[1] == 10**8


@pytest.mark.parametrize("price", [0, 2**112, 2**256 - 1])
def test_bounds(issued, price):
    with reverts("price_feed: price bounds"):
        say(issued, price)


@pytest.mark.parametrize("sender", ["admin", "reporter_1", "stranger"])
def test_the_issuer_only(issued, sender):
    with reverts("price_feed: not the issuer"):
        issued.do("PriceFeed.set_price", OWN, RAY, sender=sender)
    with reverts("price_feed: not the issuer"):
        issued.do("PriceFeed.set_price", 0, RAY, sender=sender)


def test_nobody_pokes_it(issued):
    say(issued, RAY)
    with reverts("price_feed: no market"):
        issued.do("PriceFeed.poke", OWN, sender="stranger")
