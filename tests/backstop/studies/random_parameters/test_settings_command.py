"""`ape run settings`: a verdict on a setting, and the table of rules, which the page repeats."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from backstop.cli.settings import cli
from backstop.deployment.deployment_file import parameters_to_json
from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import Parameters
from backstop.deployment.parameter_rules import RULES
from backstop.live.operate.resumable_deployment import load_parameters
from tests.support.checkout_paths import ROOT

UNSAFE = """
extends: black-thursday
parameters:
  collateral_types: {ETH: {auction: {penalty: 60%}}, WBTC: {auction: {penalty: 60%}}}
"""


def run(*args: object) -> Result:
    return CliRunner(mix_stderr=False).invoke(cli, [str(arg) for arg in args])


def with_feed(**changes: int) -> Parameters:
    """The standard deployment with another feed for its first type."""
    first, *others = build_standard_parameters().collateral_types
    changed = replace(first, feed=replace(first.feed, **changes))
    return replace(build_standard_parameters(), collateral_types=(changed, *others))


def test_a_setting_that_fits(tmp_path: Path) -> None:
    result = run("standard")
    assert result.exit_code == 0
    assert result.stdout == f"{len(RULES)} rules, 0 refused, 0 doubtful\n"


def test_a_setting_that_is_doubtful(tmp_path: Path) -> None:
    """The setting is reported, and not refused."""
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(parameters_to_json(with_feed(reporters=3, quorum=3))))
    result = run(file)
    assert result.exit_code == 0
    assert "doubtful: silent-reporter WETH\n  has  feed.quorum 3, feed.reporters 3" in result.stdout
    assert result.stdout.endswith(f"{len(RULES)} rules, 0 refused, 1 doubtful\n")


@pytest.mark.parametrize("setting", ["standard", "margin", "black-thursday"])
def test_printed_parameters_are_those_of_the_setting(setting: str, tmp_path: Path) -> None:
    result = run(setting, "--print")
    assert result.exit_code == 0
    file = tmp_path / "mine.json"
    file.write_text(result.stdout)
    assert load_parameters(str(file)) == load_parameters(setting)


def test_parameters_that_a_rule_refuses_are_printed(tmp_path: Path) -> None:
    """The file is there to be repaired."""
    (tmp_path / "my.yaml").write_text(UNSAFE)
    result = run(tmp_path / "my.yaml", "--print")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["collateral_types"][0]["auction"]["penalty"] == 16_000


@pytest.mark.parametrize("others", [("--rules",), ("--draw", 1)])
def test_print_needs_a_setting(others: tuple[object, ...]) -> None:
    result = run("--print", *others)
    assert result.exit_code == 2
    assert "--print: no setting; expected SETTING" in result.stderr


def test_a_scenario_that_does_not(tmp_path: Path) -> None:
    """It can be judged though nothing else takes it."""
    (tmp_path / "my.yaml").write_text(UNSAFE)
    result = run(tmp_path / "my.yaml", "--json")
    assert result.exit_code == 2
    found = [each for each in json.loads(result.stdout) if each["verdict"] == "refused"]
    assert [each["place"] for each in found] == ["ETH", "WBTC"]
    assert found[0]["parameters"] == {"auction.penalty": "160%", "liquidation_ratio": "150%"}
    assert found[0]["instead"] == "the penalty to less than 150%, or the ratio to more than 160%"


def test_a_file_of_parameters(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(parameters_to_json(with_feed(step=900, stale_after=900))))
    result = run(file)
    assert result.exit_code == 2
    assert "refused: stale-after WETH\n  has  feed.stale_after 15 min, feed.step 15 min\n" in result.stdout
    assert "1800 s" not in result.stdout
    assert "set  stale_after to 30 min or more" in result.stdout


@pytest.mark.parametrize("flags", [(), ("standard", "--rules"), ("--rules", "--draw", "3")])
def test_one_thing_at_a_time(flags: tuple[str, ...]) -> None:
    result = run(*flags)
    assert result.exit_code == 2 and "expected one of SETTING, --rules and --draw" in result.stderr


def test_the_page_has_the_table_of_rules() -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text()
    rows = re.findall(r"^\| `([a-z-]+)` \| (\w+) \| (.+?) \| (.+) \|$", page, re.MULTILINE)
    listed = [
        (each.name, each.verdict, ", ".join(f"`{name}`" for name in each.relates), each.why) for each in RULES
    ]
    assert rows == listed
    said = run("--rules").stdout
    assert all(f"{each.name} ({each.verdict})" in said and each.why in said for each in RULES)
