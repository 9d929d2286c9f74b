"""set_terms: the terms of a type's workouts, set by the admin within bounds, for later workouts."""

import pytest

from backstop.model.arithmetic import RAY
from tests.support.auction_steps import WETH, get_only_event_values
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.workout_steps import DAY, FORECLOSED, TERMS, foreclose_workout, read_workout, start_workout

CALL = "Workouts.set_terms"
LEAST = (0, 10_000, 0, 1, 600, 0, 0)
MOST = (5_000, 20_000, 5_000, 60, 90 * DAY, 365 * DAY, 10**9)


@pytest.mark.parametrize("terms", [LEAST, MOST], ids=["least", "most"])
def test_within_bounds(workouts, terms):
    workouts.do(CALL, 2, *terms, sender="admin")
    assert get_only_event_values(workouts, "TermsSet", "Workouts") == (2, *terms)
    assert tuple(workouts.read("Workouts.terms_of", 2)) == terms


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        (0, 5_001, "workouts: discount bounds"),
        (0, 2**256 - 1, "workouts: discount bounds"),
        (1, 9_999, "workouts: ratio too low"),
        (1, 20_001, "workouts: ratio too high"),
        (2, 5_001, "workouts: premium bounds"),
        (3, 0, "workouts: instalment bounds"),
        (3, 61, "workouts: instalment bounds"),
        (4, 599, "workouts: interval bounds"),
        (4, 90 * DAY + 1, "workouts: interval bounds"),
        (5, 365 * DAY + 1, "workouts: period bounds"),
        (6, 10**9 + 1, "workouts: cap bounds"),
    ],
)
def test_out_of_bounds(workouts, field, value, reason):
    terms = list(MOST)
    terms[field] = value
    with reverts(reason):
        workouts.do(CALL, WETH, *terms, sender="admin")


@pytest.mark.parametrize("discount", [0, 1, 2_000, 3_333])
def test_no_workout_may_begin_under_its_ratio(workouts, discount):
    """Entering collateral is worth 1/(1 - discount) of its debt, and the ratio asks for no more."""
    highest = 10**8 // (10_000 - discount)
    workouts.do(CALL, WETH, discount, highest, *LEAST[2:], sender="admin")
    with reverts("workouts: ratio too high"):
        workouts.do(CALL, WETH, discount, highest + 1, *LEAST[2:], sender="admin")


def test_only_of_a_known_type(workouts):
    with reverts("workouts: unknown type"):
        workouts.do(CALL, 3, *LEAST, sender="admin")


@pytest.mark.parametrize("sender", ["stranger", "guardian", "borrower"])
def test_admin_only(workouts, sender):
    with reverts("roles: not admin"):
        workouts.do(CALL, WETH, *LEAST, sender=sender)


def test_workouts_under_way_keep_their_terms(workouts):
    id = start_workout(workouts)
    before = read_workout(workouts, id)
    workouts.do(CALL, WETH, 0, 10_000, 0, 1, 600, 0, 0, sender="admin")
    assert read_workout(workouts, id) == before
    assert (before.discount, before.ratio, before.interval) == (TERMS.discount, TERMS.ratio, TERMS.interval)
    workouts.post_price("WETH", FORECLOSED * RAY - 1)
    foreclose_workout(workouts, id)
