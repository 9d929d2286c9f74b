"""set_calm_period: how long it has to be calm, by the admin, within bounds."""

import pytest

from tests.support.auction_steps import get_only_event_values
from tests.support.guard_steps import CAUTION, NORMAL, lower_breaker_mode_and_read_it
from tests.support.revert_setter_and_source_helpers import reverts

CALL = "CircuitBreaker.set_calm_period"
LEAST, MOST = 600, 7 * 86_400


@pytest.mark.parametrize("seconds", [LEAST, MOST])
def test_within_bounds(guarded, seconds):
    guarded.do(CALL, seconds, sender="admin")
    assert get_only_event_values(guarded, "CalmPeriodSet", "CircuitBreaker") == (seconds,)
    assert tuple(guarded.read("CircuitBreaker.state_of")) == (NORMAL, 0, seconds)


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [
        (LEAST - 1, "circuit_breaker: short calm"),
        (MOST + 1, "circuit_breaker: long calm"),
        (2**256 - 1, "circuit_breaker: long calm"),
    ],
)
def test_out_of_bounds(guarded, seconds, reason):
    with reverts(reason):
        guarded.do(CALL, seconds, sender="admin")


@pytest.mark.parametrize("sender", ["stranger", "guardian"])
def test_admin_only(guarded, sender):
    with reverts("roles: not admin"):
        guarded.do(CALL, LEAST, sender=sender)


def test_counts_for_the_calm_under_way(guarded):
    guarded.do("CircuitBreaker.force_mode", CAUTION, sender="guardian")
    guarded.advance(LEAST)
    guarded.do(CALL, LEAST, sender="admin")
    assert lower_breaker_mode_and_read_it(guarded) == NORMAL
