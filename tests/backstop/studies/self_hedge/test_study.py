"""Earnings of pairs by terms: nothing on average at the library's, and the table shows where they earn."""

from itertools import pairwise

import pytest

from backstop.studies.self_hedge import self_hedge_study
from backstop.studies.self_hedge.pair_market import LIBRARY
from backstop.studies.self_hedge.self_hedge_study import (
    APART,
    GROUPS,
    StudyScope,
    compute_hedge_gain_rows_of_setting,
    find_largest_move_moments,
    iter_settings,
)

WEAK = {"maintenance": 200, "initial": 400, "open_rate": 0}
SCOPE = StudyScope((1,), 900, 3_600)


def one_day(monkeypatch):
    """Restrict the study to the day with published seconds."""
    monkeypatch.setattr(self_hedge_study, "SERIES", ("avax-2025-10-10",))


def test_at_the_librarys_terms_no_pair_earns(monkeypatch):
    one_day(monkeypatch)
    total, day = compute_hedge_gain_rows_of_setting(SCOPE, "library", {})
    assert (total.blind, total.chosen) == (day.blind, day.chosen)
    assert day.chosen.pairs == 12 and day.chosen.failed == day.chosen.earned == day.blind.earned == 0
    assert max(day.blind.mean, day.chosen.mean, day.chosen.most) < 0


def test_at_weaker_ones_who_knows_the_next_look_does(monkeypatch):
    """A margin of 4% is less than the coin moved within two blocks on that day."""
    one_day(monkeypatch)
    found = compute_hedge_gain_rows_of_setting(SCOPE, "margins", WEAK)[0].chosen
    assert found.failed >= found.earned > 3
    assert 0 < found.mean < found.most and 0 < found.mean_share < found.most_share
    without = compute_hedge_gain_rows_of_setting(SCOPE, "insurance", {**WEAK, "cap": 0})[0].chosen
    assert 0 < without.mean < found.mean


@pytest.mark.deep(
    brief="tests/backstop/studies/self_hedge/test_study.py::test_at_the_librarys_terms_no_pair_earns"
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_on_all_days_the_average_is_not_above_zero(seed):
    """Each day by itself, on the grid and at chosen moments."""
    for row in compute_hedge_gain_rows_of_setting(StudyScope((seed,), 900, 7_200), "library", {}):
        assert max(row.blind.mean, row.chosen.mean) <= 0, row


def test_the_chosen_moments_are_those_of_the_largest_moves(monkeypatch):
    path = [100] * 1_000
    path[500:] = [120] * 500
    path[700:] = [126] * 300
    monkeypatch.setattr(self_hedge_study, "_load_path", lambda series, seed: path)
    find_largest_move_moments.cache_clear()
    found = find_largest_move_moments("eth-2020-03-12", 1, 60, 12)
    find_largest_move_moments.cache_clear()
    assert len(found) == self_hedge_study.CHOSEN
    assert any(488 <= each < 560 for each in found) and any(688 <= each < 760 for each in found)
    assert all(later - earlier >= APART for earlier, later in pairwise(found))


def test_each_setting_differs_from_the_librarys():
    found = list(iter_settings())
    assert found[0] == ("library", {}) and len(found) == 1 + sum(map(len, GROUPS.values()))
    assert all(LIBRARY._replace(**setting) != LIBRARY for _, setting in found[1:])
