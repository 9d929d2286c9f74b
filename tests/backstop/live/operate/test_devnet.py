"""`ape run devnet`: a chain that stays, on real processes."""

from __future__ import annotations

import json
import queue
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from backstop.cli.devnet import cli
from backstop.deployment.planned_contracts import Deployment
from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.hosts.free_ports import find_free_non_ephemeral_port
from backstop.live.mirror.chain_mirror import open_mirror
from backstop.live.node.live_host import LiveHost
from backstop.live.node.rpc_node import Node
from backstop.live.node.signers import Signers
from backstop.live.operate.devnet_process import Fork, run_anvil_until_stopped
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.live_roles import build_keepers
from backstop.live.operate.live_system import LiveSystem
from backstop.live.solvency.proven_statement import build_proven_statement
from backstop.model.arithmetic import WAD
from backstop.system import Action
from tests.support.background_threads import run_thread_until_context_ends
from tests.support.checkout_paths import ROOT
from tests.support.condition_wait import wait_until_true
from tests.support.devnet_process import Devnet

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
    """Send a borrower's transfer, and wait until it is mined."""
    transfer = {"from": get_account("borrower"), "to": get_account("saver"), "value": "0x1"}
    sent = node.request("eth_sendTransaction", transfer)
    LiveHost(node, Signers(test_accounts=False)).wait_for_receipt(sent)


@pytest.mark.deep(brief="tests/backstop/live/operate/test_devnet.py::test_it_stays_one_chain")
def test_it_prints_its_address_and_ends_cleanly(start: Start, tmp_path: Path) -> None:
    state, port = tmp_path / "state.json", str(find_free_non_ephemeral_port())
    process, node = start("--port", port, "--state", str(state))
    assert node.url == f"http://127.0.0.1:{port}"
    assert (node.chain_id, node.is_anvil) == (31_337, True)
    first = node.get_block_hash(0)
    send(node)
    ahead = int(time.time()) + 1_000_000
    node.request("evm_setNextBlockTimestamp", ahead)
    send(node)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err and "Ctrl-C ends it" in err

    # The same file goes on, with its history, and time does not go back.
    process, node = start("--port", port, "--state", str(state))
    assert node.get_head().number == 2 and node.get_block_hash(0) == first
    assert len(node.get_blocks_with_receipts(1, 2)[0][1]) == 1
    send(node)
    assert node.get_head().timestamp >= ahead
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 0
    # A keeper's journal is named after the first block: there must not be another.
    blocks = json.loads(state.read_text())["blocks"]
    assert [block["header"]["number"] for block in blocks].count("0x0") == 1


@pytest.mark.deep(brief="tests/backstop/live/operate/test_devnet.py::test_it_stays_one_chain")
def test_a_kill_costs_seconds(start: Start, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    process, node = start("--port", str(find_free_non_ephemeral_port()), "--state", str(state))
    send(node)
    wait_until_true(lambda: state.exists() and get_account("saver")[2:] in state.read_text())
    process.kill()
    process.communicate(timeout=60)
    _, node = start("--port", str(find_free_non_ephemeral_port()), "--state", str(state))
    assert node.get_head().number == 1


def test_it_stays_one_chain(tmp_path: Path) -> None:
    """Each start of Anvil adds a first block of its own, which the state keeps too, in any order."""
    state, first_blocks = tmp_path / "state.json", list[str | None]()

    def started(node: Node) -> None:
        first_blocks.append(node.get_block_hash(0))
        send(node)

    for timestamp in (1_583_884_800, None, None):
        run_anvil_until_stopped(
            find_free_non_ephemeral_port(), state, timestamp, started=started, stop=lambda: True
        )
        saved = json.loads(state.read_text())
        # Anvil would find the last.
        saved["blocks"].sort(key=lambda block: int(block["header"]["timestamp"], 16))
        state.write_text(json.dumps(saved))
    assert len(first_blocks) == 3 and len(set(first_blocks)) == 1


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
    assert "Error: anvil is not installed: run `make setup`" in refused(
        "--port", str(find_free_non_ephemeral_port())
    )


def test_a_broken_state_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_text('{"block": {"number": ')
    assert f"{state} is not a state of an Anvil" in refused(
        "--port", str(find_free_non_ephemeral_port()), "--state", str(state)
    )
    assert state.exists()


def test_a_folder_without_a_hardhat_is_refused(tmp_path: Path) -> None:
    port, here = ("--port", str(find_free_non_ephemeral_port())), ("--hardhat", str(tmp_path))
    assert f"Error: Hardhat not found in {tmp_path}: install it there" in refused(*port, *here)
    for flags in (("--state", str(tmp_path / "state.json")), ("--fork-url", "http://127.0.0.1:1")):
        assert "--hardhat keeps no chain and forks none" in refused(*port, *here, *flags)


def test_a_bad_time_is_refused() -> None:
    assert "--timestamp: 'yesterday' is not a time in UTC" in refused("--timestamp", "yesterday")


def test_it_can_begin_in_another_year() -> None:
    seen: list[int] = []
    run_anvil_until_stopped(
        find_free_non_ephemeral_port(),
        None,
        1_583_884_800,
        started=lambda node: seen.append(node.get_head().timestamp),
        stop=lambda: bool(seen),
    )
    assert seen == [1_583_884_800]


# -------------------------------------------------------------------------- forks


@contextmanager
def forked(url: str, block: int) -> Iterator[Node]:
    """A fork in this process, for as long as it is needed."""
    nodes: queue.Queue[Node] = queue.Queue()
    port, fork = find_free_non_ephemeral_port(), Fork(url, block)
    with run_thread_until_context_ends(
        lambda stop: run_anvil_until_stopped(port, None, None, fork=fork, started=nodes.put, stop=stop)
    ):
        yield Node(nodes.get(timeout=60).url)


def test_a_fork_goes_on_alone(
    attach: Callable[..., LiveSystem], devnet: Devnet, deployment: Deployment
) -> None:
    """Mirror, keepers and all other processes attach to the fork; the forked chain never hears of it."""
    system = attach()
    who = get_account("borrower")
    mint = Action("ETH", "mint", (who, WAD), who)
    assert system.apply(mint).ok
    forked_at = devnet.node.get_head()
    assert system.apply(mint).ok
    before = devnet.node.get_head()
    with forked(devnet.url, forked_at.number) as node:
        assert (node.chain_id, node.get_head().hash) == (devnet.node.chain_id, forked_at.hash)
        fork = LiveSystem(node, deployment, Signers(test_accounts=True))
        assert fork.view("ETH", "balanceOf", who) == WAD
        assert fork.apply(mint._replace(args=(who, 7 * WAD))).ok
        assert fork.view("ETH", "balanceOf", who) == 8 * WAD
        fork.compare_state()
        loop = KeeperLoop(fork, build_keepers(deployment, ["accruer"]), lambda text: None)
        loop.run(interval=0.01, patience=1, once=True)
        mirror = open_mirror(node, deployment)
        mirror.replay_to_block(None)
        assert mirror.block > forked_at.number and mirror.differences == []
        with pytest.raises(BackstopError, match="no state roots, as a fork of another chain"):
            build_proven_statement(mirror)
    assert devnet.node.get_head() == before
    assert system.view("ETH", "balanceOf", who) == 2 * WAD


def test_bad_forks_are_refused(devnet: Devnet, tmp_path: Path) -> None:
    port, head = ("--port", str(find_free_non_ephemeral_port())), devnet.node.get_head().number
    here = ("--fork-url", devnet.url)
    for flags, line in (
        (("--fork-url", "http://127.0.0.1:1"), "no node answers at http://127.0.0.1:1"),
        (("--fork-url", "mainnet"), "--fork-url 'mainnet' is not an address"),
        ((*here, "--fork-block", str(head + 1)), f"has no block {head + 1} yet: it is at {head}"),
        ((*here, "--fork-block", "1"), "has no state of block 1"),
        ((*here, "--state", str(tmp_path / "s.json")), "leave out --state and --timestamp"),
        (("--fork-block", "1"), "--fork-block: given without --fork-url; expected both"),
    ):
        assert line in refused(*port, *flags)
