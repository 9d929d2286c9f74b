"""Keepers as processes: settings, signals, and the files that a killed keeper leaves behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from backstop.cli.keeper import cli
from backstop.deployment.role_accounts import get_account
from backstop.live.chaos.byzantine_proxy import FAULTS, ByzantineProxy
from backstop.live.node.gas_fees import GWEI
from backstop.live.node.private_relay import RelaySettings
from backstop.live.operate.keeper_settings import KeeperSettings, read_yaml_keeper_settings_by_name
from backstop.model.arithmetic import WAD
from tests.support.checkout_paths import ROOT
from tests.support.condition_wait import wait_until_true
from tests.support.devnet_process import Devnet

LONGER = pytest.mark.deep(
    brief="tests/backstop/live/operate/test_keeper_process.py::test_a_killed_keeper_sends_nothing_twice"
)

LIQUIDATOR = get_account("liquidator")
COMMAND = "from backstop.cli.keeper import cli; cli()"

# The command, which kills itself right before or after it hands over what it has signed.
KILLED = """
import os, signal, sys
from backstop.hosts.rpc_client import NodeClient
from backstop.cli.keeper import cli
moment, asks = sys.argv.pop(1), NodeClient.request
def request(self, method, *params, **named):
    if method != "eth_sendRawTransaction":
        return asks(self, method, *params, **named)
    if moment == "after":
        asks(self, method, *params)
    os.kill(os.getpid(), signal.SIGKILL)
NodeClient.request = request
cli()
"""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*flags: object):
    return CliRunner(mix_stderr=False).invoke(cli, [str(flag) for flag in flags])


@pytest.fixture
def flags(fallen_devnet: Devnet, fallen_folder: Path) -> list[str]:
    """Return the flags of a liquidator with a vault to liquidate, on a node that mines on request."""
    fallen_devnet.node.request("evm_setAutomine", False)
    file = fallen_folder / "deployment.json"
    return ["--network", fallen_devnet.url, "--deployment", str(file), "--roles", "liquidator"]


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts a program of this Python, with its output in a file."""
    started: list[subprocess.Popen[str]] = []

    def begin(program: str, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'offchain'}{os.pathsep}{ROOT}"},
            text=True,
            stdout=subprocess.PIPE,
            stderr=(tmp_path / "said").open("w"),
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def journals(tmp_path: Path) -> list[dict]:
    found = (tmp_path / "runs" / "keeper").glob("*.jsonl")
    lines = [json.loads(line) for file in found for line in file.read_text().splitlines()]
    return [line["entry"] for line in lines if "entry" in line]


@pytest.mark.parametrize("moment", [pytest.param("before", marks=LONGER), "after"])
def test_a_killed_keeper_sends_nothing_twice(
    fallen_devnet: Devnet, flags: list[str], start: Start, tmp_path: Path, moment: str
) -> None:
    node = fallen_devnet.node
    killed = start(KILLED, moment, *flags)
    assert killed.wait(120) == -signal.SIGKILL
    (entry,) = journals(tmp_path)
    assert entry["nonce"] == 0 and entry["block"] is None
    name = entry["attempts"][0]["hash"]
    assert (node.request("eth_getTransactionByHash", name) is not None) == (moment == "after")

    # The next one takes it from there.
    node.request("evm_setAutomine", True)
    if moment == "after":
        node.request("evm_mine")
    result = run(*flags, "--once")
    assert result.exit_code == 0, result.stderr
    assert f"1 transactions of {LIQUIDATOR} were under way when the last keeper ended" in result.stderr
    assert ("was lost by the node: sent again" in result.stderr) == (moment == "before")
    assert result.stderr.count(" done in block ") == 1 and result.stdout.startswith(
        "1 transactions, 0 failed"
    )
    assert node.get_nonce(LIQUIDATOR) == 1
    assert node.request("eth_getTransactionReceipt", name)["status"] == "0x1"


@pytest.mark.deep(
    brief="tests/backstop/live/operate/test_keeper_process.py::test_a_killed_keeper_sends_nothing_twice"
)
def test_a_stopped_keeper_leaves_what_is_under_way_to_the_next(
    fallen_devnet: Devnet, flags: list[str], start: Start, tmp_path: Path
) -> None:
    node = fallen_devnet.node
    keeper = start(COMMAND, *flags, "--grace", "0.2")
    wait_until_true(lambda: " sent, nonce 0" in (tmp_path / "said").read_text())
    # Two keepers of one account would take each other's nonces.
    assert "another keeper uses 0x9965" in run(*flags, "--once").stderr
    keeper.send_signal(signal.SIGTERM)
    out, _ = keeper.communicate(timeout=60)
    said = (tmp_path / "said").read_text()
    assert keeper.returncode == 0, said
    assert "stopping ..." in said and "1 transactions are still under way: the next keeper finds them" in said
    assert out.startswith("0 transactions, 0 failed\nnew block to first transaction: median ")
    node.request("evm_setAutomine", True)
    node.request("evm_mine")
    assert "1 transactions, 0 failed" in run(*flags, "--once").stdout
    assert node.get_nonce(LIQUIDATOR) == 1


def test_a_dry_run_sends_nothing(fallen_devnet: Devnet, flags: list[str], tmp_path: Path) -> None:
    node = fallen_devnet.node
    stranger = "0x" + "77" * 20  # nobody has its key, and it has nothing
    result = run(*flags, "--once", "--dry-run", "--account", f"liquidator={stranger}")
    assert result.exit_code == 0, result.stderr
    line, summary = result.stdout.splitlines()
    assert line.startswith("liquidator: LiquidationEngine.liquidate(0, 0xa0ee7a14) would be sent: ")
    assert summary == "0 transactions, 0 failed"
    assert node.request("txpool_status")["pending"] == "0x0" and not (tmp_path / "runs").exists()


def test_lines_for_programs(fallen_devnet: Devnet, flags: list[str]) -> None:
    fallen_devnet.node.request("evm_setAutomine", True)
    result = run(*flags, "--once", "--log", "json")
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["watching", "sent", "done"]
    assert lines[1]["transaction"] == lines[2]["transaction"] and lines[2]["gas"] > 100_000
    assert {"time", "text", "keeper", "nonce", "block"} <= lines[2].keys()


def test_the_wrong_account_is_one_line(fallen_devnet: Devnet, flags: list[str]) -> None:
    result = run(*flags[:-1], "taker", "--account", "taker=0x" + "77" * 20)
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
    assert f"belongs to {get_account('taker')}, not to 0x7777" in result.stderr
    result = run(*flags, "--account", "baker=0x" + "77" * 20)
    assert "--account: keeper 'baker' is unknown; expected one of liquidator" in result.stderr


# ---------------------------------------------------------------------- settings

WHOLE = """
schema_version: 1
network: [http://127.0.0.1:8545, /run/node.ipc]
deployment: deployment.json
journal: kept
snapshot: vaults.db
log: json
interval: 250 ms
patience: 2 min
grace: 0 s
rpc_timeout: 3 s
confirmations: 4
most_failures: 7
fee_cap: 30 gwei
tip_cap: 2 gwei
replace_after: 12 s
gas_per_block: 15_000_000 gas
minimum_profit: 5 stablecoin
gas_token: ETH
accounts:
  taker: me
roles:
  taker:
    minimum_profit: 2.5 stablecoin
  crank:
  bidder:
    takes_at: 97%
    calls_per_block: 30
    strategy:
      command: [python3, pricing.py]
      options: {margin: 3}
      answer_within: 150 ms
      otherwise: built-in
"""


@pytest.mark.deep(
    brief="tests/backstop/live/operate/test_keeper_process.py::test_a_killed_keeper_sends_nothing_twice"
)
def test_a_signal_is_heard_while_a_node_drips(
    fallen_devnet: Devnet, fallen_folder: Path, start: Start, tmp_path: Path
) -> None:
    """The node sends a byte now and then, for longer than any process waits."""
    hostile = ByzantineProxy(fallen_devnet.port)
    settings = f"""
schema_version: 1
network: {hostile.url}
deployment: {fallen_folder / "deployment.json"}
rpc_timeout: 10 min
roles: [crank]
"""
    keeper = start(COMMAND, "--config", str(written(tmp_path, settings)))
    wait_until_true(lambda: "watching " in (tmp_path / "said").read_text(), keeper)
    hostile.fault = next(each for each in FAULTS if each.name == "drip")
    wait_until_true(lambda: hostile.dripping, keeper)
    keeper.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert keeper.wait(60) == 0 and time.monotonic() - began < 2.5
    assert "stopping ..." in (tmp_path / "said").read_text()
    hostile.close()


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "keeper.yaml"
    file.write_text(text.lstrip())
    return file


def test_a_whole_file(tmp_path: Path) -> None:
    found = read_yaml_keeper_settings_by_name(written(tmp_path, WHOLE))
    assert found["networks"] == ("http://127.0.0.1:8545", "/run/node.ipc")
    assert found["deployment"] == tmp_path / "deployment.json" and found["journal"] == tmp_path / "kept"
    assert found["snapshot"] == tmp_path / "vaults.db"
    assert (found["interval"], found["patience"], found["grace"]) == (0.25, 120.0, 0.0)
    assert (found["rpc_timeout"], found["replace_after"]) == (3.0, 12.0)
    assert (found["confirmations"], found["most_failures"]) == (4, 7)
    assert (found["fee_cap"], found["tip_cap"]) == (30 * GWEI, 2 * GWEI)
    assert (found["log"], found["gas_token"], found["accounts"]) == ("json", "ETH", ("taker=me",))
    assert found["roles"] == ("taker", "crank", "bidder") and found["minimum_profit"] == 5 * WAD
    assert found["options"] == {
        "taker": {"minimum_profit": 5 * WAD // 2},
        "bidder": {"takes_at": 9_700, "most": 30},
    }
    assert found["gas_per_block"] == 15_000_000
    strategy = found["strategies"]["bidder"]
    assert strategy.command == ("python3", "pricing.py") and strategy.options == {"margin": "3"}
    assert (strategy.answer_within, strategy.otherwise) == (0.15, "built-in")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            "schema_version: 1",
            "schema_version: 2",
            "schema_version: this program reads version 1",
        ),
        ("interval: 250 ms", "intervall: 250 ms", "keeper.yaml:7: intervall: unknown field; known here: "),
        ("interval: 250 ms", "interval: 250", "keeper.yaml:7: interval: '250' is not a duration"),
        ("interval: 250 ms", "interval: 1 ms", "keeper.yaml:7: interval: '1 ms' is too low"),
        ("log: json", "log: xml", "keeper.yaml:6: log: 'xml' is not one of: human, json"),
        ("fee_cap: 30 gwei", "fee_cap: 30", "keeper.yaml:13: fee_cap: '30' is not a gas price"),
        ("  crank:\n", "  crang:\n", "roles.crang: role 'crang' is unknown; expected one of "),
        ("  crank:\n", "  crank: {takes_at: 1%}\n", "roles.crank.takes_at: unknown field; known here: "),
        (
            "calls_per_block: 30",
            "most: 30",
            "keeper.yaml:27: roles.bidder.most: is called calls_per_block now: it counts calls for a block, ",
        ),
        ("calls_per_block: 30", "calls_per_block: 0", "roles.bidder.calls_per_block: '0' is too low"),
        ("15_000_000 gas", "900_000 gas", "gas_per_block: '900_000 gas' is too low"),
        ("takes_at: 97%", "takes_at: 120%", "roles.bidder.takes_at: '120%' is too high"),
        ("      command: [python3, pricing.py]\n", "", "roles.bidder.strategy: give either `class: "),
        ("command: [python3, pricing.py]", "command: []", "roles.bidder.strategy.command: is empty"),
        ("otherwise: built-in", "otherwise: guess", "'guess' is not one of: no bid, built-in"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(tmp_path: Path, old: str, new: str, line: str) -> None:
    assert old in WHOLE
    result = run("--config", written(tmp_path, WHOLE.replace(old, new)))
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
    assert result.stderr.startswith("Error: keeper.yaml:") and line in result.stderr, result.stderr


def test_the_guide_reads(tmp_path: Path) -> None:
    pages = ("reference/keepers", "how-to/run-keepers", "reference/margin-keepers", "how-to/report-prices")
    text = "".join((ROOT / f"docs/{page}.md").read_text() for page in pages)
    example, of_signer, of_relay, of_margin, of_reports = re.findall(r"```yaml\n(.*?)```", text, re.S)
    relay = read_yaml_keeper_settings_by_name(written(tmp_path, f"schema_version: 1\n{of_relay}"))["relay"]
    assert relay == RelaySettings("https://relay.example.org", ("taker", "bidder", "liquidator"))
    found = read_yaml_keeper_settings_by_name(written(tmp_path, f"schema_version: 1\n{of_signer}"))
    assert found["signer"] == "http://127.0.0.1:9000" and "bidder" in found["may_sign"]
    found = read_yaml_keeper_settings_by_name(written(tmp_path, f"schema_version: 1\n{of_margin}"))
    roles = ("margin_crank", "margin_liquidator", "pool_buyer", "deleverager", "matcher")
    assert found["roles"] == roles
    found = read_yaml_keeper_settings_by_name(written(tmp_path, f"schema_version: 1\n{of_reports}"))
    assert found["roles"] == ("reporter", "poker")
    found = read_yaml_keeper_settings_by_name(written(tmp_path, example))
    defaults = KeeperSettings()
    for name in (
        "interval",
        "patience",
        "grace",
        "rpc_timeout",
        "confirmations",
        "most_failures",
        "log",
        "stale",
    ):
        assert found[name] == getattr(defaults, name), name
    for name in ("fee_cap", "replace_after", "minimum_profit"):
        assert found[name] == getattr(defaults, name), name


def test_options_go_before_the_file(
    fallen_devnet: Devnet, fallen_folder: Path, flags: list[str], tmp_path: Path
) -> None:
    text = f"""
schema_version: 1
network: http://127.0.0.1:1
deployment: {fallen_folder / "deployment.json"}
roles: [accruer]
log: json
"""
    config = written(tmp_path, text)
    assert "no node answers at http://127.0.0.1:1" in run("--config", config).stderr
    fallen_devnet.node.request("evm_setAutomine", True)
    chosen = ("--network", fallen_devnet.url, "--roles", "liquidator", "--log", "human")
    result = run("--config", config, *chosen, "--once")
    assert result.exit_code == 0 and " liquidator: " in result.stderr and "accrue" not in result.stderr
    assert "no --roles" in run("--network", fallen_devnet.url).stderr
