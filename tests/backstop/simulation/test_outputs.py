"""One rule for all output folders: shown, gone on with, extended, refused, replaced."""

from __future__ import annotations

import importlib
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from backstop.cli.fuzz import RUN_BY
from backstop.errors import BackstopError
from backstop.files import output_directories
from backstop.files.output_directories import (
    MADE,
    OutputDirectory,
    hash_program_and_contract_sources,
    hash_value_repr,
    refuse_other,
)
from backstop.hosts.artifacts import CONTRACTS
from tests.support.checkout_paths import DATA
from tests.support.long_test_marks import build_pytest_params_with_deep_marks

TESTS = DATA
SMALL = str(TESTS / "runs" / "small.yaml")
STUDY = str(TESTS / "stress" / "small.yaml")
GRID = str(TESTS / "stress" / "ratios.yaml")
GUARDED = str(TESTS / "guards" / "small.yaml")

INPUTS = {"scenario": "small", "seed": 1, "content of the scenario": hash_value_repr("a")}


def written(path: Path, paths: int = 10) -> OutputDirectory:
    """A finished folder."""
    output = OutputDirectory.open_directory(path, "study", INPUTS, {"paths": paths})
    (path / "summary.json").write_text("{}")
    output.mark_finished()
    return output


def refused(path: Path, *args, **options) -> str:
    before = contents(path)
    with pytest.raises(BackstopError) as caught:
        OutputDirectory.open_directory(path, *args, **options)
    assert contents(path) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def contents(path: Path) -> dict[str, bytes]:
    return {str(each.relative_to(path)): each.read_bytes() for each in path.rglob("*") if each.is_file()}


def test_the_same_again_is_there(tmp_path) -> None:
    assert not OutputDirectory.open_directory(tmp_path / "a", "study", INPUTS, {"paths": 10}).finished
    written(tmp_path / "a")
    again = OutputDirectory.open_directory(tmp_path / "a", "study", INPUTS, {"paths": 10})
    assert again.finished and again.read_result() == {}
    (tmp_path / "a" / "summary.json").unlink()
    with pytest.raises(BackstopError, match=r"summary\.json cannot be read .* give --fresh"):
        again.read_result()


def test_an_unfinished_one_and_a_longer_one_go_on(tmp_path) -> None:
    OutputDirectory.open_directory(tmp_path, "study", INPUTS, {"paths": 10})
    (tmp_path / "chunk").write_text("kept")
    for paths in (10, 5):  # nothing is finished that could be lost
        assert not OutputDirectory.open_directory(tmp_path, "study", INPUTS, {"paths": paths}).finished
    written(tmp_path)
    assert not OutputDirectory.open_directory(tmp_path, "study", INPUTS, {"paths": 11}).finished
    assert (tmp_path / "chunk").read_text() == "kept"


def test_a_shorter_one_is_refused(tmp_path) -> None:
    written(tmp_path, 10_000)
    assert refused(tmp_path, "study", INPUTS, {"paths": 10}) == (
        f"{tmp_path} has 10,000 paths, not 10: ask for as many, choose another --out, "
        "or give --fresh to replace it"
    )


@pytest.mark.parametrize(
    ("command", "changed", "told"),
    [
        (
            "sweep",
            {},
            "was made by `ape run study`, not `ape run sweep`: choose another --out, or give --fresh",
        ),
        ("study", {"seed": 2, "path": 7}, "was made with seed 1, not 2, path none, not 7: choose another"),
        (
            "study",
            {"content of the scenario": hash_value_repr("b")},
            "made with another content of the scenario: ",
        ),
    ],
)
def test_what_differs_is_named_and_nothing_is_lost(tmp_path, command, changed, told) -> None:
    written(tmp_path)
    assert told in refused(tmp_path, command, INPUTS | changed, {"paths": 10})
    assert not OutputDirectory.open_directory(
        tmp_path, command, INPUTS | changed, {"paths": 10}, fresh=True
    ).finished
    assert list(contents(tmp_path)) == [MADE]


def test_what_holds_nothing_is_anybodys(tmp_path) -> None:
    OutputDirectory.open_directory(tmp_path, "study", INPUTS)
    assert not OutputDirectory.open_directory(tmp_path, "sweep", INPUTS).finished


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("made", [None, "[", "[]", "{}", '{"schema_version": 1}'])
def test_a_foreign_folder_stays(tmp_path, fresh, made) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    if made is not None:
        (tmp_path / MADE).write_text(made)
    assert "choose another --out" in refused(tmp_path, "study", INPUTS, fresh=fresh)


def test_what_another_command_put_into_it_stays(tmp_path) -> None:
    written(tmp_path)
    written(tmp_path / "run")
    text = refused(tmp_path, "study", INPUTS, fresh=True)
    assert text == f"{tmp_path} holds {tmp_path / 'run'}, which another command made: move that first"


def test_other_contracts_are_another_program(tmp_path) -> None:
    contracts = tmp_path / "contracts"
    shutil.copytree("contracts", contracts)
    assert hash_program_and_contract_sources(contracts) == hash_program_and_contract_sources(CONTRACTS)
    with (contracts / "Pool.vy").open("a") as file:
        file.write("# changed\n")
    with pytest.raises(BackstopError, match="was made with another program: "):
        refuse_other(
            tmp_path,
            {"program": hash_program_and_contract_sources(CONTRACTS)},
            {"program": hash_program_and_contract_sources(contracts)},
        )


@pytest.mark.deep(brief="tests/backstop/simulation/test_outputs.py::test_other_contracts_are_another_program")
def test_what_a_campaign_does_not_import_is_no_part_of_it(tmp_path, monkeypatch) -> None:
    shutil.copytree(
        output_directories.PACKAGE, tmp_path / "backstop", ignore=shutil.ignore_patterns("__pycache__")
    )
    monkeypatch.setattr(output_directories, "PACKAGE", tmp_path / "backstop")
    whole, campaign = (
        hash_program_and_contract_sources(CONTRACTS),
        hash_program_and_contract_sources(CONTRACTS, *RUN_BY),
    )
    edit = "\n# changed\n"
    with (tmp_path / "backstop/report/run_page.py").open("a") as file:
        file.write(edit)
    assert hash_program_and_contract_sources(CONTRACTS) != whole
    assert hash_program_and_contract_sources(CONTRACTS, *RUN_BY) == campaign
    for part in (
        "model/pool.py",
        "proof/properties/pool_properties.py",
        "proof/fuzz/action_generators/savings_actions.py",
    ):
        with (tmp_path / "backstop" / part).open("a") as file:
            file.write(edit)
        changed = hash_program_and_contract_sources(CONTRACTS, *RUN_BY)
        assert changed != campaign
        campaign = changed


# --------------------------------------------------------------------- commands


def run(name: str, *args: str) -> Result:
    command = importlib.import_module(f"scripts.{name}").cli
    return CliRunner(mix_stderr=False).invoke(command, args)


FAMILIES = {
    "simulate": ("--scenario", SMALL, "--host", "model"),
    "compare": ("--scenario", SMALL, "--host", "model", "--presets", "maker", "--aftermath", "0"),
    "guards": ("--scenario", GUARDED, "--host", "model"),
    "stress": (STUDY, "--paths", "4", "--confirm", "0"),
    "sweep": (GRID, "--paths", "4"),
    "attack": (STUDY, "--generations", "1", "--population", "6", "--engine", "model", "--host", "model"),
    "reproduce": ("arithmetic",),
    "fuzz": ("--steps", "50"),
    "hunt": ("--cases", "1", "--plans", "4", "--alarm", "extraction"),
}

BRIEF = "tests/backstop/simulation/test_outputs.py::test_every_command_has_the_rule"
# They go on, refuse and extend in tests of their own: that others are as short is what is left.
LONG = ("attack", "fuzz", "guards", "hunt", "reproduce", "sweep")


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize("name", build_pytest_params_with_deep_marks(FAMILIES, LONG, BRIEF))
def test_every_command_has_the_rule(name, tmp_path) -> None:
    out = tmp_path / "out"
    args = (*FAMILIES[name], "--out", str(out))
    first = run(name, *args)
    assert first.exit_code == 0, first.stderr
    made = json.loads((out / MADE).read_text())
    assert made["command"] == name and made["finished"] is not None

    again = run(name, *args)
    assert again.exit_code == 0, again.stderr
    assert f"{out} was there already: --fresh makes it again" in again.stderr
    assert again.stdout == first.stdout

    before = contents(out)
    other = run(name, *args, "--seed", "2")
    assert other.exit_code == 1 and other.stdout == ""
    assert other.stderr.startswith(f"Error: {out} was made with seed 1, not 2")
    assert other.stderr.count("\n") == 1 and contents(out) == before

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    foreign = run(name, *FAMILIES[name], "--out", str(tmp_path / "mine"), "--fresh")
    assert foreign.exit_code == 1 and "nothing that Backstop made" in foreign.stderr
    assert [each.name for each in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


@pytest.mark.deep(brief=BRIEF)
@pytest.mark.parametrize("name", FAMILIES)
def test_every_command_replaces_what_it_made(name, tmp_path) -> None:
    args = (*FAMILIES[name], "--out", str(tmp_path / "out"))
    assert run(name, *args).exit_code == 0
    assert run(name, *args, "--seed", "2", "--fresh").exit_code == 0
