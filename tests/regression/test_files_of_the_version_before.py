"""Files of version 0.1.0: pages, traces and deployments open; a refusal to resume names both versions."""

from __future__ import annotations

import json
import shutil
from importlib import import_module

import pytest
from click.testing import CliRunner

import backstop
from backstop.deployment.deployment_file import deployment_from_json, read_deployment
from tests.support.checkout_paths import DATA

FILES = DATA / "files_of_0_1_0"
VERSIONS = f"was made by Backstop 0.1.0, this is {backstop.__version__}, and with another"


def invoke(command, *options):
    cli = import_module(f"backstop.cli.{command}").cli
    return CliRunner(mix_stderr=False).invoke(cli, [str(each) for each in options])


@pytest.fixture
def files(tmp_path):
    return shutil.copytree(FILES, tmp_path / "files")


@pytest.mark.parametrize("name", ["run", "stress", "compare"])
def test_a_folder_has_its_page_written_again(files, name):
    result = invoke("report", files / name)
    assert result.exit_code == 0, result.stderr
    assert "Content-Security-Policy" in next((files / name).glob("*.html")).read_text()


def test_a_run_is_read_by_python(files):
    run = backstop.load_run(files / "run")
    assert run.summary["scenario"] == "nomad-bridge"
    assert len(run.frames["actions"]) > 0


def test_a_trace_is_replayed_without_differences(files):
    result = invoke("replay", files / "run" / "trace.json", "--host", "revm")
    assert result.exit_code == 0, result.stderr
    assert "differences      0" in result.stdout


@pytest.mark.parametrize(
    ("command", "folder", "options"),
    [
        ("simulate", "run", ("--scenario", "nomad-bridge", "--host", "model")),
        ("stress", "stress", ("stress-day", "--paths", 8, "--confirm", 0)),
        ("compare", "compare", ("--scenario", "nomad-bridge", "--presets", "maker", "--host", "model")),
        ("fuzz", "fuzz", ("--steps", 300, "--seed", 5)),
    ],
)
def test_a_folder_that_cannot_be_resumed_names_both_versions(files, command, folder, options):
    before = {path: path.read_bytes() for path in (files / folder).rglob("*") if path.is_file()}
    result = invoke(command, *options, "--out", files / folder)
    assert result.exit_code == 1
    assert VERSIONS in result.stderr and result.stderr.count("\n") == 1
    assert before == {path: path.read_bytes() for path in (files / folder).rglob("*") if path.is_file()}


def test_a_deployment_is_read_with_its_version(files):
    assert read_deployment(files / "deployment.json").version == "0.1.0"


def test_a_deployment_whose_plan_has_changed_names_both_versions(files):
    path = files / "deployment.json"
    content = json.loads(path.read_text())
    content["contracts"]["Stablecoin"]["args"][0] = "Another Dollar"
    path.write_text(json.dumps(content))
    with pytest.raises(
        backstop.errors.BackstopError, match=rf"Backstop 0\.1\.0 wrote it, this is {backstop.__version__}"
    ):
        read_deployment(path)


def test_a_present_deployment_keeps_its_version():
    content = json.loads((FILES / "deployment.json").read_text())
    assert deployment_from_json({**content, "version": "0.1.9"}).version == "0.1.9"
