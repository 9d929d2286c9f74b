"""Many vaults unsafe at once: liquidations in batches, by the gas of a block, the most valuable first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backstop.deployment.role_accounts import get_account
from backstop.hosts.host_interface import CALL_GAS
from backstop.keepers.call_costs import get_job_gas
from backstop.keepers.keeper_group_settings import GasPolicy, KeeperGroup
from backstop.keepers.keeper_role_register import Keeper
from backstop.live.mirror.chain_mirror import open_mirror
from backstop.live.node.gas_fees import GWEI
from backstop.live.operate.block_gas import BLOCK_GAS, BlockGas
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.keeper_setup import _build_allowlist
from backstop.live.operate.liquidation_batches import (
    compute_batch_gas_limit,
    compute_most_vaults,
    list_subjects,
)
from backstop.live.operate.live_roles import build_keepers
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.resumable_deployment import load_parameters
from backstop.live.operate.transaction_journal import Entry
from backstop.model.arithmetic import WAD
from backstop.model.liquidation_batch import MAX_VAULTS
from backstop.system import Action
from tests.support.checkout_paths import ROOT
from tests.support.devnet_process import Devnet
from tests.support.unsafe_vaults_devnet import Sent, UnsafeVaultsDevnet

DEBTS = [8_000, 12_000, 9_000, 11_000, 7_000, 10_000]
DEPTH = 3_000_000
BATCH = "LiquidationBatch.liquidate_many"


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[UnsafeVaultsDevnet, list[str]]]:
    """Six unsafe vaults at the limits of the library."""
    devnet = Devnet("--base-fee", "0")
    town = UnsafeVaultsDevnet(devnet, tmp_path_factory.mktemp("town"), load_parameters("black-thursday"))
    owners = town.open_vaults(DEBTS, DEPTH)
    town.drop_price(DEPTH)
    yield town, owners
    devnet.process.stop_process()


@pytest.fixture
def town(seeded: tuple[UnsafeVaultsDevnet, list[str]]) -> Iterator[UnsafeVaultsDevnet]:
    """Return the chain with those vaults; the test's blocks are reverted afterwards."""
    found, time = seeded[0], seeded[0].time
    before = found.node.request("evm_snapshot")
    yield found
    found.node.request("anvil_dropAllTransactions")
    found.node.request("evm_revert", before)
    found.time = time


@pytest.fixture
def owners(seeded: tuple[UnsafeVaultsDevnet, list[str]]) -> list[str]:
    return seeded[1]


def open_loop(
    town: UnsafeVaultsDevnet, said: list[str], roles: tuple[str, ...] = ("liquidator",), **options: Any
) -> KeeperLoop:
    keepers = build_keepers(town.deployment, list(roles))
    return KeeperLoop(town.open_live_system(), keepers, said.append, **options)


def list_auctioned_owners(system: LiveSystem) -> list[str]:
    tables = system.mirror.model.world.contracts["CollateralAuction"].tables["owners"]
    return [each.owner for _, each in sorted(tables.items())]


def test_all_go_in_one_transaction_the_largest_debt_first(
    town: UnsafeVaultsDevnet, owners: list[str]
) -> None:
    said: list[str] = []
    loop = open_loop(town, said)
    assert loop.run_round() == 1
    assert re.match(rf"liquidator: {re.escape(BATCH)}\(6 of ETH\) sent, nonce 0", said[-1])
    # Nothing is sent twice while it waits.
    loop._looked_at = None
    assert loop.run_round() == 0 and len(said) == 1
    block = town.mine_block()
    assert loop.run_round() == 0 and loop.pending_transaction_count == 0
    ranked = [owner for _, owner in sorted(zip(DEBTS, owners, strict=True), reverse=True)]
    assert list_auctioned_owners(loop.system) == ranked
    # A transaction of each alone takes 190,000 gas.
    assert int(block["gasUsed"], 16) < 6 * 140_000
    assert f"{BATCH}(6 of ETH) done in block" in said[-1]
    assert loop.system.mirror.differences == []
    loop.system.compare_state()
    # Who follows from the beginning, and who has it from a file, sees six liquidations.
    mirror = open_mirror(town.node, town.deployment)
    mirror.sync_to_head()
    calls = [each for each in mirror.seen if each.action.method == "liquidate"]
    assert [each.action.args[1] for each in calls] == ranked
    assert {each.action.sender for each in calls} == {get_account("liquidator")}
    assert sum(each.gas for each in calls) == int(block["gasUsed"], 16)
    again = open_mirror(town.node, town.deployment)
    assert again.restore_state(mirror.export_state())
    assert again.liquidation_batch == mirror.liquidation_batch is not None
    again.compare_all_known_slots()
    assert again.differences == []


def test_one_that_is_liquidated_before_takes_nothing_from_the_others(
    town: UnsafeVaultsDevnet, owners: list[str]
) -> None:
    """A rival's transaction is mined before the batch, in its block."""
    said: list[str] = []
    loop = open_loop(town, said)
    loop.run_round()
    engine = town.deployment.addresses["LiquidationEngine"]
    abi = town.artifacts["LiquidationEngine"].contract_abi
    rival = get_account("stranger")
    data = abi.get_function("liquidate", 3).encode_call((0, owners[3], rival))
    town.node.request("anvil_setBalance", rival, hex(WAD))
    call = {"from": rival, "to": engine, "data": "0x" + data.hex(), "gas": hex(500_000)}
    # It pays more, so that it is mined first.
    town.node.request("eth_sendTransaction", call | {"gasPrice": hex(100 * GWEI)})
    town.mine_block()
    loop.run_round()
    found = list_auctioned_owners(loop.system)
    assert found[0] == owners[3] and sorted(found) == sorted(owners)
    assert any(f"{BATCH}(6 of ETH) done" in line for line in said)
    assert loop.system.mirror.differences == []
    loop.system.compare_state()


def test_a_block_is_planned_by_its_gas(town: UnsafeVaultsDevnet, owners: list[str]) -> None:
    said: list[str] = []
    limit = compute_batch_gas_limit(2) + 1
    loop = open_loop(town, said, gas_per_block=limit)
    sent = loop.run_round()
    (box,) = loop.boxes.values()
    assert f"{BATCH}(2 of ETH) sent" in said[0]
    assert sum(entry.needs for entry in box.waiting) <= limit
    assert re.fullmatch(
        rf"liquidator: \d calls wait for the next block: [\d,]+ gas of {limit:,} a block "
        r"\(gas_per_block, or the chain's own\) is under way",
        said[-1],
    )
    loop._looked_at = None
    assert loop.run_round() == 0  # what waits has its part of the block
    for _ in range(3):
        assert int(town.mine_block()["gasUsed"], 16) <= limit
        sent += loop.run_round()
    assert sorted(list_auctioned_owners(loop.system)) == sorted(owners) and sent < 6
    assert sum("wait for the next block" in line for line in said) == 1


def test_calls_of_a_block_may_be_limited(town: UnsafeVaultsDevnet) -> None:
    keepers = build_keepers(town.deployment, ["liquidator"], options={"liquidator": {"most": 4}})
    said: list[str] = []
    loop = KeeperLoop(town.open_live_system(), keepers, said.append)
    assert loop.run_round() == 1 and f"{BATCH}(4 of ETH) sent" in said[-1]
    for _ in range(3):  # of the same block: a call is one of its four, whenever it is decided
        loop._looked_at = None
        assert loop.run_round() == 0
    town.mine_block()
    assert loop.run_round() == 1
    assert f"{BATCH}(2 of ETH) sent" in said[-1]


def test_with_coins_for_no_batch_the_largest_goes_alone(town: UnsafeVaultsDevnet, owners: list[str]) -> None:
    said: list[str] = []
    loop = open_loop(town, said)
    me, fees = get_account("liquidator"), town.node.offer_fees()
    town.node.request("anvil_setBalance", me, hex(600_000 * fees.most))
    town.node.request("evm_mine")
    assert loop.run_round() == 0
    assert said[-1].startswith(f"liquidator: {BATCH}(6 of ETH) was not taken: {me} cannot pay for gas")
    loop._looked_at = None
    assert loop.run_round() >= 1
    first = loop.boxes[me].waiting[0]
    assert first.about == ("liquidate", (0, owners[DEBTS.index(max(DEBTS))]))
    # One refusal is enough for a look: the others would be refused as well.
    assert sum("was not taken" in line for line in said) <= 2


def test_a_limit_of_auctions_is_the_reason_that_is_told(town: UnsafeVaultsDevnet) -> None:
    town.mine_block([Sent(town.deployment.deployer, "VaultEngine.set_auction_limit", (0, 25_000))])
    said: list[str] = []
    loop = open_loop(town, said)
    assert loop.run_round() == 1
    # The limits are passed by one floor at most: 12,000 and 11,000 fit, of the next a part under the floor.
    assert re.fullmatch(
        r"liquidator: auction_limit leaves no room for 4 unsafe vaults of ETH that owe 34,00\d: 0 of its "
        r"25,000 stablecoins are under auction, larger vaults get the rest",
        said[0],
    )
    town.mine_block()
    loop.run_round()
    assert len(said) == 3  # told once, while it lasts
    town.mine_block([Sent(town.deployment.deployer, "VaultEngine.set_auction_limit", (0, 250_000))])
    assert loop.run_round() == 1 and f"{BATCH}(4 of ETH) sent" in said[-1]


def test_without_a_batch_contract_each_goes_alone(town: UnsafeVaultsDevnet) -> None:
    said: list[str] = []
    loop = open_loop(town, said)
    loop.system.mirror.later = []
    assert loop.run_round() == 6
    assert all("LiquidationEngine.liquidate(0, 0xabcdef00) sent" in line for line in said)


def test_an_account_that_may_sign_no_batch_goes_on_with_single_calls(town: UnsafeVaultsDevnet) -> None:
    said: list[str] = []
    loop = open_loop(town, said)
    system = loop.system
    may_sign = {"liquidator": ["LiquidationEngine.liquidate"]}
    system.host.signers.allowed = _build_allowlist(may_sign, loop.keepers, system)
    assert loop.run_round() == 0
    assert "was not taken: the allow-list of" in said[-1]
    loop._looked_at = None
    assert loop.run_round() == 6


def test_an_account_may_sign_batches_if_they_are_named(town: UnsafeVaultsDevnet) -> None:
    loop = open_loop(town, [])
    may_sign = {"liquidator": [BATCH]}
    loop.system.host.signers.allowed = _build_allowlist(may_sign, loop.keepers, loop.system)
    assert loop.run_round() == 1


def test_any_account_may_sign_a_batch_that_pays_itself(town: UnsafeVaultsDevnet, owners: list[str]) -> None:
    loop = open_loop(town, [])
    system, me = loop.system, get_account("liquidator")
    allowed = _build_allowlist({}, loop.keepers, system)
    batch = system.mirror.liquidation_batch
    assert batch is not None
    for receiver, problem in (
        (me, None),
        (owners[0], f"the reward_receiver of liquidate_many is {owners[0]}"),
    ):
        action = Action(batch.name, "liquidate_many", (0, tuple(owners), receiver, 400_000, 1), me)
        to, data = system.encode_call(action)
        call = {"to": to, "data": "0x" + data.hex(), "chainId": 31_337, "value": 0}
        assert allowed._find_problem(me, call) == problem
    # Whether a batch that waits is of use still is seen on the model: as long as it would start anything.
    now = system.timestamp
    assert system.can_succeed_on_model(me, to, data, now)
    assert (
        system.can_succeed_on_model(
            me, *system.encode_call(action._replace(args=(0, (me,), me, 400_000, 1))), now
        )
        is False
    )


def test_a_batch_keeps_to_a_transactions_gas() -> None:
    most = compute_most_vaults(BLOCK_GAS)
    assert most <= MAX_VAULTS
    page = (ROOT / "docs/reference/keeper-transactions.md").read_text()
    assert f"a batch: {most} liquidations" in page
    for job in ("batch: liquidate", "batch: liquidate, each vault", "liquidate", "liquidate with guards"):
        assert f"{get_job_gas(job):,}" in page.partition("\n## Batches\n")[2]
    assert compute_batch_gas_limit(most) < CALL_GAS <= compute_batch_gas_limit(most + 1)
    few = compute_most_vaults(2_000_000)
    assert compute_batch_gas_limit(few) <= 2_000_000 < compute_batch_gas_limit(few + 1)
    assert compute_most_vaults(0) == 0


def test_gas_under_way_is_no_longer_free() -> None:
    keeper = Keeper("taker", "0x1", KeeperGroup("taker", "flash_taker", 1, GasPolicy(), most=3), 0)
    gas = BlockGas(1_000)

    def waits(needs: int) -> Entry:
        return Entry(0, "taker", "", (), "", "", needs * 2, needs=needs)

    gas.begin_look("a", 800, [waits(500)])
    assert gas.left == 300
    assert gas.is_call_within_block(keeper, 300) and not gas.is_call_within_block(keeper, 301)
    gas.record_sent(keeper, 300, 1)
    assert gas.left == 0 and gas.get_calls_left(keeper) == 2
    assert gas.describe_waiting_calls(keeper).startswith(
        "taker: 1 calls wait for the next block: 800 gas of 800"
    )
    gas.begin_look("a", 800, [])
    assert gas.get_calls_left(keeper) == 2 and not gas.waiting
    gas.begin_look("b", None, [])
    assert gas.get_calls_left(keeper) == 3 and gas.left == 1_000
    # One that needs more than a block goes when it is alone: the chain says whether it fits.
    assert gas.is_call_within_block(keeper, 5_000)


def test_what_a_transaction_is_about_survives_the_journal(town: UnsafeVaultsDevnet, tmp_path: Path) -> None:
    """A keeper that is killed while a batch waits sends none of it again."""
    said: list[str] = []
    first = open_loop(town, said, journal=tmp_path)
    first.run_round()
    (entry,) = first.boxes[get_account("liquidator")].waiting
    assert len(list_subjects(entry.about)) == 6
    first.boxes[get_account("liquidator")].journal.close()
    second = open_loop(town, said, journal=tmp_path)
    assert second.run_round() == 0 and second.pending_transaction_count == 1
    town.mine_block()
    second.run_round()
    assert second.pending_transaction_count == 0 and len(list_auctioned_owners(second.system)) == 6
    second.close()
