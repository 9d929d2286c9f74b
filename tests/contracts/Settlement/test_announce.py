"""announce: the admin's word, and the delay starts."""

import pytest

from tests.support.auction_steps import get_only_event_values
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.settlement_steps import start_settlement

CALL = "Settlement.announce"
DELAY = 30 * 86_400


@pytest.mark.parametrize("sender", ["stranger", "guardian", "borrower"])
def test_the_admin_alone(protocol, sender):
    with reverts("roles: not admin"):
        protocol.do(CALL, sender=sender)


def test_starts_the_delay_and_logs_it(protocol):
    protocol.do(CALL, sender="admin")
    assert protocol.read("Settlement.progress_of").announced_for == protocol.timestamp + DELAY
    assert get_only_event_values(protocol, "Announced", "Settlement") == (protocol.timestamp + DELAY,)


def test_once_more_starts_it_again(protocol):
    protocol.do(CALL, sender="admin")
    protocol.advance(DELAY - 1)
    protocol.do(CALL, sender="admin")
    protocol.advance(DELAY - 1)
    with reverts("settlement: too early"):
        protocol.do("Settlement.begin", sender="stranger")


def test_changes_nothing_else(protocol):
    protocol.do(CALL, sender="admin")
    protocol.borrow("borrower", "WETH", 10**19, 5_000 * 10**18)
    assert not protocol.read("VaultEngine.in_settlement")


def test_not_once_settlement_has_begun(protocol):
    start_settlement(protocol)
    with reverts("settlement: has begun"):
        protocol.do(CALL, sender="admin")
