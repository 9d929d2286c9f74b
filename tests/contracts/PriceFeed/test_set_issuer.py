"""set_issuer: a market has an issuer or reporters, never both, and keeps the first for good."""

import pytest

from tests.support.auction_steps import NOBODY, get_only_event_values
from tests.support.revert_setter_and_source_helpers import reverts

CALL = "PriceFeed.set_issuer"
OWN = 7


def test_is_known(protocol):
    assert protocol.read("PriceFeed.issuer_of", OWN) == NOBODY
    protocol.do(CALL, OWN, "issuer", sender="admin")
    assert get_only_event_values(protocol, "IssuerSet", "PriceFeed") == (OWN, protocol.address("issuer"))
    assert protocol.read("PriceFeed.issuer_of", OWN) == protocol.address("issuer")
    assert protocol.read("PriceFeed.current_price", OWN) == 0


def test_for_good(protocol):
    protocol.do(CALL, OWN, "issuer", sender="admin")
    for other in ("other", "issuer", NOBODY):
        with reverts("price_feed: has an issuer"):
            protocol.do(CALL, OWN, other, sender="admin")


def test_not_beside_reporters(protocol):
    with reverts("price_feed: has reporters"):
        protocol.do(CALL, 0, "issuer", sender="admin")


def test_no_reporters_beside_it(protocol):
    protocol.do(CALL, OWN, "issuer", sender="admin")
    reporters = tuple(f"reporter_{i}" for i in range(3))
    with reverts("price_feed: has an issuer"):
        protocol.do("PriceFeed.set_market", OWN, reporters, 3, 60, 60, 60, 60, sender="admin")
    for method, args in (("set_halted", (True,)), ("set_guards", (0, 1, 0, 0))):
        with reverts("price_feed: no market"):
            protocol.do(f"PriceFeed.{method}", OWN, *args, sender="admin")


def test_somebody(protocol):
    with reverts("price_feed: zero issuer"):
        protocol.do(CALL, OWN, NOBODY, sender="admin")


@pytest.mark.parametrize("sender", ["stranger", "guardian", "reporter_1"])
def test_admin_only(protocol, sender):
    with reverts("roles: not admin"):
        protocol.do(CALL, OWN, "issuer", sender=sender)
