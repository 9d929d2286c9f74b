"""Forecasts of bad days: made of what came before alone, and as wrong as the docs say."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from backstop.studies.reproductions import forecasts
from backstop.studies.reproductions.figure_comparison import Reproduction
from tests.support.checkout_paths import ROOT

BRIEF = (
    "tests/backstop/studies/reproductions/test_forecasts.py::test_the_bound_is_that_of_the_published_table"
)

DOCS = (ROOT / "docs/know/reproductions.md").read_text(encoding="utf-8")
FALLS = 4 * len(forecasts.CASES)


@pytest.fixture(scope="module")
def found() -> Reproduction:
    return forecasts.reproduce(1, books=3, paths=300)


@pytest.mark.deep(brief=BRIEF)
def test_the_page_says_what_is_printed(found) -> None:
    """All of the falls, which no seed moves; of the losses what is published, in the same order."""
    lines = DOCS.split(f"## {found.title}\n\n")[1].split("\n\n")[0].splitlines()[2:]
    page = [tuple(cell.strip() for cell in line.split("|")[1:-1]) for line in lines]
    ours = [tuple(cell.strip() for cell in each.format_cells()) for each in found.rows]
    assert page[:FALLS] == ours[:FALLS]
    assert [(figure, published, bound, source) for figure, published, _, _, bound, _, source in page] == [
        (figure, published, bound, source) for figure, published, _, _, bound, _, source in ours
    ]
    for i, source in enumerate(found.sources, 1):
        assert f"- [{i}] {source}\n" in DOCS


@pytest.mark.deep(brief=BRIEF)
def test_bad_days_fall_deeper_than_their_own_mornings_say(found) -> None:
    """And less so where a bad day before is known: the share of bars beyond 99% falls to a half."""
    rows = {each.figure: each for each in found.rows}
    morning = rows["ether, 19 May 2021: of 72 bars, deeper than at 99%"]
    knowing = rows["the same, knowing 12 March 2020: of 144 bars, deeper than at 99%"]
    assert (morning.published, morning.agrees) == (3, False)
    assert (knowing.published, knowing.agrees) == (3, True)


@pytest.mark.deep(brief=BRIEF)
def test_only_what_came_before_is_known() -> None:
    """Falls after a moment move no forecast before it; the law is fitted anew after so many moves."""
    random = np.random.default_rng(3)
    calm, wild = 0.001 * random.standard_normal(120), 0.02 * random.standard_normal(60)
    none = np.empty(0)
    whole = forecasts.find_exceedances(none, np.concatenate([calm, wild]), 60, 6)
    short = forecasts.find_exceedances(none, calm, 60, 6)
    assert all(whole[level][:60] == short[level] for level in short)
    first = [bool(each < -0.0025) for each in wild[:6]]
    assert whole[9_900][60:66] == first and any(first)
    # Fitted once, the law stays as surprised as it was.
    once = forecasts.find_exceedances(none, np.concatenate([calm, wild]), 60, 1_000)
    assert sum(once[9_900]) > 1.3 * sum(whole[9_900])
    # Whoever knew such moves from before is not surprised.
    before = forecasts.find_exceedances(0.02 * random.standard_normal(400), wild, 0, 6)
    assert sum(before[9_900]) < 3 < sum(whole[9_900][60:])


def test_a_law_known_by_construction_is_exceeded_as_often_as_it_says() -> None:
    moves = 0.01 * np.random.default_rng(5).standard_normal(3_000)
    found = forecasts.find_exceedances(np.empty(0), moves, 1_000, 200)
    assert sum(found[9_500]) == pytest.approx(100, abs=20)
    assert sum(found[9_900]) == pytest.approx(20, abs=9)


@pytest.mark.parametrize(
    ("count", "rate", "most"), [(255, "0.01", 6), (1_000, "0.01", 16), (255, "0.05", 20)]
)
def test_the_bound_is_that_of_the_published_table(count, rate, most) -> None:
    """Kupiec's, in Jorion's "Value at Risk"."""
    assert forecasts.find_most_hits_kupiec_accepts(count, Fraction(rate)) == most


def test_a_law_is_written_as_calibration_writes_it() -> None:
    random = np.random.default_rng(4)
    heavy = 0.01 * random.standard_t(4, 20_000) / 2**0.5
    fields = forecasts.fit_student_model_fields(heavy, 600)
    volatility = float(fields["prices.ETH.model.volatility"].removesuffix("% a year"))
    assert volatility == pytest.approx(100 * 0.01 * (365 * 144) ** 0.5, rel=0.05)
    assert fields["prices.ETH.model.degrees"] in ("3", "4")
    assert list(forecasts.fit_student_model_fields(np.linspace(-0.01, 0.01, 200), 600)) == [
        "prices.ETH.model.volatility"
    ]


@pytest.mark.deep(brief=BRIEF)
def test_losses_are_the_keepers_as_much_as_the_prices(found) -> None:
    ours = {each.figure: each.ours for each in found.rows[FALLS:]}
    up, down = (ours[f"at the published prices, keepers {each}: bad debt"] for each in ("up", "down"))
    assert 10 * up < down < 5_670_000
    for one_in in (20, 100):
        calm, whole = (
            ours[f"law of the {each}, keepers up: bad debt of one day in {one_in}"]
            for each in ("calm hours", "whole day")
        )
        assert 0 < calm < whole < 5_670_000
