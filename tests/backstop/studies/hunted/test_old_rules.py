"""The hunt under an old rule: the patch is put back whole, and the command says whether a story is new."""

import json
import shutil

import pytest
from click.testing import CliRunner

from backstop.cli.hunt import cli
from backstop.hosts.artifacts import ROOT
from backstop.model.arithmetic import WAD
from backstop.proof.old_rules import applies, old_rules, pair_of
from backstop.studies.hunt.case import STUCK
from backstop.studies.hunted.kept import Kept
from backstop.studies.hunted.looker import Look
from backstop.studies.hunted.news import Told
from backstop.studies.hunted.trials import MORE, UNCHANGED, Trials
from backstop.studies.hunted.watch import Watch

RULE = "test_dust_keeps_a_stage"


@pytest.fixture
def copy(tmp_path):
    """Return the files that old rules are put back into."""
    for folder in ("contracts", "offchain/backstop/model"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def files(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_pair_is_all_of_its_patch(copy):
    """As git applies it: then it is nowhere to be applied again, and can be taken back."""
    assert applies(RULE, copy) == ""
    pair_of(RULE).apply(copy)
    assert applies(RULE, copy) != ""
    changed = {change.file for change in pair_of(RULE).changes}
    assert {str(name) for name, text in files(copy).items() if text != (ROOT / name).read_bytes()} == changed


@pytest.mark.deep(cases=20)
@pytest.mark.parametrize("name", old_rules())
def test_each_old_rule_can_be_hunted(copy, name):
    """It is put back, and where it is met can be said of the rules of now."""
    Watch([pair_of(name)]).apply(copy)
    for file in {change.file for change in pair_of(name).changes if change.file.endswith(".py")}:
        compile((copy / file).read_text(), file, "exec")
        shutil.copy(ROOT / file, copy / file)
    pair_of(name).apply(copy)


def run(*args):
    return CliRunner(mix_stderr=False).invoke(cli, args)


@pytest.mark.parametrize("size", [1, 9])
def test_the_command_tells_what_is_new(tmp_path, size):
    kept = Kept(tmp_path / "hunted.json")
    trials = Trials([pair_of(RULE)], kept, 1, 3, [STUCK])
    met = Look((Told(0, STUCK, "nobody can go", 2 * WAD, "known"),), (RULE,))
    kept.keep(UNCHANGED, trials._key(*trials.pairs), {(0, STUCK): met})
    kept.keep(MORE, trials._key(), {(case, STUCK): Look() for case in range(1, 4)})
    story = Told(0, STUCK, "nobody can go", size * WAD, "it stays")
    kept.keep(RULE, trials._key(*trials.pairs), {(0, STUCK): Look((story,))})
    args = "--old-rule", RULE, "--alarm", STUCK, "--cases", "1", "--seed", "3", "--out", str(tmp_path)
    result = run(*args, "--json")
    (said,) = json.loads(result.stdout)
    assert said["pair"] == RULE and said["case"] == (0 if size == 9 else None)
    assert result.exit_code == (0 if size == 9 else 1)
    assert ("no new story is told under" in result.stderr) == (size == 1)


def test_an_unknown_rule_is_one_line(tmp_path):
    refused = run("--old-rule", "test_nothing", "--out", str(tmp_path))
    assert refused.exit_code == 1
    assert "no old rule test_nothing" in refused.stderr and refused.stderr.count("\n") == 1
