"""force_mode: the guardian raises the mode without a trigger; only up, at most to EMERGENCY."""

import pytest

from tests.support.auction_steps import get_only_event_values
from tests.support.guard_steps import (
    ALL_TYPES,
    BREAKER,
    CAUTION,
    EMERGENCY,
    NORMAL,
    lower_breaker_mode_and_read_it,
    read_mode,
)
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.settlement_steps import start_settlement

CALL = "CircuitBreaker.force_mode"


@pytest.mark.parametrize("to", [CAUTION, EMERGENCY])
def test_is_raised_at_once(guarded, to):
    guarded.do(CALL, to, sender="guardian")
    assert get_only_event_values(guarded, "ModeChanged", "CircuitBreaker") == (
        *(NORMAL, to, 0, ALL_TYPES),
        guarded.address("guardian"),
    )
    assert read_mode(guarded) == to
    assert guarded.read("CircuitBreaker.state_of").calm_from == guarded.timestamp


@pytest.mark.parametrize(("before", "to"), [(0, 0), (1, 0), (1, 1), (2, 1), (2, 2)])
def test_only_up(guarded, before, to):
    if before:
        guarded.do(CALL, before, sender="guardian")
    with reverts("circuit_breaker: only up"):
        guarded.do(CALL, to, sender="guardian")


@pytest.mark.parametrize("to", [3, 2**256 - 1])
def test_at_most_emergency(guarded, to):
    with reverts("circuit_breaker: no such mode"):
        guarded.do(CALL, to, sender="guardian")


@pytest.mark.parametrize("sender", ["stranger", "admin", "breaker"])
def test_guardian_only(guarded, sender):
    with reverts("roles: missing role"):
        guarded.do(CALL, EMERGENCY, sender=sender)


def test_it_is_held_only_by_repeating_it(guarded):
    guarded.do(CALL, EMERGENCY, sender="guardian")
    guarded.advance(BREAKER.calm_period)
    assert lower_breaker_mode_and_read_it(guarded) == CAUTION
    guarded.do(CALL, EMERGENCY, sender="guardian")
    assert get_only_event_values(guarded, "ModeChanged", "CircuitBreaker")[:2] == (CAUTION, EMERGENCY)


def test_not_in_settlement(guarded):
    start_settlement(guarded)
    with reverts("circuit_breaker: in settlement"):
        guarded.do(CALL, CAUTION, sender="guardian")
