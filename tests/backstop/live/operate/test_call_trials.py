"""Many calls are tried in one exchange, each behind those before it; a doubtful call is tried alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest

from backstop.deployment.role_accounts import get_account
from backstop.hosts.rpc_client import RpcError
from backstop.hosts.rpc_response_schema import check_result
from backstop.live.node.rpc_node import Node
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.live_roles import build_keepers
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.resumable_deployment import load_parameters
from backstop.live.operate.spending_limits import LimitEnforcer, SpendingLimits
from backstop.model.arithmetic import WAD
from tests.support.devnet_process import Devnet
from tests.support.unsafe_vaults_devnet import Sent, UnsafeVaultsDevnet

DEBTS = [8_000, 12_000, 9_000, 11_000, 7_000, 10_000]
DEPTH, CAPITAL = 3_000_000, 100_000


@pytest.fixture(scope="module")
def selling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UnsafeVaultsDevnet]:
    """Six lots under the market's price, and a bidder with money for all of them."""
    devnet = Devnet("--base-fee", "0")
    found = UnsafeVaultsDevnet(devnet, tmp_path_factory.mktemp("selling"), load_parameters("black-thursday"))
    found.open_vaults(DEBTS, DEPTH, CAPITAL)
    found.drop_price(DEPTH)
    system = found.open_live_system()
    KeeperLoop(system, build_keepers(found.deployment, ["liquidator"]), lambda line: None).run_round()
    found.mine_block()
    # The bidder allows the auction to take its money.
    KeeperLoop(system, build_keepers(found.deployment, ["bidder"]), lambda line: None).run_round()
    found.mine_block(seconds=1_800)
    yield found
    devnet.process.stop_process()


@pytest.fixture
def town(selling: UnsafeVaultsDevnet) -> Iterator[UnsafeVaultsDevnet]:
    before, time = selling.node.request("evm_snapshot"), selling.time
    yield selling
    selling.node.request("anvil_dropAllTransactions")
    selling.node.request("evm_revert", before)
    selling.time = time


@contextmanager
def count_trials(refused: bool = False) -> Iterator[Counter[str]]:
    """Counts what a node is asked, and calls that are tried alone; the node may know no trial of many."""
    asked: Counter[str] = Counter()
    request, alone = Node.request, LiveSystem.dry_run_with_gas

    def count_request(self: Node, method: str, *params: Any) -> Any:
        asked[method] += 1
        if refused and method == "eth_simulateV1":
            raise RpcError(method, {"code": -32601, "message": "the method does not exist"})
        return request(self, method, *params)

    def count_alone(self: LiveSystem, action: Any) -> Any:
        asked["alone"] += 1
        return alone(self, action)

    with (
        patch.object(Node, "request", count_request),
        patch.object(LiveSystem, "dry_run_with_gas", count_alone),
    ):
        yield asked


def open_bidder(town: UnsafeVaultsDevnet, said: list[str], **options: Any) -> KeeperLoop:
    return KeeperLoop(
        town.open_live_system(), build_keepers(town.deployment, ["bidder"]), said.append, **options
    )


@pytest.mark.parametrize("refused", [False, True])
def test_many_are_tried_in_one_exchange_if_the_node_can(town: UnsafeVaultsDevnet, refused: bool) -> None:
    loop = open_bidder(town, [])
    with count_trials(refused) as asked:
        assert loop.run_round() == 6
    assert asked["eth_simulateV1"] == 1 and asked["alone"] == (6 if refused else 0)
    gas = [entry.needs for entry in loop.boxes[get_account("bidder")].waiting]
    block = town.mine_block()
    loop.run_round()
    assert loop.tally.counts["bidder", "done"] == 6
    # An estimate has the gas that is given back as well.
    assert abs(sum(gas) - int(block["gasUsed"], 16)) <= sum(gas) // 5


def test_what_is_behind_a_call_that_is_not_sent_is_tried_alone(town: UnsafeVaultsDevnet) -> None:
    said: list[str] = []
    keepers = build_keepers(town.deployment, ["bidder"])
    limits = {"bidder": SpendingLimits(risk_hour=25_000 * WAD)}
    loop = open_bidder(town, said, brakes=LimitEnforcer(keepers, limits))
    with count_trials() as asked:
        sent = loop.run_round()
    assert sent == 2 and asked["eth_simulateV1"] == 1
    assert asked["alone"] == 4  # the second is stopped, of those behind it a smaller one is not


def test_what_fails_in_a_trial_of_many_is_tried_alone_and_says_why(town: UnsafeVaultsDevnet) -> None:
    """Its view is older than the chain: a rival has bought one of the lots meanwhile."""
    said: list[str] = []
    loop = open_bidder(town, said)
    system = loop.system
    rival, auction = town.owners[1], town.deployment.addresses["CollateralAuction"]
    town.mine_block(
        [
            Sent(rival, "Stablecoin.approve", (auction, 10**9 * WAD)),
            Sent(rival, "CollateralAuction.take", (3, 10**9 * WAD, 10**40, rival, b"")),
        ]
    )
    # The trial is on top of the newest block.
    with patch.object(system, "follow_chain"), count_trials() as asked:
        number = system.mirror.block
        system.mirror.block = number + 1
        assert loop.run_round() == 5
        system.mirror.block = number
    assert asked["alone"] == 1
    assert [line for line in said if line.startswith("bidder") and "would revert" in line] == [
        "bidder: CollateralAuction.take(3) would revert: collateral_auction: no auction"
    ]


def test_a_trial_of_other_calls_than_were_asked_for_is_no_answer() -> None:
    asked = [{"blockStateCalls": [{"calls": [{}, {}]}]}, "0x1"]
    result = {"status": "0x1", "gasUsed": "0x5208", "returnData": "0x"}
    check_result("eth_simulateV1", asked, [{"calls": [result, result]}])
    for wrong in ([{"calls": [result]}], [], None, [{"calls": [result, {**result, "gasUsed": "many"}]}]):
        with pytest.raises(ValueError):
            check_result("eth_simulateV1", asked, wrong)
