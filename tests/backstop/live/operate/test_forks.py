"""A node with a consistent chain of its own moves no money if another node has another chain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backstop.deployment.deployment_file import read_deployment
from backstop.deployment.planned_contracts import Deployment
from backstop.deployment.role_accounts import get_account
from backstop.live.chaos.byzantine_proxy import ByzantineProxy
from backstop.live.node.failover import Failover
from backstop.live.node.rpc_node import Node
from backstop.live.node.signers import Signers
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.live_roles import build_keepers
from backstop.live.operate.live_system import LiveSystem
from backstop.model.arithmetic import WAD
from backstop.system import Action
from tests.support.devnet_process import Devnet
from tests.support.node_faults import build_result_fault, build_silent_fault
from tests.support.vault_auctions_after_price_drop import (
    apply_successful_call,
    liquidate_borrower_and_advance_time,
)

LONGER = pytest.mark.deep(brief="tests/backstop/live/operate/test_forks.py::test_a_fork_that_is_ahead")

NewDevnet = Callable[..., Devnet]
BIDDER = get_account("bidder")
FAIR, FALSE = (5_000 * WAD, 250_000 * WAD), (5_000 * WAD, 1_500_000 * WAD)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def honest(new_devnet: NewDevnet, fallen_folder: Path) -> Devnet:
    """Start a devnet with a market that pays a third of the auction's price."""
    devnet = started(new_devnet, fallen_folder)
    offered(devnet, fallen_folder, FAIR)
    return devnet


def started(new_devnet: NewDevnet, folder: Path) -> Devnet:
    devnet = new_devnet("--load-state", str(folder / "state.json"))
    devnet.node.request("anvil_setTime", devnet.node.get_head().timestamp + 1)
    return devnet


def offered(devnet: Devnet, folder: Path, liquidity: tuple[int, int]) -> None:
    """An auction, a bidder with money, and a market with some price."""
    deployment = read_deployment(folder / "deployment.json")
    system = LiveSystem(devnet.node, deployment, Signers(test_accounts=True), impersonate=True)
    apply_successful_call(system, "Stablecoin", "transfer", BIDDER, 9_000 * WAD, sender="market_maker")
    apply_successful_call(
        system, "Stablecoin", "approve", system.addresses["CollateralAuction"], 1 << 255, sender="bidder"
    )
    liquidate_borrower_and_advance_time(system)
    apply_successful_call(system, "Market.ETH", "set_liquidity", *liquidity, sender="market_maker")


def bidding(client: Failover, folder: Path, said: list[str]) -> KeeperLoop:
    deployment = read_deployment(folder / "deployment.json")
    system = LiveSystem(Node("", client=client), deployment, Signers(test_accounts=True))
    return KeeperLoop(system, build_keepers(deployment, ["bidder"]), said.append)


def rounds(loop: KeeperLoop, count: int = 3) -> int:
    """Look so often as if time had passed."""
    sent = 0
    for _ in range(count):
        loop._looked_at, loop._asked_at, loop.system.node._looked_at = None, 0.0, 0.0
        sent += loop.run_round()
    return sent


@pytest.mark.deep(brief="tests/backstop/live/operate/test_forks.py::test_a_fork_that_is_ahead")
@pytest.mark.parametrize(
    "beside", ["fork", pytest.param("same", marks=LONGER), pytest.param("silent", marks=LONGER)]
)
def test_a_fork_of_the_same_height(
    new_devnet: NewDevnet, honest: Devnet, fallen_folder: Path, said: list[str], beside: str
) -> None:
    """Two histories from one block on: only the word of two nodes, or of a single one, is bid on."""
    liar = started(new_devnet, fallen_folder)
    offered(liar, fallen_folder, FALSE)
    assert liar.node.get_head().number == honest.node.get_head().number
    assert liar.node.get_head().hash != honest.node.get_head().hash
    proxy = ByzantineProxy(honest.port if beside != "same" else liar.port)
    loop = bidding(Failover([liar.url, proxy.url], 5.0, said.append), fallen_folder, said)
    if beside == "silent":
        proxy.close()
    assert (rounds(loop) > 0) == (beside != "fork")
    assert (("bidder", "fork") in loop.brakes.stops) == (beside == "fork")
    assert sum("no other node has the newest block" in line for line in said) == (beside == "fork")
    if beside == "fork":
        # It is not asked again and again for one block.
        proxy.asked.clear()
        for _ in range(20):
            loop.run_round()
        assert proxy.asked.count("eth_getBlockByNumber") <= 2
        # As soon as another one has it, it is bid on.
        proxy.set_fault(
            build_result_fault(
                lambda method, result: (
                    result | {"hash": loop.system.mirror.hash} if method == "eth_getBlockByNumber" else result
                )
            )
        )
        loop._asked_at = 0.0
        assert loop.run_round() == 1 and loop.brakes.stops == {}
    proxy.close()


def test_a_fork_that_is_ahead(
    new_devnet: NewDevnet, honest: Devnet, fallen_folder: Path, said: list[str]
) -> None:
    """It goes on from the honest node's newest block, and has that left for being behind."""
    liar = new_devnet("--fork-url", honest.url, "--chain-id", "31337")
    loop = bidding(Failover([honest.url, liar.url], 5.0, said.append), fallen_folder, said)
    assert rounds(loop, 1) == 0
    to, data = loop.system.encode_call(
        Action("Market.ETH", "set_liquidity", FALSE, get_account("market_maker"))
    )
    request = liar.node.request
    request("anvil_autoImpersonateAccount", True)
    request("evm_setAutomine", False)
    sent = {"from": get_account("market_maker"), "to": to, "data": "0x" + data.hex(), "gas": hex(10**6)}
    request("eth_sendTransaction", sent)
    for _ in range(5):
        request("evm_mine")
    assert rounds(loop, 4) == 0
    assert loop.system.node.url == liar.url and loop.system.mirror.block == liar.node.get_head().number
    assert ("bidder", "fork") in loop.brakes.stops


@pytest.mark.deep(cases=2)
@pytest.mark.parametrize(
    ("other", "confirmed"),
    [
        ("same", True),
        ("fork", False),
        ("behind", False),
        ("far behind", False),
        ("other chain", True),
        ("silent", True),
    ],
)
def test_who_confirms_a_block(
    devnet: Devnet, deployment: Deployment, said: list[str], other: str, confirmed: bool
) -> None:
    """One of this chain that answers has to have it; of another chain, or silent, it counts for nothing."""
    proxy, head = ByzantineProxy(devnet.port), devnet.node.get_head()
    client = Failover([devnet.url, proxy.url], 0.5, said.append)
    client.drop_nodes_of_other_chain(
        31_337, deployment.genesis, deployment.block, deployment.creations[0].address
    )

    def change(method: str, result: Any) -> Any:
        if other == "other chain" and method == "eth_chainId":
            return "0x1"
        if other == "far behind" and method == "eth_blockNumber":
            return "0x0"
        if method != "eth_getBlockByNumber" or int(result["number"], 16) < head.number or other == "same":
            return result
        return result | {"hash": "0x" + "12" * 32} if other == "fork" else None

    client.record_height(head.number)
    proxy.set_fault(build_silent_fault() if other == "silent" else build_result_fault(change))
    for _ in range(2):
        assert client.is_confirmed_by_another_node(head.number, head.hash) == confirmed
    # One that is silent is not waited for again.
    left = any(line.startswith(f"left the node at {proxy.url}") for line in said)
    assert left == (other in ("far behind", "other chain", "silent"))
    proxy.close()
