"""`ape run faults`: its printed and kept output, and its exit codes."""

import json

import pytest
from click.testing import CliRunner

from backstop.cli.faults import cli


@pytest.fixture
def run(tmp_path):
    """The command with some options; its exit code, output and file."""
    out = tmp_path / "faults.json"

    def invoke(*options):
        result = CliRunner().invoke(cli, [*options, "--out", str(out)])
        return result, out

    return invoke


def test_a_part_that_nobody_needs_leaves_all_else_working(run):
    result, out = run("--component", "Treasury", "--failure-mode", "reverts", "--failure-mode", "eats")
    assert result.exit_code == 0, result.output
    written = json.loads(out.read_text())
    assert written["schema_version"] == 1
    assert {cell["verdict"] for cell in written["cells"]} == {"works"}
    assert f"cells={len(written['cells'])} works={len(written['cells'])} fails=0 wrong=0" in result.output


def test_what_does_not_work_is_named_and_ends_it_with_one(run):
    result, out = run("--component", "MarginPolicy", "--failure-mode", "reverts")
    assert result.exit_code == 1
    failing = {cell["call"] for cell in json.loads(out.read_text())["cells"] if cell["verdict"] != "works"}
    closes = {"close a position", "close and withdraw", "close and take out"}
    assert failing == {*closes, "reduce by cycle"}
    assert all(call in result.output for call in failing)


def test_json_is_what_is_written(run):
    result, out = run("--component", "Treasury", "--failure-mode", "reverts", "--json")
    assert json.loads(result.stdout) == json.loads(out.read_text())


def test_names_that_nothing_has_are_told(run):
    result, _ = run("--component", "Junor")
    assert result.exit_code == 1 and "component 'Junor' is unknown; expected one of " in result.output
    result, _ = run("--failure-mode", "explodes")
    assert result.exit_code == 1 and "failure mode 'explodes' is unknown; expected one of " in result.output


def test_a_way_that_the_part_does_not_have_is_told(run):
    result, out = run("--component", "Treasury", "--failure-mode", "silent")
    assert result.exit_code == 1 and "no component has such a failure mode" in result.output
    assert not out.exists()


def test_a_file_of_somebody_else_is_kept(run):
    _, out = run("--component", "Junor")
    out.write_text('{"schema_version": 1}')
    result, _ = run("--component", "Treasury", "--failure-mode", "reverts")
    assert result.exit_code == 1 and "is not a table of faults: name another file with --out" in result.output
    assert out.read_text() == '{"schema_version": 1}'
