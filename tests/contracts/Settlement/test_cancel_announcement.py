"""retract: an announcement that was a mistake."""

import pytest

from tests.support.auction_steps import get_only_event_values
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.settlement_steps import start_settlement

CALL = "Settlement.cancel_announcement"


@pytest.mark.parametrize("sender", ["stranger", "guardian"])
def test_the_admin_alone(protocol, sender):
    with reverts("roles: not admin"):
        protocol.do(CALL, sender=sender)


def test_takes_the_announcement_back(protocol):
    protocol.do("Settlement.announce", sender="admin")
    protocol.do(CALL, sender="admin")
    assert get_only_event_values(protocol, "Announced", "Settlement") == (0,)
    protocol.advance(365 * 86_400)
    with reverts("settlement: too early"):
        protocol.do("Settlement.begin", sender="stranger")


def test_even_when_anyone_could_begin(protocol):
    protocol.do("Settlement.announce", sender="admin")
    protocol.advance(60 * 86_400)
    protocol.do(CALL, sender="admin")
    with reverts("settlement: too early"):
        protocol.do("Settlement.begin", sender="stranger")


def test_not_once_settlement_has_begun(protocol):
    start_settlement(protocol)
    with reverts("settlement: has begun"):
        protocol.do(CALL, sender="admin")
