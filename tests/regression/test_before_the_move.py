"""What was recorded before the package moved comes out the same: outcomes, events, balances, money."""

import pytest

from tests.support.before_the_move import (
    COUNT,
    Renames,
    play_again,
    recorded_scenarios,
    recorded_traces,
    run_again,
)

PARTS = 10
FIGURES = recorded_scenarios()


@pytest.fixture(scope="module")
def renames():
    return Renames()


@pytest.mark.parametrize("part", range(PARTS))
def test_fuzzed_runs_come_out_the_same(part, artifacts, renames):
    played = 0
    for index, content in enumerate(recorded_traces()):
        if index % PARTS == part:
            play_again(content, artifacts, renames)
            played += 1
    assert played == COUNT // PARTS


@pytest.mark.parametrize("scenario", FIGURES)
def test_scenarios_come_to_the_same_figures(scenario, renames):
    assert run_again(scenario, renames) == renames.keys("figures", FIGURES[scenario])
