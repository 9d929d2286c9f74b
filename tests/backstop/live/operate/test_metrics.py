"""`--metrics`: the values that Prometheus and a supervisor read, of real events on an Anvil."""

from __future__ import annotations

import dataclasses
import json
import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from backstop.cli import keeper, mirror
from backstop.deployment.planned_contracts import Deployment
from backstop.deployment.role_accounts import get_account
from backstop.live.mirror.chain_mirror import Mirror, open_mirror
from backstop.live.monitor import metrics, status_port_and_webhook_opening
from backstop.live.monitor.http_server import Server
from backstop.live.monitor.page_sections import PageSections
from backstop.live.monitor.status_facts_and_board import StatusBoard
from backstop.live.monitor.status_publisher import StatusPublisher
from backstop.live.node.signers import Signers
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.live_roles import build_keepers
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.mirror_loop import MirrorLoop
from backstop.live.operate.spending_limits import LimitEnforcer, PausedRoles, SpendingLimits
from backstop.model.arithmetic import RAD, WAD
from tests.support.background_threads import run_thread_until_context_ends
from tests.support.checkout_paths import ROOT
from tests.support.condition_wait import wait_until_true
from tests.support.devnet_process import Devnet
from tests.support.vault_auctions_after_price_drop import BORROWER, ETH, apply_successful_call

BRIEF = "tests/backstop/live/operate/test_metrics.py::test_a_mirrors_figures_are_the_chains"

LIQUIDATOR = get_account("liquidator")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def fetch(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def samples(url: str) -> dict[tuple[str, ...], float]:
    """Return the samples of a server, by name and the values of the labels."""
    status, text = fetch(f"{url}/metrics")
    assert status == 200
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    assert len(set(names)) == len(names)
    assert all(re.match("(backstop|process)_", name) for name in names), names
    return {
        (each.name, *(each.labels[name] for name in sorted(each.labels))): each.value
        for family in families
        for each in family.samples
    }


class Watched:
    """A port that serves the events of an observer."""

    def __init__(self, command: str, stale: float, scene: PageSections | None) -> None:
        self.board = StatusBoard()
        self.said: list[str] = []
        self.observer = StatusPublisher(self.board, self.said.append, stale, scene=scene)
        self.server = Server(
            "0", metrics.build_metrics_and_health_routes(self.board, command, stale), "--metrics"
        )

    def samples(self) -> dict[tuple[str, ...], float]:
        return samples(self.server.url)

    def asked(self, path: str) -> tuple[int, dict[str, Any]]:
        status, text = fetch(f"{self.server.url}/{path}")
        return status, json.loads(text)

    def health(self) -> tuple[int, dict[str, Any]]:
        return self.asked("health")

    def codes(self, path: str) -> tuple[int, list[str]]:
        status, content = self.asked(path)
        return status, [each["code"] for each in content["reasons"]]


@pytest.fixture
def watched() -> Iterator[Callable[..., Watched]]:
    opened: list[Watched] = []

    def begin(command: str = "mirror", stale: float = 0.0, scene: PageSections | None = None) -> Watched:
        opened.append(Watched(command, stale, scene))
        return opened[-1]

    yield begin
    for each in opened:
        each.server.close()


@contextmanager
def followed(watched: Watched, node: Any, deployment: Deployment) -> Iterator[MirrorLoop]:
    """A mirror at work, as in a process of its own."""
    watch = MirrorLoop(
        open_mirror(node, deployment), lambda _: None, watched.said.append, observer=watched.observer
    )
    with run_thread_until_context_ends(lambda stop: watch.run(interval=0.02, patience=30, stop=stop)):
        yield watch


def test_a_mirrors_figures_are_the_chains(
    watched: Callable[..., Watched], fallen: LiveSystem, fallen_devnet: Devnet
) -> None:
    port = watched()
    status, health = port.health()
    assert status == 503 and health["problems"] == ["starting"]
    with followed(port, fallen_devnet.node, fallen.deployment):
        wait_until_true(lambda: port.health()[0] == 200)
        found, (_, health) = port.samples(), port.health()
    head = fallen_devnet.node.get_head()
    assert (health["block"], health["head"], health["differences"]) == (head.number, head.number, 0)
    assert found["backstop_block",] == head.number and found["backstop_lag_blocks",] == 0
    assert found["backstop_block_timestamp_seconds",] == head.timestamp
    assert found["backstop_differences_total",] == 0 and found["backstop_fields_compared_total",] > 100
    sheet = "backstop_balance_sheet"
    assert found[sheet, "supply", "owes"] == fallen.view("Stablecoin", "totalSupply") / WAD
    assert found[sheet, "reserve", "owes"] == fallen.view("VaultEngine", "reserve") / RAD
    owes, owns = (
        sum(v for key, v in found.items() if key[0] == sheet and key[2] == s) for s in ("owes", "owns")
    )
    assert owes == pytest.approx(owns) and found["backstop_balance_gap_rad",] == 0
    assert found["backstop_price", "ETH"] == 150 and found["backstop_price_fresh", "ETH"] == 1
    assert found["backstop_unsafe_vaults", "ETH"] == 1 and found["backstop_unsafe_vaults", "WBTC"] == 0
    assert found["backstop_vaults", "ETH"] == 2
    stage = fallen.view("BufferStage", "capacity", 0) + fallen.view("BufferStage", "capacity", 1)
    assert found["backstop_stage_capacity", "buffer"] == pytest.approx(stage / RAD)
    assert found["backstop_mode", "normal"] == 1 and found["backstop_mode", "emergency"] == 0


def test_a_keepers_figures_are_what_it_did(
    watched: Callable[..., Watched],
    attach_fallen: Callable[..., LiveSystem],
    fallen_devnet: Devnet,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port, node, said = watched("keeper"), fallen_devnet.node, list[str]()
    system = attach_fallen()
    keepers = build_keepers(system.deployment, ["liquidator"])
    loop = KeeperLoop(system, keepers, said.append, observer=port.observer)
    node.request("evm_setAutomine", False)
    assert loop.run_round() == 1
    found = port.samples()
    assert found["backstop_transactions_total", "liquidator", "sent"] == 1
    assert ("backstop_transactions_total", "liquidator", "done") not in found
    assert found["backstop_pending_transactions", LIQUIDATOR] == 1
    assert 0 <= found["backstop_oldest_pending_seconds", LIQUIDATOR] < 60
    (entry,) = loop.boxes[LIQUIDATOR].waiting
    entry.at -= 700
    node.request("evm_mine")
    loop._replace_overdue_transactions()
    assert loop._build_work_done_and_means_left(False).oldest == {LIQUIDATOR: pytest.approx(700, abs=60)}
    follow = loop._follow_chain_and_note_mined

    def slow() -> None:
        follow()
        for _ in range(5):  # blocks that come while it looks
            node.request("evm_mine")

    with monkeypatch.context() as while_it_looks:
        while_it_looks.setattr(loop, "_follow_chain_and_note_mined", slow)
        loop.run_round()
    found = port.samples()
    assert found["backstop_lag_blocks",] == 5 and found["backstop_oldest_pending_seconds", LIQUIDATOR] == 0
    loop.run_round()
    found = port.samples()
    assert found["backstop_lag_blocks",] == 0
    assert found["backstop_transactions_total", "liquidator", "done"] == 1
    assert found["backstop_pending_transactions", LIQUIDATOR] == 0
    assert found["backstop_capital", LIQUIDATOR, "coin"] == node.get_balance(LIQUIDATOR) / WAD
    reward = system.view("Stablecoin", "balanceOf", LIQUIDATOR)
    assert reward > 0 and found["backstop_capital", LIQUIDATOR, "Stablecoin"] == reward / WAD
    assert found["backstop_gas_paid_coins_total",] == loop.tally.gas_paid / WAD > 0
    assert found["backstop_first_transaction_seconds_count",] == len(loop.tally.latencies) == 1
    assert found["backstop_first_transaction_seconds_sum",] == loop.tally.latencies[0]
    assert found["backstop_first_transaction_seconds_bucket", "+Inf"] == 1
    assert found["backstop_open_auctions",] == 1 and found["backstop_unsafe_vaults", "ETH"] == 0
    assert found["backstop_failures_in_a_row",] == 0 and found["backstop_node_up",] == 1
    assert port.health()[0] == 200 and port.said == []


@pytest.mark.deep(brief="tests/backstop/live/operate/test_metrics.py::test_a_mirrors_figures_are_the_chains")
def test_health_says_what_is_wrong(
    watched: Callable[..., Watched],
    new_devnet: Callable[..., Devnet],
    deployed_folder: Path,
    deployment: Deployment,
) -> None:
    devnet = new_devnet("--load-state", str(deployed_folder / "state.json"))
    port = watched(stale=1.5)

    def problems() -> str:
        status, health = port.health()
        assert (status == 200) == health["ok"] == (not health["problems"])
        return "; ".join(health["problems"])

    with followed(port, devnet.node, deployment) as watch:
        # It is well as long as there are blocks.
        wait_until_true(lambda: bool(devnet.node.request("evm_mine")) and problems() == "")
        last = f"no new block after block {devnet.node.get_head().number} of the node at {devnet.url}"
        wait_until_true(lambda: problems() == last)
        wait_until_true(lambda: bool(devnet.node.request("evm_mine")) and problems() == "")
        slot = watch.mirror.chain.compute_slot("VaultEngine", "ledger.system", ())
        where = deployment.addresses["VaultEngine"]
        devnet.node.request("anvil_setStorageAt", where, f"{slot:#066x}", f"{7:#066x}")
        devnet.node.request("evm_mine")
        wait_until_true(lambda: "model and chain differ in " in problems())
        assert "VaultEngine ledger.system.reserve: model 0, chain 7" in problems()
        assert port.samples()["backstop_differences_total",] == watch.found > 0
        devnet.process.stop_process()
        wait_until_true(lambda: "is gone" in problems())
        assert port.samples()["backstop_node_up",] == 0


@pytest.mark.deep(brief=BRIEF)
def test_a_keeper_that_replays_says_so(
    watched: Callable[..., Watched], devnet: Devnet, deployment: Deployment
) -> None:
    """From the first block on, so that no supervisor restarts it as hung or takes it to be without a node."""
    port, told = watched("keeper"), list[tuple[int, int]]()

    def progress(mirror: Mirror, head: int) -> None:
        port.observer.note_replay(mirror, head)
        told.append((mirror.block, head))
        found = port.samples()
        assert (found["backstop_node_up",], found["backstop_block",]) == (1, mirror.block)
        port.observer._put_at -= 2.0  # as if that had been then
        assert port.codes("readyz") == (503, ["replaying"]) and port.asked("livez")[0] == 200

    signers = Signers(test_accounts=True)
    LiveSystem(devnet.node, deployment, signers, progress=progress)
    head = devnet.node.get_head().number
    assert told == [(number, head) for number in range(deployment.block, head)]


@pytest.mark.deep(brief=BRIEF)
def test_a_loop_that_hangs_is_not_well(
    watched: Callable[..., Watched], attach: Callable[..., LiveSystem]
) -> None:
    port, system = watched(), attach()
    port.observer.publish_block(system.mirror, 0)
    assert port.health()[0] == 200
    port.board.looked_at -= 60
    status, health = port.health()
    assert status == 503 and health["problems"] == ["the chain was last looked at 60 s ago"]
    # A start anew may help: it is neither ready nor live.
    hangs = {"code": "hangs", "subject": "", "text": "the chain was last looked at 60 s ago"}
    assert port.asked("livez") == (503, {"schema_version": 1, "ok": False, "reasons": [hangs]})
    assert port.asked("readyz") == port.asked("livez")
    port.observer.add_replayed_history_point(system.mirror, system.mirror.model.timestamp)
    assert port.health()[0] == 200
    port.observer.note_replay(system.mirror, 10_000)
    assert port.health()[1]["problems"] == [f"replaying: block {system.mirror.block} of 10000"]
    assert port.samples()["backstop_lag_blocks",] == 10_000 - system.mirror.block
    # It works, and cannot be used yet.
    assert port.asked("livez") == (200, {"schema_version": 1, "ok": True, "reasons": []})
    assert port.codes("readyz") == (503, ["replaying"])


@pytest.mark.deep(brief=BRIEF)
def test_what_a_start_anew_would_not_mend_leaves_it_live(
    watched: Callable[..., Watched], attach: Callable[..., LiveSystem]
) -> None:
    port, system = watched(stale=30.0), attach()
    assert (port.codes("livez"), port.codes("readyz")) == ((200, []), (503, ["starting"]))
    port.observer.publish_block(system.mirror, 0)
    assert port.codes("readyz") == (200, [])
    assert port.samples()["backstop_ready",] == 1
    port.observer.publish_block(system.mirror, 1, ["block 5: a slot: model 0, chain 7"])
    assert (port.codes("livez"), port.codes("readyz")) == ((200, []), (503, ["difference"]))
    port.observer.note_node_gone("the node is gone")
    assert (port.codes("livez"), port.codes("readyz")) == ((200, []), (503, ["node gone", "difference"]))
    found = port.samples()
    assert found["backstop_ready",] == 0
    assert {key[1] for key in found if key[0] == "backstop_trouble"} == {"node gone", "difference"}


@pytest.mark.deep(brief=BRIEF)
def test_a_chain_whose_blocks_are_old_is_not_ready(
    watched: Callable[..., Watched], attach: Callable[..., LiveSystem]
) -> None:
    """A syncing node returns new blocks all the time. On a test chain any account may set the time."""
    port, system = watched(stale=30.0), attach()
    port.observer.publish_block(system.mirror, 0)
    now = port.board.facts
    assert now is not None
    port.board.publish_status(dataclasses.replace(now, chain_id=1, timestamp=int(time.time()) - 20))
    assert port.codes("readyz") == (200, [])
    port.board.publish_status(dataclasses.replace(now, chain_id=1, timestamp=int(time.time()) - 40))
    assert (port.codes("livez"), port.codes("readyz")) == ((200, []), (503, ["old blocks"]))
    port.board.publish_status(dataclasses.replace(now, timestamp=int(time.time()) - 40))
    assert port.codes("readyz") == (200, [])


def test_what_is_wrong_beside_is_a_warning(
    watched: Callable[..., Watched], attach_fallen: Callable[..., LiveSystem], fallen_devnet: Devnet
) -> None:
    port, system = watched("keeper"), attach_fallen()
    fallen_devnet.node.request("anvil_setBalance", LIQUIDATOR, hex(10**12))
    fallen_devnet.node.request("evm_mine")
    keepers = build_keepers(system.deployment, ["liquidator"])
    KeeperLoop(system, keepers, print, observer=port.observer).run_round()
    status, health = port.health()
    assert (status, health["ok"], health["reasons"]) == (200, True, [])
    (warning,) = [each for each in health["warnings"] if each["code"] == "empty wallet"]
    assert warning["subject"] == LIQUIDATOR and "a large transaction costs" in warning["text"]
    assert port.samples()["backstop_trouble", "empty wallet", LIQUIDATOR] == 1


def test_a_supervisor_hears_a_beat_while_the_loop_works(
    attach: Callable[..., LiveSystem], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_port_and_webhook_opening, "_LOOK_EVERY", 0.01)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with status_port_and_webhook_opening.open_status_publisher(
            "keeper", print, 0
        ) as observer:  # nobody else listens
            assert observer is not None and heard.recv(99) == b"READY=1\nWATCHDOG=1"
            observer.publish_block(attach().mirror, 0)
            observer.board.looked_at -= 60
            heard.settimeout(0.5)
            with pytest.raises(TimeoutError):  # after those that were on their way
                while heard.recv(99):
                    pass
            observer.board.looked_at += 60
            assert heard.recv(99) == b"READY=1\nWATCHDOG=1"


def test_no_keeper_ends_for_want_of_figures(
    watched: Callable[..., Watched], attach: Callable[..., LiveSystem], devnet: Devnet
) -> None:
    """Here a collateral type was added that the deployment file does not know."""
    port, system = watched("keeper"), attach()
    apply_successful_call(system, "ETH", "mint", get_account("admin"), WAD, sender="admin")
    apply_successful_call(system, "ETH", "approve", system.addresses["VaultEngine"], WAD, sender="admin")
    apply_successful_call(
        system, "VaultEngine", "add_collateral_type", system.addresses["ETH"], 14_500, 15_000, sender="admin"
    )
    loop = KeeperLoop(system, build_keepers(system.deployment, ["crank"]), print, observer=port.observer)
    for _ in range(2):
        devnet.node.request("evm_mine")
        loop.run_round()
    (line,) = port.said
    assert line.startswith("there are no figures of solvency: the collateral types are not those of")
    assert port.samples()["backstop_block",] == devnet.node.get_head().number


@pytest.mark.deep(brief="tests/backstop/live/operate/test_metrics.py::test_a_mirrors_figures_are_the_chains")
def test_calls_are_shown_until_a_reorganisation_takes_them_back(
    watched: Callable[..., Watched], fallen: LiveSystem, fallen_devnet: Devnet
) -> None:
    port, node = watched(scene=PageSections(fallen.deployment)), fallen_devnet.node

    def shown(part: str) -> list[dict[str, Any]]:
        facts = port.board.facts
        return [] if facts is None else facts.scene.get(part, [])

    with followed(port, fallen_devnet.node, fallen.deployment):  # a connection is one thread's
        wait_until_true(lambda: len(shown("bands")) > 0)
        assert shown("actions") == [] and shown("nearest")[0]["health_bps"] < 10_000
        assert shown("bands")[0]["vaults"] == 1
        apply_successful_call(
            fallen, "LiquidationEngine", "liquidate", ETH, BORROWER, LIQUIDATOR, sender="liquidator"
        )
        wait_until_true(lambda: len(shown("actions")) == 1)
        (action,) = shown("actions")
        assert (action["who"], action["block"], action["ok"]) == ("liquidator", node.get_head().number, True)
        assert action["call"] == "LiquidationEngine.liquidate(0, 0xa0ee7a14…, 0x9965507d…)"
        assert shown("bands")[0]["vaults"] == 0
        node.request("anvil_reorg", 1, [])
        node.request("evm_mine")
        wait_until_true(lambda: shown("actions") == [])


def test_the_commands_serve_it(
    fallen_devnet: Devnet, fallen_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port of the system's choice, on this machine only, free again at the end."""
    where = ["--network", fallen_devnet.url, "--deployment", str(fallen_folder / "deployment.json"), "--once"]
    for cli, more in ((keeper.cli, ["--roles", "accruer"]), (mirror.cli, [])):
        asked = list[dict[tuple[str, ...], float]]()
        closes = Server.close

        def close(server: Server, asked: list = asked, closes: Callable = closes) -> None:
            asked.append(samples(server.url))
            closes(server)

        with monkeypatch.context() as patched:
            patched.setattr(Server, "close", close)
            result = CliRunner(mix_stderr=False).invoke(cli, [*where, *more, "--metrics", "0"])
        assert result.exit_code == 0, result.stderr
        (url,) = re.findall(
            r"metrics at (http://127\.0\.0\.1:\d+)/metrics, health at \1/health", result.stderr
        )
        assert asked[0]["backstop_block",] == fallen_devnet.node.get_head().number
        with pytest.raises(urllib.error.URLError):
            urllib.request.urlopen(f"{url}/health", timeout=60)


def test_bad_input_is_one_line(devnet: Devnet, deployment: Deployment, tmp_path: Path) -> None:
    where = ["--deployment", str(tmp_path / "deployment.json"), "--once"]
    roles = ["--roles", "accruer"]

    def said(cli: Any, *flags: str, network: str = devnet.url) -> str:
        result = CliRunner(mix_stderr=False).invoke(cli, [*where, "--network", network, *flags])
        assert result.exit_code == 1 and result.stdout == "" and result.stderr.count("\n") == 1, result.stderr
        return str(result.stderr)

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        line = f"{port}: the port is taken: choose another\n"
        assert said(keeper.cli, *roles, "--metrics", port) == f"Error: --metrics {line}"
        assert said(mirror.cli, "--metrics", port) == f"Error: --metrics {line}"
        assert said(mirror.cli, "--page", port) == f"Error: --page {line}"
    assert "--metrics: 'x' is not a port: write 9464" in said(mirror.cli, "--metrics", "x")
    assert "--page: '70000' is not a port" in said(mirror.cli, "--page", "70000")
    assert "--page 203.0.113.1:9464: " in said(mirror.cli, "--page", "203.0.113.1:9464")
    assert "no node answers at" in said(mirror.cli, network="http://127.0.0.1:1")


def test_the_guide_names_every_metric(
    watched: Callable[..., Watched], attach_fallen: Callable[..., LiveSystem], tmp_path: Path
) -> None:
    port, system = watched("keeper"), attach_fallen()
    keepers, pauses = (
        build_keepers(system.deployment, ["liquidator", "accruer"]),
        PausedRoles(tmp_path / "paused"),
    )
    pauses.change_paused(["accruer"], [])
    brakes = LimitEnforcer(keepers, {"liquidator": SpendingLimits(gas_day=WAD)}, pauses=pauses)
    KeeperLoop(system, keepers, print, brakes=brakes, observer=port.observer).run_round()
    guide = (ROOT / "docs/reference/metrics-and-alerts.md").read_text()
    table = guide.partition("| `backstop_` | by | |")[2].partition("\n\n")[0]
    named = {
        name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row[: row.rfind("|", 0, -1)])
    }
    served = {key[0].removeprefix("backstop_") for key in port.samples() if key[0].startswith("backstop_")}
    served = {re.sub("_(bucket|count|sum)$", "", name) for name in served}
    # A liquidator spends nothing, and there is no margin market.
    deleveraging = {f"deleveraging_{each}" for each in ("accounts", "lots", "due_lots")}
    assert served == named - {"reserved", "margin"} - deleveraging
