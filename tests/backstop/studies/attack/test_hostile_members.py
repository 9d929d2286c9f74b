"""The adversary finds the weakness of a weakened configuration, and nothing that pays where it is mended."""

from __future__ import annotations

import pytest

from backstop.model.arithmetic import WAD
from backstop.studies.attack.adversary_budget import load_scenario_and_adversary_budget
from backstop.studies.attack.candidate_evaluation import CandidateOutcome
from backstop.studies.attack.search_space import AttackCandidate
from backstop.studies.attack.worst_case_search import Task, WorstCaseSearch
from tests.support.checkout_paths import DATA

BRIEF = "tests/exploits/test_searching_for_an_exit.py::test_no_plan_gains_anything"

HERE = DATA / "attack"


@pytest.fixture(scope="module")
def worst(tmp_path_factory):
    def find(scenario: str, budget: str) -> tuple[AttackCandidate, CandidateOutcome]:
        loaded, _, limits = load_scenario_and_adversary_budget(
            str(HERE / f"{scenario}.yaml"), str(HERE / f"{budget}.yaml")
        )
        task = Task(loaded, limits, "gain", 1, 0, "evolution", 12, "model")
        return WorstCaseSearch.open_or_resume(
            task, tmp_path_factory.mktemp("attack") / scenario
        ).run_generations(5)

    return find


@pytest.mark.deep(brief=BRIEF)
def test_a_member_who_may_leave_at_once_leaves_before_the_loss(worst) -> None:
    choice, trial = worst("hurried", "insider-budget")
    assert trial.gain_over_doing_nothing > 20_000 * WAD
    assert any(move.do == "leave" for move in choice.plans["insider"])
    # What it does not lose, the other saver does, as far as that has something to lose; the rest stays on
    # the books.
    assert trial.without is not None and trial.outcome.bad_debt == trial.without.bad_debt
    left = trial.without.ends["saver"]
    others = left - trial.outcome.ends["saver"]
    assert others > 0.9 * min(trial.gain_over_doing_nothing, left)


@pytest.mark.deep(brief="tests/exploits/test_searching_for_an_exit.py::test_no_plan_gains_anything")
def test_one_who_has_to_wait_finds_no_way(worst) -> None:
    """With the same prices and plans to choose from; a lot that is worth something is no loss yet."""
    _, trial = worst("insider", "insider-budget")
    assert trial.outcome.bad_debt > 1_000 * WAD
    assert trial.gain_over_doing_nothing <= 0


# The same search for another adversary: a borrower, weakness and mended rule.
@pytest.mark.deep(brief="tests/exploits/test_searching_for_an_exit.py::test_no_plan_gains_anything")
def test_a_thin_margin_is_a_loan_that_need_not_be_repaid(worst) -> None:
    choice, trial = worst("thin-margin", "thin-budget")
    assert trial.gain_over_doing_nothing > 10_000 * WAD
    assert any(move.do == "draw" for move in choice.plans["stranger"])


@pytest.mark.deep(brief="tests/exploits/test_searching_for_an_exit.py::test_no_plan_gains_anything")
def test_a_margin_above_what_prices_fall_makes_it_pay_nothing(worst) -> None:
    _, trial = worst("late-price", "borrower-budget")
    assert trial.gain_over_doing_nothing <= 0
