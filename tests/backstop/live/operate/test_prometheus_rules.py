"""The rules for Prometheus on a keeper's metrics: they fire when it has a health issue, and only then."""

from __future__ import annotations

import dataclasses
import operator
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from backstop.live.monitor import metrics
from backstop.live.monitor.health_conditions import ALERTS
from backstop.live.monitor.http_server import Answer, Request
from backstop.live.monitor.status_facts_and_board import StatusBoard
from tests.support.alarming_status_board import publish_all_alarms_on_board
from tests.support.checkout_paths import ROOT

(GROUP,) = yaml.safe_load((ROOT / "docs/how-to/watching/prometheus-rules.yml").read_text())["groups"]
RULES = {rule["alert"]: rule["expr"] for rule in GROUP["rules"]}
OVER_TIME = {
    "BackstopRestarts": 'changes(process_start_time_seconds{job="backstop"}[15m]) > 2',
    "BackstopSlow": "histogram_quantile(0.99, rate(backstop_first_transaction_seconds_bucket[15m])) > 0.25",
}
"""Rules over more than one moment: these are read, not tried."""
COMPARES = {"==": operator.eq, ">": operator.gt}
SELECTED = r'(\w+)(?:\{(\w+)(!?=)"([^"]*)"\})?'

Samples = list[tuple[str, dict[str, str], float]]


def served(board: StatusBoard) -> Samples:
    """Return the samples that Prometheus read from a process that answers."""
    answer = metrics.build_metrics_and_health_routes(board, "keeper", 5.0)["/metrics"](
        Request("", threading.Event())
    )
    assert isinstance(answer, Answer)
    families = text_string_to_metric_families(b"".join(answer.parts).decode())
    found = [(each.name, each.labels, each.value) for family in families for each in family.samples]
    return [*found, ("up", {"job": "backstop"}, 1.0)]


def selected(samples: Samples, selector: str) -> Iterator[tuple[dict[str, str], float]]:
    match = re.fullmatch(SELECTED, selector)
    assert match is not None, selector
    name, label, sign, wanted = match.groups()
    for each, labels, value in samples:
        if each == name and (label is None or (labels[label] == wanted) == (sign == "=")):
            yield labels, value


def fires(expression: str, samples: Samples) -> bool:
    """Evaluate the rules' subset of PromQL at one moment."""
    return any(compared(each, samples) for each in expression.split(" or "))


def compared(expression: str, samples: Samples) -> bool:
    left, sign, right = re.split(" (==|>) ", expression)
    compare = COMPARES[sign]
    if inner := re.fullmatch(r"(count|sum by \(instance\)) ?\((.+)\)", left):
        values = [value for _, value in selected(samples, inner[2])]
        total = len(values) if inner[1] == "count" else sum(values)
        return bool(values) and compare(total, float(right))
    if share := re.fullmatch(r"([\d.]+) \* (\w+)", right):
        bounds = {tuple(labels.items()): value for labels, value in selected(samples, share[2])}
        return any(
            compare(value, float(share[1]) * bounds[tuple(labels.items())])
            for labels, value in selected(samples, left)
        )
    return any(compare(value, float(right)) for _, value in selected(samples, left))


def firing(samples: Samples) -> set[str]:
    return {name for name in RULES.keys() - OVER_TIME if fires(RULES[name], samples)}


def rules_of() -> dict[str, set[str]]:
    """Return the guide's rules for each alert."""
    guide = (ROOT / "docs/how-to/recover.md").read_text()
    rows = guide.partition("| alert | rule of Prometheus | do |")[2].partition("\n\n")[0].splitlines()[2:]
    cells = [[re.findall(r"`([^`]+)`", cell) for cell in row.strip("|").split("|")[:2]] for row in rows]
    return {alert: set(rules) for alerts, rules in cells for alert in alerts}


def test_a_rule_fires_for_each_alert_and_none_when_all_is_well(watched_board: StatusBoard) -> None:
    well, beside = served(watched_board), rules_of()
    assert firing(well) == {"BackstopHeartbeat"}
    for alert, rules in beside.items():
        alone = [*well, ("backstop_trouble", {"code": alert, "subject": ""}, 1.0)]
        assert firing(alone) <= {"BackstopHeartbeat"} | rules, alert
    publish_all_alarms_on_board(watched_board)
    found = firing(served(watched_board))
    assert beside.keys() == set(ALERTS)
    for alert, rules in beside.items():
        assert rules & found or alert in ("node gone", "stopped"), alert
    watched_board.publish_status(gone="the node is gone")
    assert "BackstopGone" in firing(served(watched_board))
    gone = [("up", {"job": "backstop"}, 0.0)]
    assert firing(gone) == {"BackstopGone"}


Change = Callable[[StatusBoard], None]


def work(**changed: Any) -> Change:
    def change(board: StatusBoard) -> None:
        assert board.facts is not None and board.facts.work is not None
        found = dataclasses.replace(board.facts.work, **changed)
        board.publish_status(dataclasses.replace(board.facts, work=found))

    return change


CHANGES: list[tuple[Change, str | None]] = [
    (work(oldest={"0x1": 600}), None),
    (work(oldest={"0x1": 601}), "BackstopWaiting"),
    (work(budgets={("crank", "gas, hour"): (80, 100)}), None),
    (work(budgets={("crank", "gas, hour"): (81, 100)}), "BackstopBudgetAlmostUsed"),
    (work(failures_in_a_row=2), None),
    (work(failures_in_a_row=3), "BackstopFailures"),
    (work(stopped={("crank", "gas"): "why"}), "BackstopRoleStopped"),
    (work(stopped={("crank", "paused"): "why"}), "BackstopRolePaused"),
]


def test_a_rule_fires_from_where_the_guide_says(watched_board: StatusBoard) -> None:
    before = watched_board.facts
    assert before is not None
    for change, rule in CHANGES:
        change(watched_board)
        assert firing(served(watched_board)) == {"BackstopHeartbeat"} | ({rule} if rule else set()), rule
        watched_board.publish_status(before)


def test_what_needs_time_is_as_it_was_read() -> None:
    """Three starts within a quarter of an hour; a block that is answered later than a quarter of a second."""
    assert {name: RULES[name] for name in OVER_TIME} == OVER_TIME
    assert len(RULES) == 22
