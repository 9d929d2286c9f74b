"""The schemas for editors are generated from the readers, and agree with them on every file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from backstop.cli.schema import cli
from backstop.deployment.deployment_file import parameters_from_json, parameters_to_json
from backstop.errors import BackstopError
from backstop.files.schemas import SCHEMAS
from backstop.live.operate.keeper_settings import read_yaml_keeper_settings_by_name
from backstop.live.operate.resumable_deployment import load_parameters
from backstop.simulation.scenario import load_scenario
from tests.support.checkout_paths import ROOT
from tests.support.json_schema import load_schema, read_yaml_as_editors_do
from tools.schemas.write import BUILDERS, EXAMPLES, format_schema

LIBRARY = ROOT / "offchain" / "backstop" / "simulation" / "scenario" / "library"
SAMPLES = ROOT / "docs" / "tutorials" / "samples"
OF_TESTS = ROOT / "tests" / "data"
SCENARIOS = sorted(
    path
    for folder in (LIBRARY, EXAMPLES, SAMPLES, OF_TESTS)
    for path in folder.rglob("*.yaml")
    if "title:" in path.read_text() and "\naxes:" not in path.read_text() and "-budget" not in path.name
)
DAY = (LIBRARY / "stress-day.yaml").read_text()
KEEPER = (EXAMPLES / "keeper-roles.yaml").read_text()
KEEPERS = (ROOT / "docs" / "reference" / "keepers.md").read_text()


@pytest.mark.parametrize("name", BUILDERS)
def test_a_schema_is_what_the_readers_say(name: str) -> None:
    is_current = (SCHEMAS / f"{name}.json").read_text(encoding="utf-8") == format_schema(name)
    assert is_current, "readers or pages have changed: .venv/bin/python -m tools.schemas.write"


def test_each_scenario_fits() -> None:
    schema = load_schema(SCHEMAS / "scenario.json")
    assert len(SCENARIOS) > 45
    for path in SCENARIOS:
        assert schema.find_fault(read_yaml_as_editors_do(path.read_text())) is None, path


def test_each_keeper_fits() -> None:
    schema = load_schema(SCHEMAS / "keeper.json")
    pages = [each.split("```")[0] for each in KEEPERS.split("```yaml\n")[1:]]
    shown = [each for each in pages if each.startswith("schema_version") and "contracts:" not in each]
    assert shown
    for text in (*shown, *(path.read_text() for path in EXAMPLES.glob("keeper-*.yaml"))):
        assert schema.find_fault(read_yaml_as_editors_do(text)) is None, text


@pytest.mark.parametrize("name", ["standard", "guarded", "margin", "margin-pool", "black-thursday"])
def test_parameters_fit(name: str) -> None:
    content = json.loads(json.dumps(parameters_to_json(load_parameters(name))))
    schema = load_schema(SCHEMAS / "parameters.json")
    assert schema.find_fault(content) is None and schema.find_fault({"parameters": content}) is None


def edit(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("gas_token: ETH", "gas_token: ETH\ngas_tokens: ETH"),
        ("block_time: 5 min", "block_time: 5 minutes"),
        ("block_time: 5 min", "block_time: 300"),
        ("block_time: 5 min", "block_time: [5 min]"),
        ("block_time: 5 min\n", ""),
        ("block_time: 5 min\n", "block_time:\n"),
        ("duration: 24 h", "duration: {hours: 24}"),
        ("epoch_length: 1 d\n  ", ""),
        ("share: 100%", "share: 100%, most: 5"),
        ("share: 100%", "part: 100%"),
        ("buffer: {share: 100%}", "cushion: {share: 100%}"),
        ("liquidation_ratio: 145%", "liquidation_ratio: 145"),
        ("stability_fee: 6% a year", "stability_fee: 6%"),
        ("decimals: 18", "decimals: 19"),
        ("curve: stairstep", "curve: staircase"),
        ("kind: brownian", "kind: browninan"),
        ("drift: 0% a year\n      volatility", "volatility"),
        ("degrees: 4", "alpha: 4%"),
        ("degrees: 4", "degrees: 2"),
        ("model:", "model2:"),
        ("every: 2 d, mean", "each: 2 d, mean"),
        ("delayed: {every: 4 d, lasts: 1 h, by: 30 min}", "delayed: {every: 4 d, lasts: 1 h}"),
        ("role: poker", "role: pokerr"),
        ("role: poker, ", "role: poker, heartbeat: 1 h, "),
        ("role: poker, ", ""),
        ("heartbeat: 1 h, gas_price: {follow: 110%, cap: 300 gwei}", "heartbeat: 1 h"),
        ("cap: 500 gwei", "cap: 500 wei"),
        ("capital: 3_000_000 stablecoin", "capital: 3_000_000 equity"),
        ("count: 4", "count: four"),
        ("{first_loss: 1_000_000 stablecoin}", "[1_000_000 stablecoin]"),
        ("- Prices have", "- prices: have"),
        ("00:00: 25 gwei", "00:00: 25"),
        ("gas_prices: {", "gas_prices: {volatility: 1%, "),
        ("start: 2024-01-01T00:00Z", "start: 2024-01-01"),
    ],
)
def test_what_is_wrong_in_a_scenario_is_wrong_for_both(old: str, new: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(edit(DAY, old, new))
    with pytest.raises(BackstopError, match=r"wrong\.yaml:\d+: "):
        load_scenario(file, fitting=False)
    assert load_schema(SCHEMAS / "scenario.json").find_fault(read_yaml_as_editors_do(file.read_text()))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("block_time: 5 min", "block_time: 0 h 5 min"),
        ("gas_token: ETH", "gas_token: ETH\nscarcity:"),
        ("count: 4", "count: 4e0"),
        ("count: 4", 'count: "4"'),
        ("decimals: 18", "decimals: 1_8"),
        ("liquidation_ratio: 145%", "liquidation_ratio: 1.45 x"),
        ("liquidation_ratio: 145%", "liquidation_ratio: +14500bps"),
        ("cap: 500 gwei", "cap: .5e3 gwei"),
        ("mean: -4%", "mean: 4%"),
        ("start: 2024-01-01T00:00Z", "start: 2024-01-01 01:00:00+01:00"),
    ],
)
def test_what_is_right_in_a_scenario_is_right_for_both(old: str, new: str, tmp_path: Path) -> None:
    file = tmp_path / "right.yaml"
    file.write_text(edit(DAY, old, new))
    load_scenario(file, fitting=False)
    assert (
        load_schema(SCHEMAS / "scenario.json").find_fault(read_yaml_as_editors_do(file.read_text())) is None
    )


@pytest.mark.parametrize(
    ("change", "is_right"),
    [
        ("keepers: {taker: {most: 9}, desk: null}", True),
        ("markets: {ETH: {debt_to_depth: 5 x}}\nepisode: march-2020", True),
        ("shocks: [crash-severe]", True),
        ("keepers: {taker: {mots: 9}}", False),
        ("parameters: {collateral_types: {ETH: {auction: {step: 90}}}}", False),
        ("shocks: [crash-mild]", False),
        ("episode: march-1920", False),
    ],
)
def test_a_scenario_that_extends_another_has_what_differs(
    change: str, is_right: bool, tmp_path: Path
) -> None:
    file = tmp_path / "change.yaml"
    file.write_text(f"extends: stress-day\n{change}\n")
    fault = load_schema(SCHEMAS / "scenario.json").find_fault(read_yaml_as_editors_do(file.read_text()))
    assert (fault is None) == is_right, fault
    if is_right:
        load_scenario(file, fitting=False)
    else:
        with pytest.raises(BackstopError):
            load_scenario(file, fitting=False)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("schema_version: 1\n", ""),
        ("interval: 100 ms", "intervall: 100 ms"),
        ("interval: 100 ms", "interval: 100"),
        ("interval: 100 ms", "interval: [100 ms]"),
        ("log: human", "log: xml"),
        ("confirmations: 2", "confirmations: 1001"),
        ("confirmations: 2", "confirmations: many"),
        ("  crank: {", "  cranks: {"),
        ("accruer: {heartbeat: 1 d}", "accruer: {heartbeat: 1 d, takes_at: 97%}"),
        ("otherwise: no bid", "otherwise: nothing"),
        ("on: [stopped]", "on: [stoped]"),
        ("gas_hour: 0.2 coins", "gas_hour: 0.2 tokens"),
        ("url: http://127.0.0.1:9001, ", ""),
    ],
)
def test_what_is_wrong_in_a_keeper_is_wrong_for_both(old: str, new: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    text = edit(KEEPER, old, new)
    file.write_text(text)
    with pytest.raises(BackstopError, match=r"wrong\.yaml:\d+: "):
        read_yaml_keeper_settings_by_name(file)
    assert load_schema(SCHEMAS / "keeper.json").find_fault(read_yaml_as_editors_do(text))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("collateral_types", 0, "decimals"), "eighteen"),
        (("collateral_types", 0, "decimals"), None),
        (("collateral_types", 0, "feed", "step"), 3600.5),
        (("collateral_types", 0, "feed", "steps"), 3600),
        (("collateral_types",), {}),
        (("global_debt_ceiling",), ...),
        (("collateral_types", 0, "auction"), ...),
    ],
)
def test_what_is_wrong_in_parameters_is_wrong_for_both(place: tuple[Any, ...], value: Any) -> None:
    content = json.loads(json.dumps(parameters_to_json(load_parameters("standard"))))
    inside = content
    for name in place[:-1]:
        inside = inside[name]
    if value is ...:
        del inside[place[-1]]
    else:
        inside[place[-1]] = value
    with pytest.raises(ValueError):
        parameters_from_json(content)
    assert load_schema(SCHEMAS / "parameters.json").find_fault(content)


def test_a_field_says_what_the_page_says() -> None:
    """The field's description also has the form of its quantity, as in its reader's docstring."""
    scenario = json.loads((SCHEMAS / "scenario.json").read_text())
    found = scenario["definitions"]["aftermath"]["description"]
    assert found.startswith("optional: how long a simulation goes on after the last block")
    assert found.endswith(": as '140 min' or '1 h 30 min'")
    keeper = json.loads((SCHEMAS / "keeper.json").read_text())
    assert keeper["properties"]["interval"]["description"].startswith("between two looks: as '250 ms'")
    parameters = json.loads((SCHEMAS / "parameters.json").read_text())
    tail = parameters["definitions"]["AuctionParameters"]["properties"]["tail"]
    assert tail["description"] == "seconds until an auction needs a reset"


@pytest.mark.parametrize("name", BUILDERS)
def test_a_command_prints_it(name: str) -> None:
    printed = CliRunner(mix_stderr=False).invoke(cli, [name])
    assert printed.stdout == (SCHEMAS / f"{name}.json").read_text(encoding="utf-8")
    path = CliRunner(mix_stderr=False).invoke(cli, [name, "--path"]).stdout
    assert path == f"{SCHEMAS / name}.json\n"


def test_another_name_is_one_line() -> None:
    refused = CliRunner(mix_stderr=False).invoke(cli, ["budget"])
    assert refused.exit_code == 1
    assert refused.stderr == (
        "Error: NAME: 'budget' is unknown; expected one of keeper, parameters, scenario\n"
    )
