"""`ape run reproduce`: the tables of docs/explanation/reproductions on stdout; a mistake is one line."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from backstop.cli.reproduce import cli
from backstop.report.result_kinds import find_result_kind
from backstop.studies.reproductions import EPISODES, NAMES, run_reproduction
from tests.support.reproduction_pages import read_reproduction_page


def run(*args: str):
    return CliRunner(mix_stderr=False).invoke(cli, args)


@pytest.mark.deep(
    brief="tests/backstop/studies/reproductions/test_command.py::test_json_and_files_are_the_same"
)
@pytest.mark.parametrize("name", ["arithmetic", "bitfinex", "october-2025"])
def test_what_is_printed_is_in_the_docs(name) -> None:
    """Those that draw nothing; that the others' published figures are the docs', test_results.py asserts."""
    result = run(name)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == f"{name} ...\n"
    for line in result.stdout.strip().splitlines():
        assert line in read_reproduction_page(name).splitlines()


def test_json_and_files_are_the_same(tmp_path) -> None:
    result = run("arithmetic", "--json", "--out", str(tmp_path / "out"))
    (printed,) = json.loads(result.stdout)
    assert printed == json.loads((tmp_path / "out" / "arithmetic.json").read_text())
    assert printed == run_reproduction("arithmetic").as_json()


def test_page_has_the_published_figures_beside_ours(tmp_path) -> None:
    """It is made anew by `report`, from the file beside it."""
    out = tmp_path / "out"
    result = run("arithmetic", "--out", str(out))
    assert result.exit_code == 0, result.stderr
    text = (out / "reproductions.html").read_text()
    printed = json.loads((out / "arithmetic.json").read_text())
    assert f"{printed['agreed']} of {printed['compared']} comparisons with published figures hold." in text
    for row in printed["rows"]:
        assert all(cell in text for cell in row["text"])
    kind = find_result_kind(out)
    assert kind is not None and kind.name == "reproductions"
    (out / "reproductions.html").unlink()
    assert kind.write(out).read_text() == text


def test_episodes_are_reproductions() -> None:
    assert set(EPISODES) < set(NAMES) and len(EPISODES) == 5


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("moon",), "'moon' is unknown; expected one of 13 values, as 'arithmetic'; "),
        ((), "Missing argument"),
        (("bitfinex", "--seed", "-1"), "-1 is not in the range"),
    ],
)
def test_bad_input_is_one_line(args, message) -> None:
    result = run(*args)
    assert result.exit_code != 0
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_help_names_all_and_has_examples() -> None:
    text = run("--help").stdout
    assert "ape run reproduce all --out runs/reproductions" in text
    assert all(name in "".join(text.split()) for name in NAMES)  # lines break at hyphens, too
