"""`ape run devnet`: a chain that stays, on real processes."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from offchain.deployment import account
from offchain.live.devnet import run_devnet
from offchain.live.host import LiveHost
from offchain.live.node import Node
from offchain.live.signers import Signers
from scripts.devnet import cli
from tests.live.conftest import free_port

ROOT = Path(__file__).parents[2]
APE = Path(sys.executable).parent / "ape"


Start = Callable[..., tuple[subprocess.Popen[str], Node]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts devnets in processes of their own."""
    started: list[subprocess.Popen[str]] = []

    def begin(*flags: str) -> tuple[subprocess.Popen[str], Node]:
        process = subprocess.Popen(
            [APE, "run", "devnet", *flags],
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        assert process.stdout is not None
        return process, Node(process.stdout.readline().strip())

    yield begin
    for process in started:
        process.kill()


def send(node: Node) -> None:
    """Somebody's transaction."""
    transfer = {"from": account("borrower"), "to": account("saver"), "value": "0x1"}
    sent = node.request("eth_sendTransaction", transfer)
    LiveHost(node, Signers(test_accounts=False)).wait(sent)


def test_it_prints_its_address_and_ends_cleanly(start: Start, tmp_path: Path) -> None:
    state, port = tmp_path / "state.json", str(free_port())
    process, node = start("--port", port, "--state", str(state))
    assert node.url == f"http://127.0.0.1:{port}"
    assert (node.chain_id, node.is_anvil) == (31_337, True)
    send(node)
    ahead = int(time.time()) + 1_000_000
    node.request("evm_setNextBlockTimestamp", ahead)
    send(node)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 0, err
    assert "Traceback" not in err and "Ctrl-C ends it" in err

    # The same file goes on, with its history, and time does not go back.
    process, node = start("--port", port, "--state", str(state))
    assert node.head().number == 2
    assert len(node.blocks(1, 2)[0][1]) == 1
    send(node)
    assert node.head().timestamp >= ahead
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 0


def test_a_kill_costs_seconds(start: Start, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    process, node = start("--port", str(free_port()), "--state", str(state))
    send(node)
    deadline = time.monotonic() + 10
    while not state.exists() or account("saver")[2:] not in state.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.kill()
    process.communicate(timeout=10)
    _, node = start("--port", str(free_port()), "--state", str(state))
    assert node.head().number == 1


def refused(*flags: str) -> str:
    """The one line that it ends with."""
    result = CliRunner(mix_stderr=False).invoke(cli, flags)
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.stderr and result.stdout == ""
    return result.stderr


def test_a_taken_port_is_refused() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert f"Error: port {port} cannot be used" in refused("--port", str(port))


def test_a_missing_anvil_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert "Error: anvil is not installed: run `make setup`" in refused("--port", str(free_port()))


def test_a_broken_state_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_text('{"block": {"number": ')
    assert f"{state} is no state of an Anvil" in refused("--port", str(free_port()), "--state", str(state))
    assert state.exists()


def test_a_bad_time_is_refused() -> None:
    assert "--timestamp: 'yesterday' is not a time in UTC" in refused("--timestamp", "yesterday")


def test_it_can_begin_in_another_year() -> None:
    seen: list[int] = []
    run_devnet(
        free_port(),
        None,
        1_583_884_800,
        started=lambda node: seen.append(node.head().timestamp),
        stop=lambda: bool(seen),
    )
    assert seen == [1_583_884_800]
