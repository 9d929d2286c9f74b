"""Printed amounts, from integers alone."""

import pytest

from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.report.amounts import (
    format_compact,
    format_day_and_time,
    format_duration_text,
    format_exact,
    format_fixed,
    format_moment,
    format_percent,
)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, RAD, "0"),
        (7, 1, "7"),
        (5_672_123 * RAD, RAD, "5.67M"),
        (5_675_000 * RAD, RAD, "5.68M"),  # half goes up
        (999_499 * WAD, WAD, "999k"),
        (999_500 * WAD, WAD, "1.00M"),
        (999 * WAD + WAD // 2, WAD, "1.00k"),
        (45_340 * WAD // 1000, WAD, "45.3"),
        (WAD // 2, WAD, "0.500"),
        (12 * WAD // 1000, WAD, "0.0120"),
        (1, RAY, "<0.000001"),
        (-1, RAY, ">\u22120.000001"),
        (-4_500 * WAD, WAD, "\u22124.50k"),
        (123_456 * 10**9 * WAD, WAD, "123T"),
    ],
)
def test_compact(value: int, unit: int, text: str) -> None:
    assert format_compact(value, unit) == text


def test_fixed_rounds_half_away_from_zero() -> None:
    assert format_fixed(1_234_567_895 * WAD // 1000, WAD) == "1,234,567.90"
    assert format_fixed(-5 * WAD // 1000, WAD) == "\u22120.01"
    assert format_fixed(-4 * WAD // 1000, WAD) == "0.00"  # no minus before nothing


def test_exact_keeps_every_digit() -> None:
    assert format_exact(2**200 * RAD + 1, RAD) == f"{2**200:,}.{1:045}"
    assert format_exact(1_500 * WAD, WAD) == "1,500"
    assert format_exact(-WAD // 4, WAD) == "\u22120.25"


def test_percent() -> None:
    assert format_percent(1, 3) == "33.3%"
    assert format_percent(1, 10**9) == "<0.1%"
    assert format_percent(0, 5) == "0.0%"
    assert format_percent(1, 0) == "–"


def test_times() -> None:
    assert format_moment(1_584_055_200) == "23:20 UTC, 12 March 2020"
    assert format_day_and_time(1_584_055_200) == "12 Mar 23:20"
    assert [format_duration_text(s) for s in (40, 840, 7500)] == ["40 s", "14 min", "2 h 05 min"]
