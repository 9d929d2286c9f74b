"""Time, senders, balances and gas of test nodes: Anvil, Hardhat, and a node with distinct block times."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from backstop.deployment.role_accounts import ACCOUNTS, get_account
from backstop.errors import BackstopError
from backstop.hosts.anvil import AnvilProcess
from backstop.hosts.free_ports import find_free_non_ephemeral_port
from backstop.hosts.hardhat import HardhatProcess
from backstop.hosts.host_interface import CALL_GAS
from backstop.live.node.chain_driver import ChainDriver
from backstop.live.node.live_host import LiveHost
from backstop.live.node.rpc_node import Node
from backstop.live.node.signers import Signers
from backstop.live.operate.resumable_deployment import deploy_live
from backstop.simulation.scenario import load_scenario
from tests.support.condition_wait import wait_until_true
from tests.support.devnet_process import SMALL
from tests.support.hardhat_projects import PROJECTS, build_stock_project, require_hardhat_project

BRIEF = "tests/backstop/live/hardhat/test_chain_driver.py::test_time_stands_still_until_it_is_set[anvil]"

NEW = "0x" + "71" * 20
"""An account without coins and without a known key."""

REPEATING = [
    "anvil",
    *(pytest.param(each, marks=[pytest.mark.deep(brief=BRIEF), pytest.mark.hardhat]) for each in PROJECTS),
]
on_stock_hardhat = pytest.mark.parametrize("version", PROJECTS)


@pytest.fixture
def started() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def start_node(started: ExitStack) -> Callable[[str], Node]:
    """Yield a function that starts an Anvil without options, or a Hardhat as devnet starts it."""

    def start(kind: str) -> Node:
        port = find_free_non_ephemeral_port()
        process = (
            AnvilProcess("--port", str(port), throw_away=False)
            if kind == "anvil"
            else HardhatProcess(require_hardhat_project(kind), port, throw_away=False)
        )
        started.callback(process.stop_process)
        process.connect_client(f"http://127.0.0.1:{port}").close()
        return Node(f"http://127.0.0.1:{port}")

    return start


@pytest.fixture
def start_stock_hardhat(started: ExitStack, tmp_path: Path) -> Callable[[str], Node]:
    """Starts a Hardhat with an empty configuration."""

    def start(version: str) -> Node:
        port = find_free_non_ephemeral_port()
        program = build_stock_project(version, tmp_path / "project") / "node_modules" / ".bin" / "hardhat"
        process = subprocess.Popen(
            ["node", str(program), "node", "--hostname", "127.0.0.1", "--port", str(port)],
            cwd=tmp_path / "project",
            env=os.environ | {"PATH": f"{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}"},
            stdout=subprocess.DEVNULL,
        )
        started.callback(process.wait)
        started.callback(process.terminate)
        node = Node(f"http://127.0.0.1:{port}")
        wait_until_true(lambda: has_head(node), seconds=30)
        return node

    return start


def has_head(node: Node) -> bool:
    try:
        return node.get_head().number >= 0
    except BackstopError:
        return False


def send_as_anybody(driver: ChainDriver) -> int:
    """Send from an account without a key, at the time that was set; return the time of the block."""
    driver.hold_time()
    driver.play_sender(NEW)
    sent = driver.node.request("eth_sendTransaction", {"from": NEW, "to": NEW})
    receipt = LiveHost(driver.node, Signers(test_accounts=False)).wait_for_receipt(sent)
    assert receipt["status"] == "0x1"
    return int(driver.node.request("eth_getBlockByNumber", receipt["blockNumber"], False)["timestamp"], 16)


@pytest.mark.anvil
@pytest.mark.parametrize("kind", REPEATING)
def test_time_stands_still_until_it_is_set(start_node: Callable[[str], Node], kind: str) -> None:
    driver = ChainDriver(start_node(kind))
    with driver.play_any_sender():
        start = driver.node.get_head().timestamp
        driver.mine_blocks_until_time(start + 1_000)
        assert [send_as_anybody(driver) for _ in range(5)] == [start + 1_000] * 5 == [driver.frozen_at] * 5
        before = driver.node.get_head().number
        driver.mine_blocks_until_time(start + 2_000, blocks=10)
        assert driver.node.get_head().number == before + 10
        assert send_as_anybody(driver) == start + 2_000
    # Afterwards time passes by itself, and nobody is played.
    assert driver.frozen_at is None
    with pytest.raises(BackstopError):
        driver.node.request("eth_sendTransaction", {"from": NEW, "to": NEW})


@pytest.mark.deep(brief=BRIEF)
@pytest.mark.hardhat
@pytest.mark.parametrize("version", PROJECTS)
def test_a_later_block_of_somebody_else_counts(start_node: Callable[[str], Node], version: str) -> None:
    """A keeper's transaction may be later than the set time: the transactions after it then have its time."""
    driver = ChainDriver(start_node(version))
    with driver.play_any_sender():
        start = driver.node.get_head().timestamp
        driver.mine_blocks_until_time(start + 1_000)
        driver.node.request("evm_setNextBlockTimestamp", start + 1_007)
        driver.node.request("evm_mine")
        assert send_as_anybody(driver) == start + 1_007 == driver.frozen_at
        driver.mine_blocks_until_time(start + 500)
        assert driver.node.get_head().timestamp == start + 1_007


@pytest.mark.deep(brief=BRIEF)
@pytest.mark.hardhat
@on_stock_hardhat
def test_where_no_two_blocks_have_one_time_it_passes(
    start_stock_hardhat: Callable[[str], Node], version: str
) -> None:
    driver = ChainDriver(start_stock_hardhat(version))
    assert not driver.can_repeat_time()
    with driver.play_any_sender():
        start = driver.node.get_head().timestamp
        driver.mine_blocks_until_time(start + 1_000)
        assert driver.node.get_head().timestamp == start + 1_000 and driver.frozen_at is None
        times = [send_as_anybody(driver) for _ in range(5)]
        assert all(sooner < later < sooner + 10 for sooner, later in pairwise([start + 1_000, *times]))
        driver.mine_blocks_until_time(start + 1_001)  # it has passed
        assert times[-1] < driver.node.get_head().timestamp < times[-1] + 10


@pytest.mark.anvil
@pytest.mark.parametrize("kind", REPEATING)
def test_roles_that_have_no_coins_get_some(start_node: Callable[[str], Node], kind: str) -> None:
    """A plain Anvil funds 10 accounts and Hardhat 20, of more that roles have."""
    node = start_node(kind)
    driver, funded = ChainDriver(node), 10 if kind == "anvil" else 20
    before = node.get_balance(get_account("admin"))
    assert driver.fund_empty_accounts(ACCOUNTS.values()) == len(ACCOUNTS) - funded
    assert all(node.get_balance(each) for each in ACCOUNTS.values())
    assert driver.fund_empty_accounts(ACCOUNTS.values()) == 0
    assert node.get_balance(get_account("admin")) == before


@pytest.mark.deep(brief=BRIEF)
@pytest.mark.hardhat
@on_stock_hardhat
def test_a_deployment_has_the_gas_that_it_needs(
    start_stock_hardhat: Callable[[str], Node], version: str, tmp_path: Path
) -> None:
    """Hardhat 2 looks for it among what a block has, and refuses that as more than a transaction may have."""
    node = start_stock_hardhat(version)
    parameters = load_scenario(SMALL).parameters
    deploy_live(node, parameters, tmp_path / "deployment.json", Signers(test_accounts=True))
    mined = node.get_blocks_with_receipts(1, node.get_head().number)
    calls = [
        (sent, receipt)
        for block, receipts in mined
        for sent, receipt in zip(block["transactions"], receipts, strict=True)
    ]
    assert len(calls) > 50 and all(receipt["status"] == "0x1" for _, receipt in calls)
    used = [int(receipt["gasUsed"], 16) for _, receipt in calls]
    limits = [int(sent["gas"], 16) for sent, _ in calls]
    # One call has to be given more than it uses: it keeps some for the stage that it asks.
    assert all(limit > gas for gas, limit in zip(used, limits, strict=True))
    assert max(limits) < CALL_GAS // 2 and sum(limits) < 1.5 * sum(used)
