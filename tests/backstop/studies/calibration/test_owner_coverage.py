"""Intervals of measured owners' behaviour hold the law that drew them, about as often as they claim."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import backstop
from tests.support.checkout_paths import ROOT
from tests.support.synthetic_owners import (
    START,
    SyntheticLaw,
    build_prices,
    draw_events,
    list_known_figures,
    write_price_csv,
)

BRIEF = "tests/backstop/studies/calibration/test_owners.py::test_a_known_law_is_found_within_its_intervals"
WEEKS = 30


@pytest.mark.deep(brief=BRIEF)
def test_claimed_intervals_hold_the_law_of_owners(tmp_path: Path) -> None:
    """Of 30 weeks at a claim of 95%, 24 or more hold in 99.9%; of all figures together nine in ten do."""
    law, hourly = SyntheticLaw(), build_prices(7)
    (tmp_path / "prices.csv").write_text(write_price_csv(hourly))
    prices = backstop.read_prices(tmp_path / "prices.csv")
    held, of = Counter[str](), Counter[str]()
    for seed in range(WEEKS):
        (tmp_path / "events.csv").write_text(draw_events(law, 150, hourly, seed))
        week = backstop.read_owner_history(
            tmp_path / "events.csv",
            prices,
            fixed={"debt_price": "1"},
            ratios={"WETH": "130%"},
            begin=START,
        )
        figures = {
            (each.name, each.of): each.figure for each in backstop.fit_owners([week], draws=80).parameters
        }
        for place, value in list_known_figures(law).items():
            low, high = figures[place].low, figures[place].high
            assert low is not None and high is not None
            held[place[0]] += low <= value <= high
            of[place[0]] += 1
    lines = [f"| `{name}` | {held[name]} of {count} |" for name, count in of.items()]
    print("\n".join(lines))
    assert all(held[name] >= 0.85 * count for name, count in of.items())
    assert held.total() >= 0.9 * of.total()
    page = (ROOT / "docs" / "explanation" / "owner-law.md").read_text()
    assert "\n".join(lines) in page
