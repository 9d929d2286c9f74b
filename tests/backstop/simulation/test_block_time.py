"""A scenario with auctions that count its blocks plays as with seconds: no slot is missed."""

from dataclasses import replace

import pytest

from backstop.errors import BackstopError
from backstop.simulation.scenario import load_scenario
from backstop.simulation.scenario.parameters_yaml_writer import build_scenario_yaml_parameters_section
from backstop.simulation.simulator import simulate
from tests.support.devnet_process import SMALL


@pytest.fixture(scope="module")
def small():
    return replace(load_scenario(SMALL), duration=4 * 3_600)


def counting(scenario):
    return replace(scenario, parameters=replace(scenario.parameters, block_time=scenario.block_time))


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize("host", ["model", "revm"])
def test_it_plays_as_by_seconds(small, host):
    ours, theirs = simulate(counting(small), host, 1), simulate(small, host, 1)
    assert ours.summary["losses"]["created_rad"] != "0" and ours.tables["takes"]
    # What is stored of a lot's start differs, and with it the hash of the state.
    different = {key for key in theirs.summary if theirs.summary[key] != ours.summary[key]}
    assert different <= {"state_hash", "fields_compared"}
    assert ours.tables["takes"] == theirs.tables["takes"]


def test_it_is_written_and_read(small, tmp_path):
    assert (
        build_scenario_yaml_parameters_section(counting(small).parameters)["block_time"]
        == f"{small.block_time} s"
    )
    assert "block_time" not in build_scenario_yaml_parameters_section(small.parameters)
    file = tmp_path / "mine.yaml"
    file.write_text(f"extends: {SMALL}\ntitle: Blocks\nparameters: {{block_time: {small.block_time} s}}\n")
    assert load_scenario(file).parameters.block_time == small.block_time


def test_it_counts_no_other_blocks_than_its_own(small, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(f"extends: {SMALL}\ntitle: Blocks\nparameters: {{block_time: 12 s}}\n")
    with pytest.raises(BackstopError, match="'12 s' is not the scenario's block_time"):
        load_scenario(file)
