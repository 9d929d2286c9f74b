"""Forecasts of bad days: made from earlier data alone, and as wrong as the docs say."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from backstop.simulation.scenario.draw_scenario import draw_path_outcomes
from backstop.studies.reproductions import forecasts
from backstop.studies.reproductions.figure_comparison import Reproduction
from backstop.studies.risk_questions.path_runner import load_with_changes
from tests.support.reproduction_pages import is_table_on_page

BRIEF = (
    "tests/backstop/studies/reproductions/test_forecasts.py::test_the_bound_is_that_of_the_published_table"
)

FALLS = 6 * len(forecasts.CASES)
SCORES = 4


@pytest.fixture(scope="module")
def found() -> Reproduction:
    return forecasts.reproduce_result(1)


@pytest.mark.deep(brief=BRIEF)
def test_the_page_says_what_is_printed(found) -> None:
    assert is_table_on_page(found)


@pytest.mark.deep(brief=BRIEF)
def test_each_figure_stands_beside_its_twin(found) -> None:
    """Twins of price drops weigh recent moves more; those of bad debt have owners that react.

    Bounds are equal.
    """
    falls, losses = found.rows[:FALLS], found.rows[FALLS:-SCORES]
    pairs = [
        *zip(falls[::3], falls[1::3], strict=True),
        *zip(losses[::2], losses[1::2], strict=True),
    ]
    assert {twin.figure.strip() for _, twin in pairs} == {"recent moves weigh more", "owners react"}
    for row, twin in pairs:
        assert (row.bound, row.source, row.unit) == (twin.bound, twin.source, twin.unit)
        assert row.figure.strip() != twin.figure.strip()
    scores = {each.figure: (each.ours, each.unit) for each in found.rows[-SCORES:]}
    assert scores == {
        "within bounds: falls, one volatility": (sum(row.agrees is True for row in falls[::3]), "of 8"),
        "within bounds: falls, recent moves weigh more": (
            sum(row.agrees is True for row in falls[1::3]),
            "of 8",
        ),
        "within bounds: bad debt, owners stand still": (
            sum(row.agrees is True for row in losses[::2]),
            "of 5",
        ),
        "within bounds: bad debt, owners react": (sum(row.agrees is True for row in losses[1::2]), "of 5"),
    }
    assert found.compared_count == 26


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
    """Price drops after a moment move no forecast before it; the law is fitted afresh after so many moves."""
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


def test_a_deviation_is_expected_from_the_squares_before() -> None:
    """By hand: from the mean of the squares 9 and 1, then 75% of the estimate and 25% of the last square."""
    moves = np.array([0.03, -0.01, 0.05, 0.0])
    found = forecasts.estimate_recent_deviations(moves, 2, 0.75)
    squares = [5.0, 0.75 * 5 + 0.25 * 9]
    squares.append(0.75 * squares[1] + 0.25 * 1)
    squares.append(0.75 * squares[2] + 0.25 * 25)
    assert found == pytest.approx([1e-2 * each**0.5 for each in squares])
    # What comes later changes nothing before it.
    later = forecasts.estimate_recent_deviations(np.append(moves, 0.5), 2, 0.75)
    assert list(later[:4]) == list(found)


def test_recent_moves_weigh_more() -> None:
    """After calm hours wild ones surprise a law of one volatility to the end, and the other only at first."""
    random = np.random.default_rng(3)
    moves = np.concatenate([0.001 * random.standard_normal(120), 0.02 * random.standard_normal(120)])
    none = np.empty(0)
    plain = forecasts.find_exceedances(none, moves, 120, 120)[9_900]
    weighted = forecasts.find_exceedances(none, moves, 120, 120, 0.94)[9_900]
    assert weighted[:20].count(True) > 1
    assert weighted[20:].count(True) <= 3 < 30 < plain[20:].count(True)
    # A past that is given counts as one that was played.
    known = forecasts.find_exceedances(moves[:120], moves[120:], 0, 120, 0.94)[9_900]
    assert known == weighted


def test_owners_who_react_lower_bad_debt_at_the_same_prices() -> None:
    still, reacting = (
        forecasts.compute_bad_debt_by_path("maker-2020.yaml", {}, 1, 20, are_owners_reacting=reacts)
        for reacts in (False, True)
    )
    assert len(still) == len(reacting) == 20
    assert 0 < 2 * sum(reacting) < sum(still)


def test_owners_draw_no_number_of_the_prices() -> None:
    """Prices of a path stay: the twin of a figure differs by its owners alone."""
    fields = {f"{forecasts.MODEL}.volatility": "90% a year"}
    day = load_with_changes(str(forecasts.HERE / "forecast.yaml"), fields)
    owned = forecasts.add_default_owners(day)
    for path in range(3):
        one, other = draw_path_outcomes(day, 1, path), draw_path_outcomes(owned, 1, path)
        assert one.prices["ETH"].ticks.tolist() == other.prices["ETH"].ticks.tolist()
        assert (one.owner_key, other.owner_key > 0) == (0, True)


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
    reacting = {
        row.figure: twin.ours for row, twin in zip(found.rows[FALLS:], found.rows[FALLS + 1 :], strict=False)
    }
    # Owners who react cost every forecast its nearness to what was published.
    for name, value in ours.items():
        if name.endswith((": bad debt", "one day in 20", "one day in 100")):
            assert 0 < 2 * reacting[name] < value
    for one_in in (20, 100):
        calm, whole = (
            ours[f"law of the {each}, keepers up: bad debt of one day in {one_in}"]
            for each in ("calm hours", "whole day")
        )
        assert 0 < calm < whole < 5_670_000
