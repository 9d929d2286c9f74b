"""`ape run attack`: its output and files; its worst is a scenario; a mistake is one line."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from backstop.cli.attack import cli
from backstop.cli.simulate import cli as simulate
from tests.support.checkout_paths import DATA

BRIEF = "tests/backstop/studies/attack/test_search.py::test_another_search_is_not_gone_on_with"

HERE = DATA / "attack"
SMALL = str(HERE.parent / "stress" / "small.yaml")
FEW = ("--generations", "2", "--population", "6")


def run(*args: str):
    return CliRunner(mix_stderr=False).invoke(cli, args)


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("attack") / "small"


@pytest.fixture(scope="module")
def printed(out) -> str:
    budget = str(HERE / "insider-budget.yaml")
    result = run(SMALL, *FEW, "--budget", budget, "--goal", "bad-debt", "--out", str(out))
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    return result.stdout


@pytest.fixture(scope="module")
def summary(out, printed):
    return json.loads((out / "summary.json").read_text())


@pytest.mark.deep(
    brief="tests/backstop/studies/attack/test_attack_command.py::test_the_worst_is_a_scenario_that_anybody_can_play"
)
def test_the_table(out, printed) -> None:
    for piece in (
        "A small study: the worst found within “An insider”",
        "bad debt",
        "paid by savings",
        "under water, not recognised",
        "profit of insider",
        "prices: one path in 1,000, 3.09 deviations",
        "insider: 50,000 stablecoins, 100,000 staked in savings",
        "ETH jumps",
        "12 paths in 2 generations by evolution",
        "on anvil: 0 differences",
        "replay     ape run simulate --scenario",
    ):
        assert piece in printed
    for name in ("attack.json", "progress.json", "worst.yaml", "summary.json", "meta.json", "report.html"):
        assert (out / name).is_file()


def test_the_worst_is_a_scenario_that_anybody_can_play(summary, tmp_path) -> None:
    name, *args = shlex.split(summary["replay"]["command"])
    assert name == "simulate"
    args[args.index("anvil")] = "revm"
    again = CliRunner(mix_stderr=False).invoke(simulate, [*args, "--out", str(tmp_path), "--json"])
    assert again.exit_code == 0, again.stderr
    played = json.loads(again.stdout)
    assert played["state_hash"] == summary["replay"]["state_hash"]
    assert int(played["losses"]["created_rad"]) // 10**27 == int(summary["found"]["bad_debt_wad"])


def test_the_page(out, summary) -> None:
    page = (out / "report.html").read_text()
    for piece in ("Is it plausible?", 'id="fan-ETH"', 'id="converging"', 'id="where"'):
        assert piece in page
    assert summary["found"]["bad_debt_wad"] in page


@pytest.mark.deep(brief=BRIEF)
def test_longer_than_before_is_the_same_search_gone_on_with(out, summary) -> None:
    budget = str(HERE / "insider-budget.yaml")
    options = ["--budget", budget, "--goal", "bad-debt", "--out", str(out), "--json"]
    result = run(SMALL, "--generations", "3", "--population", "6", *options)
    assert result.exit_code == 0, result.stderr
    longer = json.loads(result.stdout)
    assert longer["history"][:2] == summary["history"]
    assert int(longer["found"]["bad_debt_wad"]) >= int(summary["found"]["bad_debt_wad"])


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("schema_version: 1", "schema_version: 2"), "b.yaml:1: schema_version: is version 2, this"),
        (("one_in: 1_000", "one_in: 2"), "b.yaml:4: prices.one_in: '2' is too low"),
        (("spans: 4", "spam: 4"), "b.yaml:4: prices.spam: unknown field"),
        (("hostile:", "moves: [fly]\nhostile:"), "b.yaml:5: moves[0]: 'fly' is not one of: ask"),
        (("hostile:", "outages: {lasts: 1 h, keepers: [nobody]}\nhostile:"), "'nobody' is not a keeper of"),
        (("insider: {", "taker: {"), "b.yaml:6: hostile.taker: 'taker' is a keeper of small already"),
        (("pool: savings", "pool: staked_equity"), "hostile.insider.pool: an attacker has stablecoins"),
    ],
)
def test_a_mistake_in_the_budget_is_one_line(tmp_path, change, line) -> None:
    text = (HERE / "insider-budget.yaml").read_text()
    assert change[0] in text
    (tmp_path / "b.yaml").write_text(text.replace(*change))
    result = run(SMALL, "--budget", str(tmp_path / "b.yaml"), "--out", str(tmp_path / "out"))
    assert result.exit_code == 1 and result.stdout == ""
    assert line in result.stderr and len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_an_unknown_budget_is_one_line(tmp_path) -> None:
    result = run(SMALL, "--budget", "everything", "--out", str(tmp_path / "out"))
    assert result.exit_code == 1
    assert "budget 'everything' is unknown; expected one of " in result.stderr
