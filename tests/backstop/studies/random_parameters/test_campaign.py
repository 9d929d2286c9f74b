"""Random settings: judged, played, asked; the same for any number of processes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner, Result

from backstop.cli.settings import cli
from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import DiscountParameters, SettlementParameters
from backstop.deployment.parameter_rules import list_refused_findings
from backstop.studies.random_parameters import parameter_trial
from backstop.studies.random_parameters.parameter_campaign import ParameterCampaign
from backstop.studies.random_parameters.parameter_trial import draw_numbered_setting
from backstop.studies.random_parameters.timeliness_checks import iter_timeliness_failures

BRIEF = (
    "tests/backstop/studies/random_parameters/test_campaign.py"
    "::test_the_command_that_goes_on_is_the_whole_one"
)


def run(*args: object) -> Result:
    return CliRunner(mix_stderr=False).invoke(cli, [str(arg) for arg in args])


@pytest.mark.deep(
    brief="tests/backstop/studies/random_parameters/test_campaign.py::test_what_an_accepted_setting_breaks_is_told"
)
def test_it_goes_on_with_more_settings(tmp_path) -> None:
    out = tmp_path / "settings"
    flags = ("--steps", "30", "--out", out)
    first = run("--draw", "3", *flags)
    assert first.exit_code == 0, first.stderr
    assert first.stdout.startswith("settings=3 accepted=")
    more = run("--draw", "6", "--workers", "2", *flags, "--json")
    assert more.exit_code == 0, more.stderr
    summary = json.loads(more.stdout)
    assert summary["settings"] == 6
    # Some are refused, by name, and each that is not is played.
    assert 0 < summary["accepted"] < 6 and summary["steps"] == 30 * summary["accepted"]
    assert summary["refused"] and summary["failures"] == summary["unanswered"] == {}
    again = run("--draw", "6", "--steps", "30", "--out", tmp_path / "again")
    assert again.exit_code == 0
    kept = json.loads((out / "settings.json").read_text())
    assert kept == json.loads((tmp_path / "again" / "settings.json").read_text())
    assert all(each["why"] for each in kept["settings"].values() if each["refused"])


@pytest.mark.deep(brief=BRIEF)
def test_a_half_written_file_is_one_line(tmp_path) -> None:
    out = tmp_path / "settings"
    assert run("--draw", "1", "--steps", "5", "--out", out).exit_code == 0
    (out / "settings.json").write_text('{"schema_version": 1}')
    broken = run("--draw", "2", "--steps", "5", "--out", out)
    assert broken.exit_code == 1
    assert "is not a valid campaign" in broken.stderr and broken.stderr.count("\n") == 1


def test_what_an_accepted_setting_breaks_is_told(tmp_path, monkeypatch) -> None:
    """As when a rule is missing: nothing is refused here."""
    monkeypatch.setattr(parameter_trial, "check_parameters", lambda parameters: [])
    numbers = [n for n in range(20) if list(iter_timeliness_failures(draw_numbered_setting(1, n)))]
    assert numbers and all(list_refused_findings(draw_numbered_setting(1, n)) for n in numbers)
    result = run("--draw", numbers[0] + 1, "--steps", "1", "--out", tmp_path / "settings")
    assert result.exit_code == 1
    assert f"setting {numbers[0]}: " in result.stdout


def test_the_command_that_goes_on_is_the_whole_one(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(
        ParameterCampaign, "run_and_save_trials", lambda *args: None
    )  # stopped before the first setting
    stopped = run("--draw", "3", "--steps", "7", "--seed", "9", "--out", tmp_path / "settings")
    assert stopped.exit_code == 130
    assert f"--draw 3 --steps 7 --seed 9 --host revm --out {tmp_path / 'settings'}" in stopped.stderr


def test_the_examples_do_what_they_should() -> None:
    assert list(iter_timeliness_failures(build_standard_parameters())) == []


@pytest.mark.parametrize(
    "discount",
    [
        DiscountParameters(),
        DiscountParameters(target_health=0, close_factor=10_000),
        DiscountParameters(base_bonus=0, max_bonus=0, max_discount=1_500),
        DiscountParameters(fee=10_000),
    ],
)
def test_a_discount_sells_what_is_unsafe(discount: DiscountParameters) -> None:
    standard = build_standard_parameters()
    types = tuple(replace(each, discount=discount) for each in standard.collateral_types)
    sold = replace(standard, collateral_types=types)
    assert list(iter_timeliness_failures(sold)) == []
    stopped = replace(sold, collateral_types=(types[0], replace(types[1], auction_limit=0), *types[2:]))
    (text,) = iter_timeliness_failures(stopped)
    assert text == "nobody gets collateral of an unsafe vault of WBTC at the feed's price"


def test_however_short_epochs_are_all_stages_are_asked() -> None:
    assert list(iter_timeliness_failures(replace(build_standard_parameters(), epoch_length=2 * 86_400))) == []


def test_what_a_setting_does_not_do() -> None:
    settlement = SettlementParameters(bound=0, epochs=1)
    (text,) = iter_timeliness_failures(
        replace(build_standard_parameters(), epoch_length=86_400, settlement=settlement)
    )
    assert "settlement begins while StakeAuction sells equity" in text
