"""Recorded runs come out the same: outcomes, events, balances, money."""

import pytest

from backstop.files.old_names import load_rename_table
from tests.support.long_test_marks import build_pytest_params_with_deep_marks
from tests.support.recorded_behaviour import (
    COUNT,
    check_recorded_run_replays,
    load_recorded_scenario_figures,
    load_recorded_traces,
    simulate_with_recorded_gas,
)

PARTS = 10
BRIEF = "tests/regression/test_before_the_move.py::test_scenarios_come_to_the_same_figures"
# Of traces nine parts in ten, of scenarios those of more than a second.
LONG = (
    "black-thursday",
    "black-thursday-healthy",
    "black-thursday-zero-bid",
    "collapse",
    "liquidity-severe",
    "luna-stuck-feed",
    "may-2021",
    "jelly-delisted",
    "jelly-squeeze",
    "nomad-bridge",
    "october-2025-backstop",
    "october-2025-perpetuals",
    "oracle-jump",
    "rate-shock",
    "severe-day",
)
FIGURES = load_recorded_scenario_figures()


@pytest.fixture(scope="module")
def renames():
    return load_rename_table()


@pytest.mark.deep(brief="tests/regression/test_before_the_move.py::test_scenarios_come_to_the_same_figures")
@pytest.mark.parametrize("part", build_pytest_params_with_deep_marks(range(PARTS), range(1, PARTS), BRIEF))
def test_fuzzed_runs_come_out_the_same(part, artifacts, renames):
    played = 0
    for index, content in enumerate(load_recorded_traces()):
        if index % PARTS == part:
            check_recorded_run_replays(content, artifacts, renames)
            played += 1
    assert played == COUNT // PARTS


@pytest.mark.deep(cases=3)
@pytest.mark.parametrize("scenario", build_pytest_params_with_deep_marks(FIGURES, LONG, BRIEF))
def test_scenarios_come_to_the_same_figures(scenario, renames):
    assert simulate_with_recorded_gas(scenario, renames) == renames.translate_summary(FIGURES[scenario])
