"""Published figures are in files with their origin and their licence."""

from __future__ import annotations

from pathlib import Path

import pytest

from backstop.model.arithmetic import RAY
from backstop.simulation.scenario import load_scenario
from backstop.studies.reproductions.october_2025 import WAVES
from backstop.studies.reproductions.published_tables import FOLDER, load_figures
from backstop.studies.self_hedge import second_prices_from_bars

BARS = Path(second_prices_from_bars.__file__).parent / "bars"
DAYS = BARS.parent / "days"


@pytest.mark.parametrize(
    "file",
    [*FOLDER.glob("*.csv"), *BARS.glob("*.csv"), *DAYS.glob("*.csv")],
    ids=lambda file: f"{file.parent.stem}-{file.stem}",
)
def test_a_file_names_its_source_and_its_licence(file) -> None:
    head = file.read_text().splitlines()[0]
    assert head.startswith("# ") and "Source: " in head
    assert "Licence: " in head or "No licence is stated: only figures are taken" in head


@pytest.mark.parametrize("name", ("black-thursday", "may-2021"))
def test_prices_that_a_scenario_calls_published_are_in_the_bars(name) -> None:
    """Given as whole dollars, each lies between the lowest and the highest of the bars beside it."""
    day = load_scenario(name)
    bars = dict(zip(("black-thursday", "may-2021"), ("eth-2020-03-12", "eth-2021-05-19"), strict=True))
    rows = {at - day.start: bar for at, *bar in second_prices_from_bars.load_series(bars[name])}
    looked_at = 0
    for at in sorted(day.prices["ETH"].published):
        near = [rows[time] for time in (at - 600, at) if time in rows]
        if near:
            price = day.prices["ETH"].points[at] / RAY
            low, high = (
                pick(bar[i] for bar in near) / second_prices_from_bars.UNIT
                for pick, i in ((min, 2), (max, 1))
            )
            assert low - 0.5 <= price <= high + 0.5, (at, low, price, high)
            looked_at += 1
    assert looked_at > 20


def test_figures_are_exact() -> None:
    assert load_figures("bitfinex")["haircut"] * 1_000 == 36_067
    assert load_figures("black-thursday")["bad_debt"] == 5_670_000
    assert sum(wave.needed for wave in WAVES) == 15_079_670
