"""Mutants meet real tests in a process of their own; what became of them is kept."""

import json

import pytest

from backstop.errors import BackstopError
from backstop.proof.mutation.mutants import mutants_of
from backstop.proof.mutation.results import Result, Results
from backstop.proof.mutation.score import Score, complaints
from backstop.proof.mutation.trials import Trials

GOOD = "tests/contracts/LedgerStage/test_capacity.py"


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "mutants.json")


def run(results, **options):
    """A few mutants of the smallest contract against a few of its tests."""
    trials = Trials(["LedgerStage"], results, sample=4, tests=[GOOD])
    shown = []
    done = trials.run(workers=1, show=lambda contract, mutant, result: shown.append(mutant.id), **options)
    return trials.scores["LedgerStage"], shown, done


@pytest.mark.deep(brief="tests/backstop/proof/mutation/test_trials.py::test_results_come_back_from_disk")
def test_the_same_mutants_whether_stopped_or_not(results, tmp_path):
    whole, shown, done = run(results)
    assert done and whole.mutants == 4 and whole.killed and whole.survived
    assert all(GOOD in result.by for _, result in whole.killed)

    other = Results(tmp_path / "other.json")
    looks = iter([False, False, True])
    _, first, done = run(other, stopped=lambda: next(looks))
    assert not done and first == shown[:2]
    resumed, _, done = run(Results(other.file))
    assert (done and resumed == whole) or resumed.survived == whole.survived


@pytest.mark.deep(brief="tests/backstop/proof/mutation/test_trials.py::test_results_come_back_from_disk")
def test_tests_that_fail_by_themselves_are_told(results, tmp_path):
    broken = tmp_path / "test_broken.py"
    broken.write_text("def test_it():\n    assert False\n")
    with pytest.raises(BackstopError, match=r"test_broken.py::test_it fails without any fault"):
        Trials(["LedgerStage"], results, sample=1, tests=[str(broken)]).run(workers=1)


def result(outcome, results, by=""):
    return Result(outcome, 1.0, results.suite, by)


def test_results_come_back_from_disk(results):
    killed, survived, *_ = mutants_of("LedgerStage")
    results.add(killed, result("killed", results, "tests/x.py::test_x"))
    results.add(survived, result("survived", results))
    again = Results(results.file)
    assert again.get(killed) == result("killed", results, "tests/x.py::test_x")
    assert again.get(survived) == result("survived", results)
    assert again.killers(killed) == ["tests/x.py::test_x"]
    assert Results(results.file, fresh=True).get(killed) is None


def test_an_edit_of_the_contracts_drops_their_results_and_goes_on(results):
    killed, other, *_ = mutants_of("LedgerStage")
    results.contracts = "before the edit"
    results.add(killed, result("killed", results, "tests/x.py::test_x"))
    for fresh in (False, True):
        again = Results(results.file, fresh)
        # Whatever killed it before probably does so again.
        assert again.get(killed) is None and again.killers(killed) == ["tests/x.py::test_x"]
    again.add(other, result("killed", again))
    kept = Results(results.file)
    assert kept.get(other) is not None and kept.get(killed) is None


def test_a_survivor_meets_tests_that_are_new(results):
    killed, survived, *_ = mutants_of("LedgerStage")
    results.suite = "another"
    results.add(killed, result("killed", results, "tests/x.py::test_x"))
    results.add(survived, result("survived", results))
    again = Results(results.file)
    assert again.get(killed) is not None and again.get(survived) is None


def test_a_broken_file_of_results_is_named(results):
    results.file.write_text(json.dumps({"schema_version": 1, "mutants": {"x": {}}}))
    with pytest.raises(BackstopError, match="not a whole file of results"):
        Results(results.file)


def test_what_fails_a_run(results):
    mutants = mutants_of("LedgerStage")
    score = Score("LedgerStage")
    for mutant in mutants[:15]:
        score.add(mutant, result("killed", results, "tests/x.py::test_x"), False)
    assert not list(complaints([score], {}))
    score.add(mutants[15], result("survived", results), False)
    assert "LedgerStage: 93.8% killed" in " ".join(complaints([score], {}))


def test_arguments_have_to_hold_and_to_be_few(results):
    wrong, right, other, *_ = mutants_of("LedgerStage")
    score = Score("LedgerStage")
    score.add(wrong, result("killed", results, "tests/x.py::test_x"), True)
    score.add(right, result("survived", results), True)
    score.add(other, result("invalid", results), False)
    assert score.mutants == 2 and score.enough
    text = " ".join(complaints([score], {wrong.key: "because", right.key: "because"}))
    assert "tests/x.py::test_x notices it" in text
    assert "1 of 2 are argued to be equivalent" in text
