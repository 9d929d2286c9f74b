"""Mutants are tested by real tests in a process of their own; their outcomes are kept."""

import json

import pytest

from backstop.errors import BackstopError
from backstop.proof.mutation.contract_mutants import list_mutants
from backstop.proof.mutation.contract_scores import ContractScore, iter_score_complaints
from backstop.proof.mutation.mutant_results import MutantResult, MutantResultStore
from backstop.proof.mutation.mutant_runs import MutantRuns

GOOD = "tests/contracts/LedgerStage/test_capacity.py"


@pytest.fixture
def results(tmp_path):
    return MutantResultStore(tmp_path / "mutants.json")


def run(results, **options):
    """A few mutants of the smallest contract against a few of its tests."""
    trials = MutantRuns(["LedgerStage"], results, sample=4, tests=[GOOD])
    shown = []
    done = trials.try_mutants_and_report_completion(
        workers=1, show=lambda contract, mutant, result: shown.append(mutant.id), **options
    )
    return trials.scores["LedgerStage"], shown, done


@pytest.mark.deep(brief="tests/backstop/proof/mutation/test_trials.py::test_results_come_back_from_disk")
def test_the_same_mutants_whether_stopped_or_not(results, tmp_path):
    whole, shown, done = run(results)
    assert done and whole.mutant_count == 4 and whole.killed and whole.survived
    assert all(GOOD in result.by for _, result in whole.killed)

    other = MutantResultStore(tmp_path / "other.json")
    looks = iter([False, False, True])
    _, first, done = run(other, stopped=lambda: next(looks))
    assert not done and first == shown[:2]
    resumed, _, done = run(MutantResultStore(other.file))
    assert (done and resumed == whole) or resumed.survived == whole.survived


@pytest.mark.deep(brief="tests/backstop/proof/mutation/test_trials.py::test_results_come_back_from_disk")
def test_tests_that_fail_by_themselves_are_told(results, tmp_path):
    broken = tmp_path / "test_broken.py"
    broken.write_text("def test_it():\n    assert False\n")
    with pytest.raises(BackstopError, match=r"test_broken.py::test_it fails without any fault"):
        MutantRuns(["LedgerStage"], results, sample=1, tests=[str(broken)]).try_mutants_and_report_completion(
            workers=1
        )


def result(outcome, results, by=""):
    return MutantResult(outcome, 1.0, results.suite, by)


def test_results_come_back_from_disk(results):
    killed, survived, *_ = list_mutants("LedgerStage")
    results.add_result(killed, result("killed", results, "tests/x.py::test_x"))
    results.add_result(survived, result("survived", results))
    again = MutantResultStore(results.file)
    assert again.get_result(killed) == result("killed", results, "tests/x.py::test_x")
    assert again.get_result(survived) == result("survived", results)
    assert again.list_killers(killed) == ["tests/x.py::test_x"]
    assert MutantResultStore(results.file, fresh=True).get_result(killed) is None


def test_an_edit_of_the_contracts_drops_their_results_and_goes_on(results):
    killed, other, *_ = list_mutants("LedgerStage")
    results.contracts = "before the edit"
    results.add_result(killed, result("killed", results, "tests/x.py::test_x"))
    for fresh in (False, True):
        again = MutantResultStore(results.file, fresh)
        # Whatever killed it before probably does so again.
        assert again.get_result(killed) is None and again.list_killers(killed) == ["tests/x.py::test_x"]
    again.add_result(other, result("killed", again))
    kept = MutantResultStore(results.file)
    assert kept.get_result(other) is not None and kept.get_result(killed) is None


def test_a_survivor_meets_tests_that_are_new(results):
    killed, survived, *_ = list_mutants("LedgerStage")
    results.suite = "another"
    results.add_result(killed, result("killed", results, "tests/x.py::test_x"))
    results.add_result(survived, result("survived", results))
    again = MutantResultStore(results.file)
    assert again.get_result(killed) is not None and again.get_result(survived) is None


def test_a_broken_file_of_results_is_named(results):
    results.file.write_text(json.dumps({"schema_version": 1, "mutants": {"x": {}}}))
    with pytest.raises(BackstopError, match="not a valid file of results"):
        MutantResultStore(results.file)


def test_what_fails_a_run(results):
    mutants = list_mutants("LedgerStage")
    score = ContractScore("LedgerStage")
    for mutant in mutants[:15]:
        score.add_mutant(mutant, result("killed", results, "tests/x.py::test_x"), False)
    assert not list(iter_score_complaints([score], {}))
    score.add_mutant(mutants[15], result("survived", results), False)
    assert "LedgerStage: 93.8% killed" in " ".join(iter_score_complaints([score], {}))


def test_arguments_have_to_hold_and_to_be_few(results):
    wrong, right, other, *_ = list_mutants("LedgerStage")
    score = ContractScore("LedgerStage")
    score.add_mutant(wrong, result("killed", results, "tests/x.py::test_x"), True)
    score.add_mutant(right, result("survived", results), True)
    score.add_mutant(other, result("invalid", results), False)
    assert score.mutant_count == 2 and score.enough
    text = " ".join(iter_score_complaints([score], {wrong.key: "because", right.key: "because"}))
    assert "tests/x.py::test_x notices it" in text
    assert "1 of 2 are argued to be equivalent" in text
