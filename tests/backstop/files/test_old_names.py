"""Traces, run folders and deployments of before 0.2: their names are translated, or one line refuses them."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from backstop.cli.main import main
from backstop.deployment.deployment_file import read_deployment
from backstop.errors import BackstopError
from backstop.files.old_names import load_rename_table
from backstop.hosts.artifacts import Artifacts
from backstop.simulation.run_directory import load_run
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import simulate

DATA = Path(__file__).parents[2] / "data"
OLD = DATA / "old_runs" / "margin"
"""A run folder that the commit before the renames wrote, of the scenario of today's name."""

TABLE = load_rename_table()


def run(*args: object):
    return CliRunner(mix_stderr=False).invoke(main, [str(arg) for arg in args])


@pytest.mark.parametrize("kind", sorted(TABLE.names))
def test_no_new_name_is_an_old_one(kind):
    names = TABLE.names[kind]
    assert not set(names.values()) & set(names)


def test_every_new_name_of_a_contract_a_method_and_an_event_exists(artifacts: Artifacts):
    names = TABLE.names
    for contract in names["contracts"].values():
        assert artifacts[contract]
    everything = {name: artifacts[name] for name in artifacts.paths}
    known = {
        (name, each["name"])
        for name, artifact in everything.items()
        for each in artifact.abi_json
        if "name" in each
    }
    assert {name for _, name in known} >= set(names["events"].values())
    assert {(key.partition(".")[0], new) for key, new in names["methods"].items()} <= known


@pytest.mark.parametrize(
    ("contract", "method", "new"),
    [
        ("PerpetualMarket", "roll", "advance_cycle"),
        ("PriceFeed", "report", "report"),
        ("Nomad", "report", "sync_note"),
        ("Equity", "book", "reserve_mint"),
        ("Savings", "deposit", "deposit"),
    ],
)
def test_a_method_is_told_by_its_contract(contract, method, new):
    assert TABLE.translate_method(contract, method) == new


def test_an_old_run_is_read_as_it_would_be_written_today(tmp_path):
    simulate(load_scenario(DATA / "runs" / "margin.yaml"), "model", 1, out=tmp_path / "today")
    old, today = load_run(OLD), load_run(tmp_path / "today")
    for name in ("actions", "events"):
        frame = today.frames[name]
        same = [column for column in frame if column != "gas"]  # an input, which has changed since
        pd.testing.assert_frame_equal(old.frames[name][same], frame[same])
    assert old.summary.keys() == today.summary.keys()
    assert old.summary["facilitators"] == today.summary["facilitators"]


def test_report_replay_and_shrink_read_an_old_run(tmp_path):
    folder = tmp_path / "old"
    shutil.copytree(OLD, folder)
    assert run("report", folder).exit_code == 0
    page = (folder / "report.html").read_text()
    assert "Facilitators" in page and "Domains" not in page
    replayed = run("replay", folder / "trace.json")
    assert replayed.exit_code == 0, replayed.stderr
    shrunk = run("shrink", folder / "trace.json")
    assert shrunk.exit_code == 1 and "this trace does not fail" in shrunk.stderr


def test_an_old_deployment_is_refused_in_one_line(tmp_path):
    file = tmp_path / "deployment.json"
    file.write_text(json.dumps({"schema_version": 8, "contracts": {}}))
    with pytest.raises(
        BackstopError, match="schema version 8, this program reads 9: deploy again"
    ) as refused:
        read_deployment(file)
    assert "\n" not in str(refused.value)
