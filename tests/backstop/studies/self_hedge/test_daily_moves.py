"""Counted days: an account's margin bounds its moves, counts are those of bars, a bad file is one line."""

from decimal import Decimal
from fractions import Fraction

import pytest

from backstop.errors import BackstopError
from backstop.model.arithmetic import BASIS_POINTS
from backstop.studies.self_hedge.daily_move_counts import (
    COINS,
    Days,
    count_daily_moves,
    count_daily_moves_in_csv,
    count_days_with_liquidation,
    load_day_move_counts,
)

MARGINS = [(200, 120), (250, 125), (1_000, 500), (2_000, 1_000), (2_500, 1_000), (7_997, 3_998)]


def is_liquidated(initial, maintenance, tenths, way):
    """An account of one coin bought or sold at 1,000, with only its initial margin, at a later price."""
    price = 1_000 + way * tenths
    equity = Fraction(initial * 1_000, BASIS_POINTS) - tenths
    return equity < Fraction(price * maintenance, BASIS_POINTS)


@pytest.mark.parametrize(("initial", "maintenance"), MARGINS)
def test_days_are_liquidated_from_the_tenth_of_the_bound_on(initial, maintenance):
    """Of one day for each move: those that an account does not survive, and the tenth before at most."""
    every = Days({step: 1 for step in range(1_000)}, {step: 1 for step in range(1_000)})
    found = count_days_with_liquidation(every, initial, maintenance)
    for way, count in ((-1, found.longs), (1, found.shorts)):
        exact = sum(is_liquidated(initial, maintenance, step, way) for step in range(1_000))
        assert exact <= count <= exact + 1
    assert found.days == 1_000


def test_bars_are_counted_by_their_largest_moves():
    bars = ["100 100 100", "100 109.99 88.01", "100 200 11.95", "50 54.995 50"]
    found = count_daily_moves(tuple(Decimal(each) for each in bar.split()) for bar in bars)
    assert found == Days({0: 2, 119: 1, 880: 1}, {0: 1, 99: 2, 1_000: 1})
    assert found.number == 4


def test_a_file_of_days_is_read(tmp_path):
    file = tmp_path / "days.csv"
    file.write_text("# mine\nday,open,high,low,close\n1,100,110,95,99\n2,99,99,98.9,99\n")
    assert count_daily_moves_in_csv(file) == Days({50: 1, 1: 1}, {100: 1, 0: 1})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("open,high\n1,2\n", "column 'low' is missing; expected open, high, low"),
        ("open,high,low\n1,2,\n", "row 1 has no price in open, high, low"),
        ("open,high,low\n1,2,1\n1,2\n", "row 2 has no price"),
        ("open,high,low\n3,2,1\n", "row 1: expected 0 < low <= open <= high"),
        ("open,high,low\n1,2,0\n", "row 1: expected 0 < low"),
        (None, "No such file"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path, text, message):
    file = tmp_path / "days.csv"
    if text is not None:
        file.write_text(text)
    with pytest.raises(BackstopError, match=message) as caught:
        count_daily_moves_in_csv(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("coin", COINS)
def test_each_day_of_the_repository_has_a_fall_and_a_rise(coin):
    found = load_day_move_counts(coin)
    assert found.number == sum(found.rose.values()) == {"avax": 2_002}.get(coin, 3_122)


def test_the_worst_days_are_counted():
    """ETH fell by 47% on 12 March 2020, AVAX by 69% on 10 October 2025."""
    assert load_day_move_counts("eth").fell[479] == 1 and load_day_move_counts("avax").fell[699] == 1


def test_more_margin_liquidates_fewer():
    days = load_day_move_counts("eth")
    found = [count_days_with_liquidation(days, initial, maintenance) for initial, maintenance in MARGINS]
    assert [each.longs for each in found] == sorted((each.longs for each in found), reverse=True)
    assert [each.shorts for each in found] == sorted((each.shorts for each in found), reverse=True)
