"""Effects of past episodes on a book: each with owners that react and that stand still, and their page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from backstop.cli.ask import cli
from backstop.errors import BackstopError
from backstop.simulation.scenario.episode_overlay import list_episode_names
from backstop.studies.risk_questions.episode_outcomes import (
    HALF_DEPTH,
    NO_OUTAGE,
    REACTING,
    STILL,
    compare_episodes,
)


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Return the command's output, and its folder."""
    folder = tmp_path_factory.mktemp("episodes") / "answer"
    done = CliRunner().invoke(cli, ["episodes", "black-thursday", "--paths", "2", "--out", str(folder)])
    assert done.exit_code == 0, done.output
    return done.output, folder


@pytest.fixture(scope="module")
def rows(answer: tuple[str, Path]):
    found = json.loads((answer[1] / "summary.json").read_text())["tables"]["episodes"]
    return {(row["episode"], row["case"]): row for row in found}


def test_each_episode_has_its_cases_and_an_outage_one_more(rows) -> None:
    cases = [(name, case) for name in list_episode_names() for case in (REACTING, STILL, HALF_DEPTH)]
    cases.insert(3, ("march-2020", NO_OUTAGE))
    assert list(rows) == cases


def test_owners_who_react_and_deeper_markets_lose_less(rows) -> None:
    for name in ("march-2020", "may-2021", "june-2022"):
        still = rows[name, STILL]
        assert 0 < rows[name, REACTING]["liquidated_micro"] < still["liquidated_micro"]
        assert rows[name, HALF_DEPTH]["bad_debt_micro"] > still["bad_debt_micro"]
        assert still["worst_micro"] >= still["bad_debt_micro"] > 0
    assert rows["march-2020", NO_OUTAGE]["bad_debt_micro"] < rows["march-2020", STILL]["bad_debt_micro"]


def test_a_quiet_day_of_its_collateral_costs_nothing(rows) -> None:
    quiet = rows["november-2022", STILL]
    assert (quiet["deepest_fall_bps"], quiet["bad_debt_micro"]) == (237, 0)
    assert quiet["liquidations"] <= 2


def test_an_episode_is_not_asked_for_in_all_of_them() -> None:
    with pytest.raises(BackstopError, match="leave out @may-2021"):
        compare_episodes("black-thursday@may-2021", paths=2)


def test_the_answer_is_printed_and_has_a_page(answer: tuple[str, Path]) -> None:
    printed, folder = answer
    assert "march-2020 costs most" in printed and "WBTC as BTC" in printed
    page = (folder / "report.html").read_text()
    assert "What would past crashes do to this book?" in page and "episodes-chart" in page


def test_any_question_takes_an_episode(tmp_path: Path) -> None:
    arguments = ["at-risk", "black-thursday", "--episode", "october-2025", "--paths", "2"]
    done = CliRunner().invoke(cli, [*arguments, "--out", str(tmp_path / "answer"), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["scenario"] == "black-thursday@october-2025"
