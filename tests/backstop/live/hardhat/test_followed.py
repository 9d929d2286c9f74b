"""Mirror, audit and keepers on a Hardhat, while other clients use functions that only a test node has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backstop.deployment.planned_contracts import Deployment
from backstop.deployment.role_accounts import ACCOUNTS, get_account
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.free_ports import find_free_non_ephemeral_port
from backstop.hosts.hardhat import HardhatProcess
from backstop.live.mirror.chain_mirror import Mirror, open_mirror
from backstop.live.node.live_host import LiveHost
from backstop.live.node.rpc_node import Node
from backstop.live.node.signers import Signers
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.live_roles import build_keepers
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.resumable_deployment import deploy_live
from backstop.live.solvency.proven_statement import build_proven_statement
from backstop.model.arithmetic import WAD
from backstop.simulation.scenario import load_scenario
from backstop.system import Action
from tests.support.devnet_process import SMALL
from tests.support.hardhat_projects import PROJECTS, require_hardhat_project

pytestmark = [
    pytest.mark.deep(brief="tests/backstop/live/hardhat/test_unsigned_calls.py"),
    pytest.mark.hardhat,
    pytest.mark.parametrize("version", PROJECTS),
]

NOBODY = "0x" + "77" * 20
"""An account without a known key."""

Deployed = tuple[Node, Deployment]


@pytest.fixture
def deployed(version: str, tmp_path: Path) -> Iterator[Deployed]:
    """A Hardhat with the small crash's deployment, started as `devnet --hardhat` does."""
    port = find_free_non_ephemeral_port()
    process = HardhatProcess(require_hardhat_project(version), port, accounts=len(ACCOUNTS), throw_away=False)
    try:
        process.connect_client(f"http://127.0.0.1:{port}").close()
        node = Node(f"http://127.0.0.1:{port}")
        parameters = load_scenario(SMALL).parameters
        yield node, deploy_live(node, parameters, tmp_path / "d.json", Signers(test_accounts=True))
    finally:
        process.stop_process()


def send_call(node: Node, sender: str, to: str | None, data: bytes) -> str | None:
    """Send through the node, for an account that it knows or impersonates; return the created contract."""
    call = {"from": sender, "data": f"0x{data.hex()}", "gas": hex(10**6)} | ({"to": to} if to else {})
    sent = node.request("eth_sendTransaction", call)
    receipt = LiveHost(node, Signers(test_accounts=False)).wait_for_receipt(sent)
    assert receipt["status"] == "0x1"
    return receipt["contractAddress"] and str(receipt["contractAddress"])


def encode_mint(receiver: str, amount: int) -> bytes:
    methods = Artifacts()["Token"].contract_abi.by_selector.values()
    (mint,) = (each for each in methods if each.name == "mint")
    return mint.encode_call((receiver, amount))


def build_forwarder(to: str, data: bytes) -> bytes:
    """Return the creation code of a contract that makes one fixed call for any caller."""
    call = bytes.fromhex(f"6000600060{len(data):02x}6000600073{to[2:]}5af100")
    head = bytes.fromhex(f"60{len(data):02x}60{9 + len(call) - 2:02x}600039")
    runtime = head + call + data
    assert head[3] == len(head) + len(call)
    return bytes.fromhex(f"60{len(runtime):02x}600c60003960{len(runtime):02x}6000f3") + runtime


def test_a_call_of_somebody_who_signs_nothing_is_followed(deployed: Deployed) -> None:
    """Such a call once stopped keepers and mirrors: its block's hash did not fit the returned fields."""
    node, deployment = deployed
    node.request("hardhat_impersonateAccount", NOBODY)
    node.request("hardhat_setBalance", NOBODY, hex(10**20))
    send_call(node, NOBODY, deployment.addresses["ETH"], encode_mint(NOBODY, 3 * WAD))
    system = LiveSystem(node, deployment, Signers(test_accounts=True))
    assert system.mirror.seen[-1].action.sender == NOBODY and system.mirror.differences == []
    assert system.view("ETH", "balanceOf", NOBODY) == 3 * WAD
    assert system.apply(Action("ETH", "mint", (get_account("saver"), WAD), get_account("saver"))).ok
    said: list[str] = []
    loop = KeeperLoop(system, build_keepers(deployment, ["liquidator", "crank"]), said.append)
    loop.run(interval=0.01, patience=1, once=True)
    assert not any("is not believed" in line for line in said)
    mirror = open_mirror(node, deployment)
    mirror.replay_to_block(None)
    assert mirror.differences == [] and mirror.refuted_node_claims == []
    assert build_proven_statement(mirror)


def test_a_call_through_a_contract_from_elsewhere_is_followed(deployed: Deployed, version: str) -> None:
    """Hardhat 3 traces the call; Hardhat 2 does not, and the model takes over the chain's state."""
    node, deployment = deployed
    mirror: Mirror = open_mirror(node, deployment)
    mirror.sync_to_head()
    creation = build_forwarder(deployment.addresses["ETH"], encode_mint(NOBODY, 5 * WAD))
    borrower = get_account("borrower")
    forwarder = send_call(node, borrower, None, creation)
    assert forwarder is not None
    mirror.seen.clear()
    send_call(node, borrower, forwarder, b"")
    mirror.sync_to_head()
    traced = version.startswith("3.")
    assert [each.action.method for each in mirror.seen] == ["mint"] * traced
    assert len(mirror.strangers) == (not traced)
    mirror.compare_all_known_slots()
    assert mirror.differences == []
    assert mirror.chain.view("ETH", "balanceOf", NOBODY) == 5 * WAD
    assert mirror.model.view("ETH", "totalSupply") == mirror.chain.view("ETH", "totalSupply")
