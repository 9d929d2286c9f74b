"""With a mistake in the rules the hunt tells what it does not tell without; harmless ones it leaves alone."""

import json

import pytest
from click.testing import CliRunner

from backstop.cli.mutants import cli
from backstop.errors import BackstopError
from backstop.model.arithmetic import WAD
from backstop.proof.mutation.pairs import HUNTED, read_pairs
from backstop.studies.hunt.case import MARGIN, STUCK, TAKEN, UNEQUAL
from backstop.studies.hunted.kept import Kept
from backstop.studies.hunted.looker import Look
from backstop.studies.hunted.news import Known, Told
from backstop.studies.hunted.trials import MORE, ORDER, UNCHANGED, Trials, Verdict, complaints, table, total

PAIRS = {pair.name: pair for pair in read_pairs(HUNTED)}
FOUND, HARMLESS, UNMET = (
    PAIRS[name] for name in ("sold-principal-stays", "ids-two-by-two", "profit-claimed-and-not-paid")
)


def told(size, kind="somebody cannot repay", alarm=STUCK, case=0):
    return Told(case, alarm, kind, size * WAD, "")


@pytest.mark.deep(brief="tests/backstop/studies/hunted/test_trials.py::test_the_command_reads_what_is_kept")
def test_a_pair_is_found_and_a_harmless_one_is_not(tmp_path):
    """For real, in one case of the quickest alarm."""
    pairs = [FOUND, HARMLESS, UNMET]
    trials = Trials(pairs, Kept(tmp_path / "hunted.json"), 1, 3, [STUCK], times=1)
    unchanged = trials.unchanged()
    assert unchanged[0, STUCK].met == tuple(sorted((FOUND.name, HARMLESS.name)))
    found, harmless, unmet = trials.run(unchanged)
    assert found.found == (0, STUCK) and found.met == 1
    assert found.story is not None and found.story.size > 2 * WAD
    assert (harmless.found, harmless.met) == (None, 1)
    # Nobody comes there: it is not even tried.
    assert (unmet.found, unmet.met) == (None, 0)
    assert UNMET.name not in json.loads((tmp_path / "hunted.json").read_text())["looks"]

    # What was said is not asked again, and a run that was stopped goes on.
    again = Trials(pairs, Kept(tmp_path / "hunted.json"), 1, 3, [STUCK], lambda: True, times=1)
    assert again.unchanged() == unchanged
    assert list(again.run(unchanged)) == []
    kept = Trials(pairs, Kept(tmp_path / "hunted.json"), 1, 3, [STUCK], times=1)
    assert list(kept.run(unchanged)) == [found, harmless, unmet]
    # Stopped while it looked at the unchanged rules, which are what a story is compared with.
    assert list(kept.run({})) == []


def test_a_story_is_new_beyond_twice_the_largest_of_its_kind():
    known = Known([told(10), told(30, case=1)])
    assert not known.is_new(told(60)) and known.is_new(told(61))
    # Of a kind of its own: twice what makes a story.
    assert not known.is_new(told(2, "nobody can leave")) and known.is_new(told(3, "nobody can leave"))
    assert not known.is_new(told(200, alarm=TAKEN)) and known.is_new(told(201, alarm=TAKEN))
    assert known.first_new([told(60), told(70), told(80)]) == told(70)
    assert known.first_new([told(60)]) is None


def test_by_the_margin_alarm_the_largest_of_the_case_counts_as_well():
    known = Known([told(1_000, "a pair is opened", MARGIN, case=4)])
    assert not known.is_new(told(2_000, "cash is withdrawn", MARGIN, case=4))
    assert known.is_new(told(2_000, "cash is withdrawn", MARGIN, case=5))
    assert not known.is_new(told(2_000, "a pair is opened", MARGIN, case=5))


def test_a_case_that_cannot_be_completed_counts_as_found_and_noise_fails():
    broken = Verdict(FOUND, (3, UNEQUAL), None, "AssertionError", 7)
    silent, noise = Verdict(UNMET, None, None, "", 0), Verdict(HARMLESS, (1, STUCK), told(9), "", 20)
    assert total([broken, silent, noise]) == "found 1 of 2"
    assert list(table([broken, silent]).columns[4].cells) == ["AssertionError", ""]
    assert list(complaints([broken, silent])) == []
    assert list(complaints([noise])) == ["ids-two-by-two is harmless and was found: somebody cannot repay: "]


def test_the_command_reads_what_is_kept(tmp_path):
    file = tmp_path / "hunted.json"
    trials = Trials([UNMET], Kept(file), 1, 3)
    trials.kept.keep(UNCHANGED, trials._key(UNMET), {(0, alarm): Look() for alarm in ORDER})
    beyond = {(case, alarm): Look() for case in range(1, 4) for alarm in ORDER}
    trials.kept.keep(MORE, trials._key(), beyond)
    command = ["--by", "hunt", "--pair", UNMET.name, "--cases", "1", "--seed", "3", "--out", str(file)]
    result = CliRunner(mix_stderr=False).invoke(cli, command)
    assert result.exit_code == 0, result.stderr
    assert "nobody" in result.stdout and "found 0 of 1" in result.stdout
    (said,) = json.loads(CliRunner(mix_stderr=False).invoke(cli, [*command, "--json"]).stdout)
    assert said["pair"] == UNMET.name and said["case"] is None and said["met"] == 0


def test_a_file_that_is_not_whole_is_one_line(tmp_path):
    file = tmp_path / "hunted.json"
    file.write_text(json.dumps({"schema_version": 1, "looks": {"x": {"key": "k", "cases": [{}]}}}))
    with pytest.raises(BackstopError, match=r"is not a whole file of trials .*: choose another --out"):
        Kept(file)
    file.write_text(json.dumps({"schema_version": 2}))
    with pytest.raises(BackstopError, match="schema version 2, this program reads 1"):
        Kept(file)


def test_a_case_that_fails_under_the_unchanged_rules_ends_the_trials(tmp_path):
    trials = Trials([UNMET], Kept(tmp_path / "hunted.json"), 1, 3, [STUCK], times=1)
    trials.kept.keep(UNCHANGED, trials._key(UNMET), {(0, STUCK): Look(broken="AssertionError: the opening")})
    with pytest.raises(BackstopError, match="fails under the unchanged rules: case 0, stuck: AssertionError"):
        trials.unchanged()


def test_the_pairs_of_a_file_are_tried_by_the_hunt(tmp_path):
    file = tmp_path / "none.yaml"
    file.write_text("schema_version: 1\npairs: []\n")
    command = ["--by", "hunt", "--pair", UNMET.name, "--from", str(file), "--out", str(tmp_path / "out.json")]
    result = CliRunner(mix_stderr=False).invoke(cli, command)
    assert result.exit_code == 1 and UNMET.name in result.stderr
