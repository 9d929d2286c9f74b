"""The files for Prometheus, Grafana and systemd: they can be read, and name what there is."""

from __future__ import annotations

import configparser
import json
import re

import pytest
import yaml

from backstop.cli.keeper import cli
from backstop.live.monitor.health_conditions import ALERTS
from backstop.live.operate.spending_limits import SpendingLimits
from tests.support.checkout_paths import ROOT

FOLDER = ROOT / "docs/how-to/watching"
RULES = yaml.safe_load((FOLDER / "prometheus-rules.yml").read_text())
RECEIVERS = yaml.safe_load((FOLDER / "alertmanager.yml").read_text())
SEVERITIES = ("page", "ticket", "heartbeat")
BOARD = json.loads((FOLDER / "grafana.json").read_text())


@pytest.fixture(scope="module")
def served() -> set[str]:
    """The metrics that the guide names, and a process's; another test compares them with the served ones."""
    guide = (ROOT / "docs/reference/metrics-and-alerts.md").read_text()
    table = guide.partition("| `backstop_` | by | |")[2].partition("\n\n")[0]
    cells = [row.split("|")[1] for row in table.splitlines()[2:]]
    names = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    return {f"backstop_{name}" for name in names} | {"process_start_time_seconds"}


EXPRESSIONS = [
    *(rule["expr"] for group in RULES["groups"] for rule in group["rules"]),
    *(target["expr"] for panel in BOARD["panels"] for target in panel["targets"]),
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_expression_asks_for_what_is_served(expression: str, served: set[str]) -> None:
    asked = {name.removesuffix("_bucket") for name in re.findall(r"\b(?:backstop|process)_\w+", expression)}
    assert asked and asked <= served
    for pair in ("()", "[]", "{}"):
        assert expression.count(pair[0]) == expression.count(pair[1])
    assert all(re.fullmatch(r"\d+[smhd]", span) for span in re.findall(r"\[(.*?)\]", expression))


def test_rules_say_what_is_wrong_and_how_bad_it_is() -> None:
    (group,) = RULES["groups"]
    names = [rule["alert"] for rule in group["rules"]]
    assert len(set(names)) == len(names) > 10
    for rule in group["rules"]:
        assert rule["labels"]["severity"] in SEVERITIES and rule["annotations"]["summary"]
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "0s"))


def test_codes_in_rules_are_those_of_alerts() -> None:
    codes = [code for each in EXPRESSIONS for code in re.findall(r'code="([^"]*)"', each)]
    assert codes and set(codes) <= set(ALERTS)


def test_there_is_something_to_do_about_each_alert() -> None:
    guide = (ROOT / "docs/how-to/recover.md").read_text()
    rows = guide.partition("| alert | rule of Prometheus | do |")[2].partition("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    alerts, rules = ({name for row in cells for name in re.findall(r"`([^`]+)`", row[i])} for i in (0, 1))
    assert alerts == set(ALERTS)
    assert rules == {rule["alert"] for group in RULES["groups"] for rule in group["rules"]}
    assert all(row[2] for row in cells)


def test_every_severity_has_a_receiver() -> None:
    receivers = {each["name"] for each in RECEIVERS["receivers"]}
    routes = RECEIVERS["route"]["routes"]
    assert {RECEIVERS["route"]["receiver"], *(each["receiver"] for each in routes)} == receivers
    for severity in SEVERITIES:
        assert any(severity in matcher for each in routes for matcher in each["matchers"])
    names = {rule["alert"] for group in RULES["groups"] for rule in group["rules"]}
    told = re.findall(r"Backstop\w+", json.dumps(RECEIVERS["inhibit_rules"]))
    assert told and set(told) <= names
    # Keys lie in files, not here.
    assert not re.search(
        r"(routing_key|api_url|auth_password|url): ", (FOLDER / "alertmanager.yml").read_text()
    )


def test_panels_do_not_overlap() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in BOARD["panels"]]
    assert len(set(places)) == len(places) == len({panel["id"] for panel in BOARD["panels"]})
    assert {panel["gridPos"]["w"] for panel in BOARD["panels"]} == {8} and max(x for x, _ in places) == 16


class Unit(configparser.RawConfigParser):
    """Of systemd, where case matters."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def test_the_unit_starts_a_keeper_that_is_kept() -> None:
    unit = Unit(strict=True)
    unit.read(FOLDER / "backstop-keeper@.service")
    service = unit["Service"]
    program, command, *flags = service["ExecStart"].split()
    assert program.endswith("/.venv/bin/backstop") and command == "keeper"
    known = {option for each in cli.params for option in each.opts}
    assert {flag for flag in flags if flag.startswith("--")} <= known
    # What it signed and spent outlives it, and nobody else reads it.
    assert service["WorkingDirectory"] == f"/var/lib/{service['StateDirectory']}"
    assert (service["StateDirectoryMode"], service["Restart"]) == ("0700", "always")
    # What tests/backstop/live/operate/test_metrics.py hears.
    assert service["Type"] == "notify" and int(service["WatchdogSec"]) >= 30


def test_the_guide_names_every_limit() -> None:
    guide = (ROOT / "docs/reference/keeper-limits.md").read_text()
    table = guide.partition("| limit | of |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", "".join(row.split("|")[1] for row in table.splitlines()[2:]))) == set(
        SpendingLimits.__dataclass_fields__
    )
