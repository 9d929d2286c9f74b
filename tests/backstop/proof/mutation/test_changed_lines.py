"""Mutants of changed lines: the changed lines, their mutants, and a campaign's report on each."""

import subprocess

import pytest
from click.testing import CliRunner

from backstop.cli.mutants import cli
from backstop.errors import BackstopError
from backstop.proof.mutation.changed_line_mutants import (
    list_results,
    read_changed_lines,
    shuffle_mutants_of_lines,
    try_mutants,
)
from backstop.proof.mutation.contract_mutants import FILES, list_mutants
from backstop.proof.mutation.mistake_detectors import DIFFERENCE, NOTICED, SILENT, DetectorVerdict


@pytest.fixture
def checkout(tmp_path):
    """A commit with each contract file, and two changed lines of Pool.vy after it."""
    for files in FILES.values():
        for file in files:
            path = tmp_path / "contracts" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("# pragma version 0.4.3\n\nA: constant(uint256) = 7\nB: constant(uint256) = 8\n")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *identity, *command], cwd=tmp_path, check=True)
    pool = tmp_path / "contracts" / "Pool.vy"
    pool.write_text(pool.read_text().replace("= 8", "= 9") + "C: constant(uint256) = 5\n")
    return tmp_path


def test_changed_lines_are_those_added_since_a_commit(checkout):
    assert read_changed_lines("HEAD", checkout) == {"Pool.vy": {4, 5}}


def test_an_unknown_commit_is_refused(checkout):
    with pytest.raises(BackstopError, match=r"--since nowhere: .*; expected a commit of this checkout"):
        read_changed_lines("nowhere", checkout)


def test_mutants_are_of_changed_lines_in_an_order_by_seed(checkout):
    lines, root = read_changed_lines("HEAD", checkout), checkout / "contracts"
    drawn = shuffle_mutants_of_lines(lines, 3, root)
    assert {(mutant.file, mutant.line) for mutant in drawn} == {("Pool.vy", 4), ("Pool.vy", 5)}
    assert drawn == shuffle_mutants_of_lines(lines, 3, root)
    assert sorted(map(str, drawn)) == sorted(map(str, shuffle_mutants_of_lines(lines, 4, root)))


@pytest.mark.deep(
    brief="tests/backstop/proof/mutation/test_changed_lines.py::test_mutants_are_of_changed_lines_in_an_order_by_seed"
)
def test_a_campaign_notices_a_wrong_line():
    """A stablecoin that mints nothing differs from the model at the first draw."""
    wrong = next(each for each in list_mutants("Stablecoin") if "erc20._mint(to, amount)" in each.before)
    ((mutant, word),) = try_mutants([wrong], 1, 400, 1)
    assert mutant == wrong and word.outcome == DIFFERENCE and 0 < word.step <= 400


def test_results_are_summed():
    mutant = list_mutants("LedgerStage")[0]
    done = [
        (mutant, DetectorVerdict(SILENT)),
        (mutant, DetectorVerdict(NOTICED, "property 3", 12)),
        (mutant, DetectorVerdict(DIFFERENCE, step=7)),
    ]
    lines = list(list_results(done))
    assert lines[-1] == "noticed 2 of 3 mutants of changed lines"
    assert "not noticed" in lines[0] and "noticed at step 12: property 3" in lines[3]


def test_a_command_names_an_unknown_commit():
    result = CliRunner().invoke(cli, ["--since", "nowhere"])
    assert result.exit_code == 1 and result.output.startswith("Error: --since nowhere: ")
