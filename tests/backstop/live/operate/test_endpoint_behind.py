"""An endpoint with several backends, of which one is a block behind: looked at again, not given up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from backstop.cli.keeper import cli as keeper
from backstop.cli.mirror import cli as mirror
from backstop.deployment.planned_contracts import Deployment
from backstop.live.chaos.byzantine_proxy import FAULTS, ByzantineProxy
from backstop.live.chaos.lies_about_state import OF_STATE
from backstop.live.mirror.chain_mirror import open_mirror
from backstop.live.node.failover import Failover
from backstop.live.node.rpc_node import Node
from backstop.live.node.signers import Signers
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.live_roles import build_keepers
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.mirror_loop import MirrorLoop
from tests.support.devnet_process import Devnet

BEHIND = next(each for each in OF_STATE if each.name == "a block behind")


@pytest.fixture
def balanced(devnet: Devnet) -> Iterator[ByzantineProxy]:
    proxy = ByzantineProxy(devnet.port)
    proxy.set_fault(BEHIND)
    yield proxy
    proxy.close()


def test_a_keeper_without_patience_goes_on(
    devnet: Devnet, balanced: ByzantineProxy, deployment: Deployment, said: list[str]
) -> None:
    system = LiveSystem(Node(balanced.url), deployment, Signers(test_accounts=True))
    loop = KeeperLoop(system, build_keepers(deployment, ["accruer"]), said.append)
    devnet.node.request("anvil_setTime", devnet.node.get_head().timestamp + 10_000)
    devnet.node.request("evm_mine")
    loop.run(interval=0.01, patience=0, stop=lambda: loop.tally.mined_transaction_count == 3)
    assert loop.tally.mined_transaction_count == 3 and not any("waiting up to" in line for line in said)


@pytest.mark.parametrize("command", ["keeper", "mirror"])
def test_a_single_look_comes_to_its_end(
    devnet: Devnet, balanced: ByzantineProxy, deployment: Deployment, tmp_path: Path, command: str
) -> None:
    program, more = {
        "keeper": (keeper, ["--roles", "accruer", "--journal", str(tmp_path / "runs")]),
        "mirror": (mirror, []),
    }[command]
    flags = ["--network", balanced.url, "--deployment", str(tmp_path / "deployment.json"), "--once", *more]
    for _ in range(3):
        devnet.node.request("evm_mine")
        result = CliRunner(mix_stderr=False).invoke(program, flags)
        assert result.exit_code == 0, result.stderr


def test_a_mirror_leaves_a_node_that_tells_of_a_block_that_nobody_has(
    devnet: Devnet, deployment: Deployment, said: list[str]
) -> None:
    """It waited for that node, up to its patience, beside an honest one."""
    proxy = ByzantineProxy(devnet.port)
    node = Node("", client=Failover([proxy.url, devnet.url], 2.0, said.append))
    loop = MirrorLoop(open_mirror(node, deployment), said.append, said.append)
    proxy.set_fault(next(each for each in FAULTS if each.name == "head ahead"))
    devnet.node.request("evm_mine")
    head = devnet.node.get_head().number
    try:
        loop.run(interval=0.01, patience=10, stop=lambda: loop.mirror.block == head)
    finally:
        proxy.close()
    assert loop.mirror.block == head
    assert any(line.startswith(f"left the node at {proxy.url} ") for line in said)
