"""Another risk policy in the deployment's place: each follower follows it, or says that it cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backstop.deployment.planned_contracts import Deployment
from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.hosts.artifacts import Artifacts
from backstop.live.index import IndexFollower
from backstop.live.mirror.chain_mirror import open_mirror
from backstop.live.mirror.scenario_export import export_scenario
from backstop.live.node.signers import Signers
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.live_roles import build_keepers
from backstop.live.operate.live_system import LiveSystem, market_view
from backstop.live.operate.resumable_deployment import deploy_live, load_parameters
from backstop.live.solvency.proven_statement import build_proven_statement, recompute_audit_from_proofs
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAD, RAY, WAD
from backstop.model.interfaces import CallTerms
from tests.support.condition_wait import wait_until_true
from tests.support.devnet_process import Devnet
from tests.support.vault_auctions_after_price_drop import apply_successful_call

WETH = 0
HIGH_ADD_ON = 3_000
"""Basis points: a vault at 175% is unsafe by it, with a ratio of 150%."""


def post(system: LiveSystem, dollars: int) -> None:
    for _ in range(2):
        system.advance(3_600)
        for i in range(3):
            apply_successful_call(
                system, "PriceFeed", "report", WETH, dollars * RAY, sender=f"reporter_{i + 1}"
            )
        apply_successful_call(system, "PriceFeed", "poke", WETH, sender="poker")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Devnet, Deployment]]:
    """A guarded deployment with one vault at 200%."""
    devnet, signers = Devnet(), Signers(test_accounts=True)
    file = tmp_path_factory.mktemp("guarded") / "deployment.json"
    deployment = deploy_live(devnet.node, load_parameters("guarded"), file, signers)
    system = LiveSystem(devnet.node, deployment, signers, impersonate=True)
    post(system, 2_000)
    who = get_account("borrower")
    apply_successful_call(system, "WETH", "mint", who, 100 * WAD, sender="borrower")
    apply_successful_call(
        system, "WETH", "approve", system.addresses["VaultEngine"], MAX_UINT256, sender="borrower"
    )
    opening = WETH, who, 100 * WAD, 100_000 * WAD, who
    apply_successful_call(system, "VaultEngine", "deposit_and_draw", *opening, sender="borrower")
    yield devnet, deployment
    devnet.process.stop_process()


@pytest.fixture
def guarded(opened: tuple[Devnet, Deployment]) -> Iterator[LiveSystem]:
    """Yield the system that drives that chain; each test's blocks are reverted."""
    devnet, deployment = opened
    kept = devnet.node.request("evm_snapshot")
    yield LiveSystem(devnet.node, deployment, Signers(test_accounts=True), impersonate=True)
    devnet.node.request("evm_revert", kept)


def create(system: LiveSystem, kind: str, *args: Any, more: bytes = b"") -> str:
    """Create a contract from an account without a role; return its address."""
    artifact = Artifacts()[kind]
    data = artifact.bytecode + artifact.contract_abi.constructor.encode(args) + more
    sent = {"from": get_account("poker"), "data": "0x" + data.hex(), "gas": hex(10_000_000)}
    found = system.node.request("eth_sendTransaction", sent)
    wait_until_true(lambda: system.node.request("eth_getTransactionReceipt", found) is not None)
    receipt = system.node.request("eth_getTransactionReceipt", found)
    system.follow_chain()
    return str(receipt["contractAddress"]).lower()


def name_of(system: LiveSystem, address: str) -> str:
    return system.chain.names[address]


def replace_by_scripted(system: LiveSystem) -> str:
    """A policy without add-ons comes into force, and then switches to high ones."""
    address = create(system, "ScriptedPolicy", system.addresses["VaultEngine"])
    apply_successful_call(system, "VaultEngine", "set_risk_policy", address, sender="admin")
    calls = CallTerms(0, 60, 60)
    apply_successful_call(
        system, name_of(system, address), "set_answer", 0, HIGH_ADD_ON, BASIS_POINTS, calls, sender="poker"
    )
    return address


def replace_by_risk_policy(system: LiveSystem) -> str:
    """Let another policy of the same kind, with its brackets set before, come into force."""
    at, brackets = system.addresses, ((1, HIGH_ADD_ON), (0, 0))
    args = (at["VaultEngine"], at["PriceFeed"], at["CircuitBreaker"], get_account("poker"))
    address = create(system, "RiskPolicy", *args)
    apply_successful_call(
        system, name_of(system, address), "set_brackets", WETH, brackets, ((0, 0), (0, 0)), sender="poker"
    )
    apply_successful_call(system, "VaultEngine", "set_risk_policy", address, sender="admin")
    return address


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize("replace", [replace_by_scripted, replace_by_risk_policy])
def test_keepers_go_on_by_the_policy_in_force(
    guarded: LiveSystem, replace: Callable[[LiveSystem], str], tmp_path: Path
) -> None:
    """A liquidator sees the add-on of the new policy, and sells a vault that the old one would spare."""
    kept = tmp_path / "vaults.db"
    said: list[str] = []
    signers = Signers(test_accounts=True)

    def keeper() -> KeeperLoop:
        system = LiveSystem(guarded.node, guarded.deployment, signers, snapshot=kept)
        return KeeperLoop(system, build_keepers(system.deployment, ["liquidator"]), said.append)

    first = keeper()
    post(guarded, 1_750)
    assert first.run_round() == 0
    replace(guarded)
    first.system.follow_chain()
    assert (
        market_view(first.system.mirror, guarded.timestamp).compute_margin_add_on(WETH, 100_000 * RAD)
        >= 10**8 * RAD
    )
    first.close()

    second = keeper()  # which goes on from what the first has followed
    assert second.run_round() == 1, said
    wait_until_true(lambda: second.run_round() == 0 and second.pending_transaction_count == 0)
    second.close()
    assert second.tally.failed_transaction_count == 0
    for system in (first.system, second.system, guarded):
        system.follow_chain()
        assert system.mirror.differences == []
    guarded.mirror.compare_all_known_slots()
    assert guarded.mirror.differences == []
    assert guarded.view("CollateralAuction", "last_id") == 1


def test_an_audit_proves_the_policy_in_force(guarded: LiveSystem) -> None:
    address = replace_by_scripted(guarded)
    mirror = open_mirror(guarded.node, guarded.deployment)
    mirror.replay_to_block(None)
    mirror.raise_differences()
    content = build_proven_statement(mirror)
    batch, policy = content["later"]
    assert batch[0] == "LiquidationBatch"
    assert policy == ["ScriptedPolicy", address, [guarded.addresses["VaultEngine"]]]
    verdict = recompute_audit_from_proofs(content, mirror.hash, mirror.chain.artifacts)
    assert verdict.contracts == len(guarded.deployment.creations) + 2
    content["later"][1][2] = [get_account("poker")]
    with pytest.raises(BackstopError, match=f"ScriptedPolicy {address} at {address} has other code"):
        recompute_audit_from_proofs(content, mirror.hash, mirror.chain.artifacts)


def test_an_index_asks_the_policy_in_force(guarded: LiveSystem, tmp_path: Path) -> None:
    follower = IndexFollower(guarded.node, guarded.deployment)
    replace_by_risk_policy(guarded)
    follower.sync_to_head()
    assert follower.get_pricing_conditions(WETH).policy.add_on(100_000 * RAD) > 0
    address = replace_by_scripted(guarded)
    follower.sync_to_head()
    with pytest.raises(BackstopError, match=f"{address} now, which does not say its brackets"):
        follower.get_pricing_conditions(WETH)
    with pytest.raises(BackstopError, match=f"{address} now: a scenario has only the one"):
        export_scenario(guarded.mirror, tmp_path / "out", 3_600, 60)


@pytest.mark.deep(
    brief="tests/backstop/live/operate/test_replaced_policy.py::test_an_audit_proves_the_policy_in_force"
)
def test_a_policy_of_nobodys_is_told_in_one_line(guarded: LiveSystem) -> None:
    """Its answers have the right form, but its data has more than the sources': it could be anything."""
    other = LiveSystem(guarded.node, guarded.deployment, Signers(test_accounts=True))
    address = create(guarded, "ScriptedPolicy", guarded.addresses["VaultEngine"], more=bytes(32))
    call = guarded.chain.get_function("VaultEngine", "set_risk_policy", 1).encode_call((address,))
    guarded.host.send_transaction_without_waiting(
        get_account("admin"), guarded.addresses["VaultEngine"], call
    )
    line = f"the risk policy is {address}: this program can only follow a RiskPolicy or ScriptedPolicy"

    def follows() -> bool:
        other.follow_chain()
        return False

    with pytest.raises(BackstopError, match=line):
        wait_until_true(follows)
