"""Intervals of small studies hold the result of a large exact one, also for the fast engine."""

from __future__ import annotations

import pytest

from backstop.studies.stress.interval_coverage import measure_coverage, sample_bad_debt_on_both_engines

pytestmark = pytest.mark.deep(
    brief="tests/backstop/studies/stress/test_statistics.py::test_the_interval_of_a_shortfall_holds_it"
)

STUDIES, SIZE = 40, 250


@pytest.fixture(scope="module")
def large():
    return sample_bad_debt_on_both_engines(paths=120)


def test_most_paths_lose_and_some_do_not(large) -> None:
    """All that is left is sold at the last prices: without that, half of them would not have lost yet."""
    for losses in large:
        assert 0.8 < (losses > 0).mean() < 1


def test_most_intervals_hold_the_truth(large) -> None:
    exact, fast = large
    found = measure_coverage(exact, fast, STUDIES, (SIZE,))
    # The tail of a shortfall at 99% has fewer than ten of 250 paths: there is no interval.
    assert [each.figure for each in found] == [
        "probability of a loss",
        "average",
        "value at risk 95%",
        "value at risk 99%",
        "expected shortfall 95%",
    ]
    for each in found:
        assert each.exact >= 0.8 and each.fast >= 0.8, each
        assert abs(each.error) < 0.02, each


def test_an_engine_that_is_off_does_not_hold_it(large) -> None:
    exact, fast = large
    found = {each.figure: each for each in measure_coverage(exact, fast * 1.5, STUDIES, (SIZE,))}
    assert found["average"].fast < 0.5 < 0.8 < found["average"].exact
    assert found["average"].error == pytest.approx(0.5, abs=0.02)
