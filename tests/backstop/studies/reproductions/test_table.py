"""Bounds hold or do not; printed values are rounded, written values are exact."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from backstop.errors import BackstopError
from backstop.studies.reproductions import run_reproduction
from backstop.studies.reproductions.figure_comparison import (
    EXACT,
    Reproduction,
    build_absolute_tolerance,
    build_percent_tolerance,
    build_range,
    build_ratio_tolerance,
    build_row,
    format_decimal,
    write_reproduction,
)


@pytest.mark.parametrize(
    ("bound", "near", "far"),
    [
        (EXACT, 100, Fraction(100_001, 1_000)),
        (build_absolute_tolerance(3), 97, Fraction(96_999, 1_000)),
        (build_percent_tolerance(10), 110, Fraction(110_001, 1_000)),
        (build_ratio_tolerance(3), 300, Fraction(300_001, 1_000)),
        (build_ratio_tolerance(4), 25, Fraction(24_999, 1_000)),
    ],
)
def test_a_bound_holds_up_to_itself(bound, near, far) -> None:
    assert build_row("", near, 100, bound).agrees is True
    assert build_row("", far, 100, bound).agrees is False


def test_no_factor_leads_to_zero_or_to_the_other_side() -> None:
    assert build_row("", 0, 100, build_ratio_tolerance(1_000)).agrees is False
    assert build_row("", -100, 100, build_ratio_tolerance(2)).agrees is False


def test_a_range_is_rounded_outward_and_has_to_contain_what_is_published() -> None:
    bound = build_range([Fraction(5, 2), 4, Fraction(31, 3)])
    assert [build_row("", 1_000, known, bound).agrees for known in (1, 2, 11, 12)] == [
        False,
        True,
        True,
        False,
    ]
    assert bound.format_tolerance("ETH") == "2 to 11 ETH"
    assert bound.as_json() == ["range", "2", "11"]
    shares = build_range([Fraction(1, 3), Fraction(2, 3)], places=2)
    assert shares.format_tolerance("%") == "0.33 to 0.67 %"


def test_without_a_bound_or_a_figure_nothing_agrees() -> None:
    assert build_row("", 1, 1).agrees is None
    assert build_row("", 1, bound=EXACT).agrees is None


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [
        (Fraction(1, 2), 0, "1"),
        (Fraction(-1, 2), 0, "-1"),
        (Fraction(-1, 3), 0, "0"),
        (1_234_567, 0, "1,234,567"),
        (Fraction(2, 3), 4, "0.6667"),
    ],
)
def test_numbers_are_rounded_half_away_from_zero(value, places, text) -> None:
    assert format_decimal(value, places) == text


def test_the_lines() -> None:
    rows = [
        build_row("close", Fraction(21, 2), 10, build_absolute_tolerance(1), unit="s", places=1, source=1),
        build_row("far", 20, 10, build_percent_tolerance(50)),
        build_row("ours alone", 7),
    ]
    lines = list(Reproduction("x", "X", ("somebody, 2020",), rows).iter_lines())
    assert [line.split("|")[1:-1] for line in lines[2:5]] == [
        [" close      ", "    10.0 s ", " 10.5 s ", "       +0.5 ", " 1 s   ", " yes    ", " [1]    "],
        [" far        ", "        10 ", "     20 ", "        +10 ", " 50%   ", " NO     ", "        "],
        [" ours alone ", "           ", "      7 ", "            ", "       ", "        ", "        "],
    ]
    assert lines[6] == "1 of 2 figures agree within their bounds."
    assert lines[8] == "- [1] somebody, 2020"


def test_files_are_exact(tmp_path) -> None:
    third = build_row(
        "third", Fraction(1, 3), Fraction(1, 4), build_absolute_tolerance(1), places=2, source=1
    )
    write_reproduction(Reproduction("x", "X", ("a report",), [third], ("A remark.",)), tmp_path / "new")
    written = json.loads((tmp_path / "new" / "x.json").read_text())
    assert written["rows"][0] == {
        "figure": "third",
        "unit": "",
        "published": "1/4",
        "ours": "1/3",
        "difference": "1/12",
        "bound": ["by", "1"],
        "agrees": True,
        "source": "a report",
        "text": ["third", "0.25", "0.33", "+0.08", "1", "yes", "[1]"],
    }
    assert written["remarks"] == ["A remark."]


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BackstopError, match="cannot be written"):
        write_reproduction(Reproduction("x", "X", (), []), tmp_path / "file" / "x")


def test_an_unknown_result_is_one_line() -> None:
    with pytest.raises(BackstopError, match="reproduction 'moon' is unknown; expected one of "):
        run_reproduction("moon")
