"""set_triggers: two thresholds of each trigger, by the admin, within bounds; 0 is off."""

import pytest

from backstop.model.arithmetic import RAY
from tests.support.auction_steps import get_only_event_values
from tests.support.guard_steps import EMERGENCY, FALL, escalate_mode, read_mode, set_triggers
from tests.support.revert_setter_and_source_helpers import reverts

CALL = "CircuitBreaker.set_triggers"
OFF = (0, 0)
MOST = ((8 * 10**9,) * 2, (10_000,) * 2, (30 * 86_400,) * 2, (10_000,) * 2)


@pytest.mark.parametrize(
    "values", [(OFF,) * 4, MOST, ((1, 2), (3, 4), (5, 6), (7, 8))], ids=["off", "most", "each"]
)
def test_within_bounds(guarded, values):
    guarded.do(CALL, *values, sender="admin")
    assert get_only_event_values(guarded, "TriggersSet", "CircuitBreaker") == values
    assert tuple(guarded.read("CircuitBreaker.triggers_of")) == values


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (0, "circuit_breaker: loss bounds"),
        (1, "circuit_breaker: fall bounds"),
        (2, "circuit_breaker: silence bounds"),
        (3, "circuit_breaker: auction bounds"),
    ],
)
def test_out_of_bounds(guarded, place, reason):
    most = MOST[place][0]
    # Above the highest, or CAUTION after EMERGENCY.
    for wrong in ((most + 1, 0), (0, most + 1), (most, most + 1), (2, 1), (2**256 - 1, 0)):
        values = [OFF] * 4
        values[place] = wrong
        with reverts(reason):
            guarded.do(CALL, *values, sender="admin")


def test_either_may_be_off_alone(guarded):
    for values in ((5, 0), (0, 5)):
        set_triggers(guarded, fall=values)


@pytest.mark.parametrize("sender", ["stranger", "guardian"])
def test_admin_only(guarded, sender):
    with reverts("roles: not admin"):
        guarded.do(CALL, *(OFF,) * 4, sender=sender)


def test_the_mode_stays(indebted):
    indebted.post_price("WETH", 1_000 * RAY)
    escalate_mode(indebted, FALL)
    set_triggers(indebted)
    assert read_mode(indebted) == EMERGENCY
