"""Alerts: their causes on an Anvil, that each is sent once, and the handling of an undelivered one."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from backstop.cli.keeper import cli
from backstop.cli.mirror import cli as mirror_cli
from backstop.deployment.deployment_file import read_deployment
from backstop.deployment.planned_contracts import Deployment
from backstop.deployment.role_accounts import get_account
from backstop.hosts.rpc_client import NodeUnavailableError
from backstop.live.chaos.byzantine_proxy import ByzantineProxy
from backstop.live.mirror.chain_mirror import open_mirror
from backstop.live.monitor import alerts as module
from backstop.live.monitor import status_port_and_webhook_opening
from backstop.live.monitor.alerts import Alerts, AlertSettings, Webhook
from backstop.live.monitor.health_conditions import ALERTS, HealthIssue, find_health_issues
from backstop.live.monitor.status_facts_and_board import StatusBoard
from backstop.live.monitor.status_port_and_webhook_opening import open_status_publisher
from backstop.live.monitor.status_publisher import StatusPublisher
from backstop.live.operate import network_options
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.keeper_settings import read_yaml_keeper_settings_by_name
from backstop.live.operate.live_roles import build_keepers
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.network_options import connect_to_deployment_node
from backstop.model.arithmetic import WAD
from tests.support.alarming_status_board import publish_all_alarms_on_board
from tests.support.background_threads import BackgroundServer, Stop, run_thread_until_context_ends
from tests.support.checkout_paths import ROOT
from tests.support.condition_wait import wait_until_true
from tests.support.devnet_process import Devnet
from tests.support.node_faults import HANGS_UP, build_status_fault

BRIEF = "tests/backstop/live/operate/test_alerts.py::test_who_is_told_to_stop_waits_for_no_node"

LIQUIDATOR = get_account("liquidator")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Receiver:
    """A webhook. `answers` are the statuses of the next posts, then 200; `hangs` holds all of them up."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.posts = 0
        self.answers: list[int] = []
        self.hangs = threading.Event()
        self.hangs.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.path == "/secret?key=1" and self.headers["Content-Type"] == "application/json"
                outer.posts += 1
                outer.hangs.wait(60)
                status = outer.answers.pop(0) if outer.answers else 200
                if status == 200:
                    outer.got.append(body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None: ...

        self.http = BackgroundServer(Handler)
        self.url = f"{self.http.url}/secret?key=1"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    opened = Receiver()
    yield opened
    opened.hangs.set()
    opened.http.stop()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.05)


Send = Callable[[str], None]


@pytest.fixture
def webhook(receiver: Receiver, quick: None) -> Iterator[tuple[Send, list[str]]]:
    """Yield a function that sends alerts with different texts, and the list of printed lines."""
    said: list[str] = []
    hook = Webhook(receiver.url, said.append)
    yield lambda text: hook.queue_body({"alert": "node gone", "state": "raised", "text": text}), said
    hook.close()


def test_what_is_not_taken_is_sent_again_in_order(
    webhook: tuple[Send, list[str]], receiver: Receiver
) -> None:
    send, said = webhook
    receiver.answers = [500, 429, 503]
    send("first")
    send("second")
    wait_until_true(lambda: len(receiver.got) == 2)
    assert [body["text"] for body in receiver.got] == ["first", "second"] and receiver.posts == 5
    assert said == [
        "alert: node gone raised could not be delivered to 127.0.0.1: it answers 500; trying again"
    ]


def test_what_is_refused_is_not_sent_again(webhook: tuple[Send, list[str]], receiver: Receiver) -> None:
    send, said = webhook
    receiver.answers = [404]
    send("first")
    send("second")
    wait_until_true(lambda: receiver.posts == 2 and len(receiver.got) == 1)
    assert said == ["alert: node gone raised was not delivered to 127.0.0.1: it answers 404"]
    assert "secret" not in said[0]


@pytest.mark.deep(brief="tests/backstop/live/operate/test_alerts.py::test_what_happens_to_a_keeper")
def test_nobody_waits_for_a_webhook(webhook: tuple[Send, list[str]], receiver: Receiver) -> None:
    send, said = webhook
    receiver.hangs.clear()
    for i in range(1_200):
        send(str(i))
    assert receiver.got == []
    assert said[-1] == "alert: node gone is not sent: 1000 others wait"
    receiver.hangs.set()
    wait_until_true(lambda: len(receiver.got) >= 1_000)


def test_the_end_does_not_wait_for_long(receiver: Receiver) -> None:
    said: list[str] = []
    hook = Webhook(receiver.url, said.append)
    receiver.answers = [500] * 1_000
    hook.queue_body({"alert": "stopped", "state": "raised"})
    wait_until_true(lambda: len(said) == 1)
    hook.close()
    wait_until_true(lambda: said[-1].startswith("alert: stopped raised was not delivered"))


def test_each_trouble_is_told_once_until_it_is_over() -> None:
    sent: list[dict[str, Any]] = []
    alerts = Alerts(sent.append, ("node gone", "empty wallet"), {"command": "keeper"})
    one, other = HealthIssue("empty wallet", "0x1"), HealthIssue("empty wallet", "0x2")
    for found in (
        {one: "a"},
        {one: "b"},
        {one: "b", other: "c"},
        {other: "c", HealthIssue("mode"): "d"},
        {},
        {one: "e"},
    ):
        alerts.update_alerts(found)
    assert [(body["subject"], body["state"], body["text"]) for body in sent] == [
        *(("0x1", "raised", "a"), ("0x2", "raised", "c"), ("0x1", "cleared", "a")),
        *(("0x2", "cleared", "c"), ("0x1", "raised", "e")),
    ]
    assert {body["schema_version"] for body in sent} == {1} and {body["command"] for body in sent} == {
        "keeper"
    }
    assert len({body["id"] for body in sent}) == 5


def test_what_happens_to_a_keeper(attach: Callable[..., LiveSystem], devnet: Devnet) -> None:
    """Its wallet is emptied, gas becomes dear, storage is tampered with, its node dies."""
    system, node = attach(), devnet.node
    sent: list[dict[str, Any]] = []
    observer = StatusPublisher(StatusBoard(), lambda text: None, 0, Alerts(sent.append))
    keepers = build_keepers(system.deployment, ["liquidator"])
    loop = KeeperLoop(system, keepers, lambda text: None, observer=observer)

    def told() -> list[tuple[str, str]]:
        return [(body["alert"], body["state"]) for body in sent]

    def look_at_a_new_block() -> list[tuple[str, str]]:
        before = len(sent)
        node.request("evm_mine")
        loop.run_round()
        loop.run_round()
        return told()[before:]

    assert look_at_a_new_block() == []
    node.request("anvil_setBalance", LIQUIDATOR, hex(WAD // 10**6))
    assert look_at_a_new_block() == [("empty wallet", "raised")]
    assert sent[-1]["subject"] == LIQUIDATOR and "has 0.000001 coins" in sent[-1]["text"]
    assert sent[-1]["block"] == node.get_head().number and sent[-1]["chain_id"] == 31_337
    assert look_at_a_new_block() == []
    node.request("anvil_setBalance", LIQUIDATOR, hex(WAD))
    assert look_at_a_new_block() == [("empty wallet", "cleared")]

    node.request("anvil_setNextBlockBaseFeePerGas", hex(10**13))
    assert look_at_a_new_block() == [("fees too high", "raised")]
    node.request("anvil_setNextBlockBaseFeePerGas", hex(10**9))
    assert look_at_a_new_block() == [("fees too high", "cleared")]

    reserve = system.chain.compute_slot("VaultEngine", "ledger.system", ())
    engine = system.addresses["VaultEngine"]
    node.request("anvil_setStorageAt", engine, f"{reserve:#066x}", f"{7:#066x}")
    node.request("evm_mine")
    system.follow_chain()
    system.mirror.compare_all_known_slots()
    assert look_at_a_new_block() == [("difference", "raised")]
    assert look_at_a_new_block() == []

    devnet.process.stop_process()
    with pytest.raises(Exception, match="is gone"):
        loop.run(interval=0.01, patience=0.5)
    assert told()[-1] == ("node gone", "raised") and told().count(("node gone", "raised")) == 1


def test_every_alert_has_a_reason(watched_board: StatusBoard) -> None:
    """Alerts from facts are checked by facts; the command itself raises `stopped`."""
    assert find_health_issues(watched_board, 0) == {}
    publish_all_alarms_on_board(watched_board)
    found = find_health_issues(watched_board, 5)
    assert {each.alert for each in found} == set(ALERTS) - {"node gone", "stopped"}
    assert found[HealthIssue("insolvent")] == "no stage would pay 5 of the debt to cover"
    assert found[HealthIssue("not insured")] == "what is open asks for 7 of insurance, 5 is there"
    assert found[HealthIssue("difference")] == "model and chain differ in 2 places: here"
    watched_board.publish_status(gone="the node is gone")
    assert find_health_issues(watched_board, 5)[HealthIssue("node gone")] == "the node is gone"
    # Who has no node looks at nothing.
    assert not {HealthIssue("stalled"), HealthIssue("hangs")} & find_health_issues(watched_board, 5).keys()


def test_a_loop_that_hangs_is_told_from_outside(
    receiver: Receiver, attach: Callable[..., LiveSystem], said: list[str]
) -> None:
    """The alert covers any failure that ends the command, also an unforeseen one."""
    hook = AlertSettings(receiver.url)
    with (
        pytest.raises(ZeroDivisionError),
        open_status_publisher("keeper", said.append, 0, alerts=hook) as observer,
    ):
        assert observer is not None
        system = attach()
        KeeperLoop(
            system, build_keepers(system.deployment, ["crank"]), said.append, observer=observer
        ).run_round()
        observer.board.looked_at -= 40  # it has not come back since
        wait_until_true(lambda: receiver.got)
        assert receiver.got[0]["alert"] == "hangs" and "last looked at 4" in receiver.got[0]["text"]
        observer.board.looked_at += 40
        wait_until_true(lambda: len(receiver.got) == 2)
        raise ZeroDivisionError
    assert [body["state"] for body in receiver.got] == ["raised", "cleared", "raised"]
    assert receiver.got[2]["alert"] == "stopped" and receiver.got[2]["text"] == "ZeroDivisionError()"


def test_the_guide_names_every_alert() -> None:
    guide = (ROOT / "docs/reference/metrics-and-alerts.md").read_text()
    table = guide.partition("| `on` | raised while |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `([\w ]+)`", table, re.M) == list(ALERTS)


# ---------------------------------------------------------------------- settings

WHOLE = """
schema_version: 1
network: {network}
deployment: {deployment}
roles: [accruer]
metrics: 0
stale: 30 s
alerts:
  url: {url}
  on: [node gone, stopped]
"""


def written(tmp_path: Path, **values: str) -> Path:
    file = tmp_path / "keeper.yaml"
    fields = {"network": "http://127.0.0.1:1", "deployment": "deployment.json", "url": "https://host/hook"}
    file.write_text(WHOLE.lstrip().format(**{**fields, **values}))
    return file


def test_the_settings_are_read(tmp_path: Path) -> None:
    found = read_yaml_keeper_settings_by_name(written(tmp_path))
    assert (found["metrics"], found["stale"]) == ("0", 30.0)
    assert (found["alerts"].url, found["alerts"].on) == ("https://host/hook", ("node gone", "stopped"))
    file = written(tmp_path)
    file.write_text(file.read_text().replace("  on: [node gone, stopped]\n", ""))
    assert read_yaml_keeper_settings_by_name(file)["alerts"].on == tuple(ALERTS)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            "https://host/hook",
            "host/hook",
            "8: alerts.url: is not an address to post alerts to: write",
        ),
        (
            "https://host/hook",
            "https://user:word@host/",
            "8: alerts.url: is not an address to post alerts to",
        ),
        ("https://host/hook", "https://host:99999/", "8: alerts.url: is not an address to post alerts to"),
        ("  url: https://host/hook\n", "", "7: alerts: 'url' is missing"),
        (
            "[node gone, stopped]",
            "[node went]",
            "alerts.on[0]: 'node went' is not one of: difference, ",
        ),
        ("metrics: 0", "metrics: all", "5: metrics: 'all' is not a port: write 9464"),
        ("stale: 30 s", "stale: 30", "6: stale: '30' is not a duration"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(tmp_path: Path, old: str, new: str, line: str) -> None:
    file = written(tmp_path)
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    result = CliRunner(mix_stderr=False).invoke(cli, ["--config", str(file)])
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
    assert result.stderr.startswith("Error: keeper.yaml:") and line in result.stderr, result.stderr


@pytest.mark.deep(brief="tests/backstop/live/operate/test_alerts.py::test_what_happens_to_a_keeper")
def test_a_mirror_tells_what_differs(receiver: Receiver, devnet: Devnet, deployed_folder: Path) -> None:
    deployment = read_deployment(deployed_folder / "deployment.json")
    slot = open_mirror(devnet.node, deployment).chain.compute_slot("VaultEngine", "ledger.system", ())
    engine = deployment.addresses["VaultEngine"]
    devnet.node.request("anvil_setStorageAt", engine, f"{slot:#066x}", f"{7:#066x}")
    devnet.node.request("evm_mine")
    where = ["--network", devnet.url, "--deployment", str(deployed_folder / "deployment.json"), "--once"]

    def told(*flags: str) -> list[tuple[str, str, str]]:
        receiver.got.clear()
        result = CliRunner(mix_stderr=False).invoke(mirror_cli, [*where, *flags])
        assert result.exit_code == 1 and "model and chain differed in " in result.stderr
        return [(body["command"], body["alert"], body["state"]) for body in receiver.got]

    assert told("--alerts", receiver.url) == [("mirror", "difference", "raised")]
    assert "VaultEngine ledger.system.reserve: model 0, chain 7" in receiver.got[0]["text"]
    assert told("--alerts", receiver.url, "--alert-on", "mode") == []
    result = CliRunner(mix_stderr=False).invoke(mirror_cli, [*where, "--alerts", "host/hook"])
    assert result.stderr.startswith("Error: --alerts is not an address to post alerts to: ")
    assert result.exit_code == 1 and result.stderr.count("\n") == 1


def test_the_command_tells_why_it_stopped(
    receiver: Receiver, devnet: Devnet, deployed_folder: Path, tmp_path: Path
) -> None:
    deployment = str(deployed_folder / "deployment.json")
    config = written(tmp_path, network=devnet.url, deployment=deployment, url=receiver.url)
    devnet.node.request("anvil_setBalance", get_account("accruer"), "0x0")
    result = CliRunner(mix_stderr=False).invoke(cli, ["--config", str(config)])
    assert result.exit_code == 1 and "accruer has nothing to pay gas with" in result.stderr
    (body,) = receiver.got
    assert (body["alert"], body["state"], body["command"]) == ("stopped", "raised", "keeper")
    assert body["text"] in result.stderr


def test_who_is_watched_waits_for_a_node_at_the_start(
    receiver: Receiver,
    devnet: Devnet,
    deployment: Deployment,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A supervisor starts it again and again: without that each start would be an alert that it stopped."""
    monkeypatch.setattr(network_options, "_AGAIN", 0.02)
    proxy, tries = ByzantineProxy(devnet.port), list[float]()
    proxy.set_fault(HANGS_UP)
    hook = AlertSettings(receiver.url)
    with open_status_publisher("keeper", said.append, 0, alerts=hook) as observer:

        def wait(stop: Stop) -> None:
            def note() -> bool:
                tries.append(time.monotonic())
                return stop()

            connect_to_deployment_node([proxy.url], deployment, said.append, observer, 60.0, stop=note)

        with run_thread_until_context_ends(wait):
            wait_until_true(lambda: receiver.got and len(tries) > 20)
            proxy.set_fault(None)
            wait_until_true(lambda: "the node is back" in said)
    assert [(body["alert"], body["state"]) for body in receiver.got] == [("node gone", "raised")]
    assert len(said) == 2 and said[0].startswith(f"no node answers at {proxy.url} ")
    proxy.close()


@pytest.mark.deep(brief=BRIEF)
def test_a_node_is_asked_again_when_it_says(
    watched_board: StatusBoard, devnet: Devnet, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_options, "_AGAIN", 0.01)
    proxy, observer = ByzantineProxy(devnet.port), StatusPublisher(watched_board, lambda text: None, 0)
    proxy.set_fault(build_status_fault(429, "1"))
    with pytest.raises(NodeUnavailableError):
        connect_to_deployment_node([proxy.url], deployment, lambda text: None, observer, 0.5)
    assert len(proxy.asked) == 2
    proxy.close()


def test_who_is_told_to_stop_waits_for_no_node(watched_board: StatusBoard, deployment: Deployment) -> None:
    asked = list[bool]()

    def stop() -> bool:
        asked.append(len(asked) > 2)
        return asked[-1]

    observer = StatusPublisher(watched_board, lambda text: None, 0)
    with pytest.raises(NodeUnavailableError):
        connect_to_deployment_node(
            ["http://127.0.0.1:1"], deployment, lambda text: None, observer, 2.0, stop=stop
        )
    assert len(asked) < 20


@pytest.mark.parametrize("command", ["keeper", "mirror"])
def test_a_start_without_a_node_is_told_before_it_ends(
    receiver: Receiver, deployed_folder: Path, tmp_path: Path, command: str
) -> None:
    deployment = str(deployed_folder / "deployment.json")
    config = written(tmp_path, deployment=deployment, url=receiver.url)
    nowhere = ["--network", "http://127.0.0.1:1", "--deployment", deployment, "--alerts", receiver.url]
    program, flags = (cli, ["--config", str(config)]) if command == "keeper" else (mirror_cli, nowhere)

    def told(*more: str) -> list[str]:
        receiver.got.clear()
        result = CliRunner(mix_stderr=False).invoke(program, [*flags, *more])
        assert result.exit_code == 1 and "Error: no node answers at http://127.0.0.1:1 " in result.stderr
        return [body["alert"] for body in receiver.got]

    assert told("--patience", "0.1") == ["node gone", "stopped"]
    assert told("--once") == ["stopped"]


@pytest.mark.deep(brief=BRIEF)
def test_all_who_are_asked_may_take_their_time(
    monkeypatch: pytest.MonkeyPatch,
    receiver: Receiver,
    deployed_folder: Path,
    tmp_path: Path,
    watched_board: StatusBoard,
) -> None:
    """A loop that waits for one silent node after the other does not hang: it is not to be started again."""
    found = list[float]()
    real = status_port_and_webhook_opening.open_status_publisher

    @contextmanager
    def noted(*args: Any, **options: Any) -> Iterator[StatusPublisher | None]:
        with real(*args, **options) as observer:
            assert observer is not None
            found.append(observer.board.silent)
            yield observer

    monkeypatch.setattr(status_port_and_webhook_opening, "open_status_publisher", noted)
    deployment = str(deployed_folder / "deployment.json")
    config = written(tmp_path, deployment=deployment, url=receiver.url)
    keeper = ["--config", str(config), "--once"]
    mirror = [
        "--deployment",
        deployment,
        "--once",
        "--alerts",
        receiver.url,
        "--network",
        "http://127.0.0.1:1",
    ]
    CliRunner().invoke(cli, keeper)
    config.write_text(config.read_text() + "rpc_timeout: 60 s\nsigner: http://127.0.0.1:1\n")
    CliRunner().invoke(cli, keeper)
    config.write_text(config.read_text() + "relay: {url: 'http://127.0.0.1:1', roles: [accruer]}\n")
    CliRunner().invoke(cli, keeper)
    CliRunner().invoke(mirror_cli, mirror)
    CliRunner().invoke(mirror_cli, [*mirror, "--network", "http://127.0.0.1:2"])
    assert found == [30, 60 + 60 + 10, 60 + 60 + 60 + 10, 20 + 10, 20 + 20 + 10]
    watched_board.looked_at -= 40
    assert HealthIssue("hangs") in find_health_issues(watched_board, 0)
    watched_board.silent = 50
    assert HealthIssue("hangs") not in find_health_issues(watched_board, 0)
