"""The command: finds, tells, goes on, and refuses what is not its own."""

import json

import pytest
from click.testing import CliRunner

from backstop.cli.hunt import cli
from backstop.deployment.role_accounts import get_account
from backstop.model.arithmetic import WAD
from backstop.studies.hunt.alarm import Taken
from backstop.studies.hunt.campaign import Campaign
from backstop.studies.hunt.case import Looked
from backstop.studies.hunt.coalition import Doing
from backstop.studies.hunt.search import Found, draw_case
from backstop.system import Action

BRIEF = "tests/backstop/studies/hunt/test_hunt_command.py::test_the_command_that_goes_on_is_the_whole_one"


def run(*args):
    return CliRunner(mix_stderr=False).invoke(cli, args)


@pytest.mark.deep(
    brief="tests/backstop/studies/hunt/test_hunt_command.py::test_the_command_that_goes_on_is_the_whole_one"
)
def test_it_goes_on_with_more_cases(tmp_path):
    out = str(tmp_path / "hunt")
    first = run("--cases", "1", "--plans", "8", "--trials", "2", "--out", out)
    assert first.exit_code in (0, 1), first.stderr
    assert "cases=1 " in first.stdout
    more = run("--cases", "2", "--plans", "8", "--trials", "2", "--workers", "2", "--out", out, "--json")
    assert more.exit_code in (0, 1), more.stderr
    assert isinstance(json.loads(more.stdout), list)
    kept = json.loads((tmp_path / "hunt" / "hunt.json").read_text())
    assert kept["schema_version"] == 2 and sorted(kept["cases"]) == ["0", "1"]
    # However many processes there are.
    again = run("--cases", "2", "--plans", "8", "--trials", "2", "--out", str(tmp_path / "again"))
    assert again.exit_code == more.exit_code
    assert json.loads((tmp_path / "again" / "hunt.json").read_text()) == kept


@pytest.mark.deep(brief=BRIEF)
def test_a_half_written_file_is_one_line(tmp_path):
    out = tmp_path / "hunt"
    assert run("--cases", "1", "--plans", "4", "--trials", "2", "--out", str(out)).exit_code in (0, 1)
    (out / "hunt.json").write_text('{"schema_version": 2, "cases": {"0": {}}}')
    refused = run("--cases", "2", "--plans", "4", "--trials", "2", "--out", str(out))
    assert refused.exit_code == 1
    assert "is not a whole hunt" in refused.stderr and refused.stderr.count("\n") == 1


@pytest.mark.deep(brief=BRIEF)
def test_other_plans_are_another_hunt(tmp_path):
    out = str(tmp_path / "hunt")
    assert run("--cases", "1", "--plans", "4", "--trials", "2", "--out", out).exit_code in (0, 1)
    refused = run("--cases", "1", "--plans", "5", "--trials", "2", "--out", out)
    assert refused.exit_code == 1 and "plans 4, not 5" in refused.stderr


def test_the_command_that_goes_on_is_the_whole_one(tmp_path, monkeypatch):
    """With other plans it would be another hunt."""
    monkeypatch.setattr(Campaign, "run", lambda *args: None)  # stopped before the first case
    stopped = run(
        "--cases", "3", "--plans", "4", "--trials", "2", "--seed", "9", "--out", str(tmp_path / "hunt")
    )
    assert stopped.exit_code == 130
    assert "--cases 3 --plans 4 --trials 2 --seed 9" in stopped.stderr


@pytest.mark.deep(
    brief="tests/backstop/studies/hunt/test_hunt_command.py"
    "::test_what_is_taken_is_told_by_the_last_call_that_concerns_others"
)
def test_one_alarm_alone_tells_one_story_of_each_kind_the_shortest_first(tmp_path):
    out = str(tmp_path / "hunt")
    args = "--cases", "9", "--seed", "41", "--trials", "30", "--alarm", "unequal", "--out", out
    told = run(*args)
    assert told.exit_code == 1, told.stderr
    assert "taken=" not in told.stdout and "replayed on revm" in told.stdout
    shown = run(*args, "--json", "--best", "0")
    stories = json.loads(shown.stdout)
    assert {each["alarm"] for each in stories} == {"unequal"}
    assert len({each["kind"] for each in stories}) == len(stories) > 1
    lengths = [len(each["lines"]) for each in stories]
    assert lengths == sorted(lengths)


def test_what_is_taken_is_told_by_the_last_call_that_concerns_others(tmp_path, monkeypatch):
    case = draw_case(3)
    lie = Doing(2, 0, Action("PriceFeed", "report", (0, case.setting.prices[0]), case.setting.bought[0][0]))
    found = Found(case, ((lie,), (lie,)), Taken(500 * WAD, {get_account("saver"): 300 * WAD}))

    def run_at_once(self, *args):
        self.found = {n: Looked(found, ()) for n in range(2)}

    monkeypatch.setattr(Campaign, "run", run_at_once)
    told = run("--cases", "2", "--alarm", "taken", "--out", str(tmp_path / "hunt"))
    assert told.exit_code == 1, told.stderr
    assert "taken: by report (2 of the cases" in told.stdout
    assert "the coalition gains 500; who loses: saver 300" in told.stdout
    assert "reporter_1: PriceFeed.report" in told.stdout and "no difference" in told.stdout
