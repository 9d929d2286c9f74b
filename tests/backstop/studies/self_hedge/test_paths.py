"""Prices second by second: through the published bars, the same for one seed, and no further than these."""

from itertools import pairwise

import pytest

from backstop.randomness import SeededRandom
from backstop.studies.self_hedge import second_prices_from_bars
from backstop.studies.self_hedge.second_prices_from_bars import (
    SERIES,
    SYNTHETIC,
    UNIT,
    Bar,
    fill_bar,
    largest_move,
    load_series,
)

BAR = Bar(0, 100 * UNIT, 104 * UNIT, 93 * UNIT, 95 * UNIT)


@pytest.mark.parametrize("seed", range(20))
def test_a_bars_seconds_have_its_extremes_and_its_close(seed):
    path = fill_bar(BAR, 101 * UNIT, 600, SeededRandom(seed))
    assert len(path) == 600 and path[-1] == BAR.close
    assert (min(path), max(path)) == (BAR.low, BAR.high)


def test_what_came_before_may_lie_outside_of_the_bar():
    """The last trade of a bar and the first of the next are apart: the path starts where it was."""
    path = fill_bar(BAR, 110 * UNIT, 600, SeededRandom(1))
    assert path[0] > BAR.high and min(path) == BAR.low and path[-1] == BAR.close


@pytest.mark.parametrize("length", [2, 3, 4])
def test_the_shortest_bars(length):
    for seed in range(20):
        path = fill_bar(BAR, BAR.open, length, SeededRandom(seed))
        assert len(path) == length and path[-1] == BAR.close


def test_one_seed_is_one_path():
    first, again, other = (fill_bar(BAR, BAR.open, 600, SeededRandom(seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert sum(first) == 5_958_140_720_272


@pytest.mark.parametrize("name", SERIES)
def test_published_figures_name_their_source(name):
    head = (second_prices_from_bars._FOLDER / f"{name}.csv").read_text().splitlines()[0]
    assert head.startswith("# ") and "Source: " in head and "licence" in head
    rows = load_series(name)
    assert all(earlier[0] < later[0] for earlier, later in pairwise(rows))
    if name in SYNTHETIC:
        assert len({later[0] - earlier[0] for earlier, later in pairwise(rows)}) == 1
        assert all(bar.low <= min(bar.open, bar.close) for bar in map(Bar._make, rows))
        assert all(bar.high >= max(bar.open, bar.close) for bar in map(Bar._make, rows))


def test_seconds_that_are_published_are_taken_as_they_are():
    rows, path = (
        load_series("avax-2025-10-10"),
        second_prices_from_bars.list_prices_for_every_second("avax-2025-10-10", 7),
    )
    assert path == second_prices_from_bars.list_prices_for_every_second("avax-2025-10-10", 8)
    assert len(path) == 3_601 == rows[-1][0] - rows[0][0] + 1
    assert all(path[at - rows[0][0]] == price for at, price in rows)


def test_the_largest_move_is_that_of_a_window():
    path = [100, 101, 102, 110, 99, 99, 99]
    assert largest_move(path, 1) == 1_000  # 110 to 99
    assert largest_move(path, 3) == 1_000
    assert largest_move(path[:4], 1) == 785  # 102 to 110, rounded up
    assert largest_move(path[:4], 3) == 1_000
    assert largest_move([5, 5], 600) == 0
