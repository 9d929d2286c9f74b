"""Disturbances of a chain and of its keepers, by name.

Each is one small class: `begin` when it starts, `during` before each of its blocks is mined, `end` when it is
over. `forbids`: keepers cannot be expected to act during it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from eth_utils.address import to_checksum_address

from backstop.deployment.role_accounts import get_account
from backstop.hosts.rpc_client import RpcError
from backstop.live.chaos.byzantine_proxy import FAULTS, Fault
from backstop.live.chaos.crash_points import POINTS
from backstop.live.chaos.lies_about_sending import OF_SENDING
from backstop.live.chaos.lies_about_state import OF_STATE
from backstop.live.node.gas_fees import GWEI
from backstop.live.node.signers import Signers

if TYPE_CHECKING:
    from backstop.live.chaos.chaos_environment import ChaosEnvironment
    from backstop.live.chaos.keeper_and_mirror_processes import FollowerProcess

RIVAL = "recap_bidder"
"""The account that competes unfairly."""

_BURNER = "0x" + "b0" * 20
# Looks up one balance after the other until its gas is used up.
_BURNS = "0x60005b6001018031506002" + "56"
_BLOCK_GAS = 30_000_000


def _get_tip(transaction: dict[str, Any]) -> int:
    return int(transaction["maxPriorityFeePerGas"], 16)


class Disturbance:
    """Disturbance of the chain or of its processes, which lasts for some blocks.

    If `forbids`, keepers are not expected to act during the disturbance.
    """

    name = ""
    blocks = 1
    forbids = False

    def __str__(self) -> str:
        return self.name

    def start_disturbance(self, scene: ChaosEnvironment, random_source: Random) -> None:
        """Act once, when the disturbance begins; by default do nothing."""

    def disturb_block(self, scene: ChaosEnvironment, random_source: Random) -> None:
        """Act before each block of the disturbance is mined, after keepers have sent their transactions."""

    def end_disturbance(self, scene: ChaosEnvironment) -> None:
        """Undo the disturbance when it is over; by default do nothing."""


class NodeKill(Disturbance):
    """Kill of the node, which restarts from its file; the pool and the last second are lost."""

    name, forbids = "node killed", True

    def disturb_block(self, scene: ChaosEnvironment, random_source: Random) -> None:
        before = scene.chain.head_block.number
        scene.chain.kill_node()
        scene.chain.start_node_from_saved_state()
        scene.note_rollback(before - scene.chain.head_block.number)


class ChainReorg(Disturbance):
    """Reorganisation of up to 12 blocks.

    About half of the keepers' transactions are mined again, in other blocks.
    """

    name, forbids = "reorganisation", True

    def disturb_block(self, scene: ChaosEnvironment, random_source: Random) -> None:
        head, chain = scene.chain.head_block.number, scene.chain
        depth = min(random_source.randint(1, 12), head - chain.oldest)
        if depth < 1:
            return
        again: list[tuple[str, int]] = []
        reached: dict[str, int] = {}
        for sender, raw in scene.list_signed_transactions(head - depth + 1, head):
            if sender in reached and reached[sender] < 0:
                continue  # its nonces have a gap from here on
            if random_source.random() < 0.5:
                reached[sender] = -1
                continue
            reached[sender] = random_source.randint(reached.get(sender, 0), depth - 1)
            again.append((raw, reached[sender]))
        again.sort(key=lambda each: each[1])
        chain.node.request("anvil_reorg", depth, again)
        scene.note_rollback(depth)


class ChainRollback(Disturbance):
    """Loss of up to 8 of the chain's newest blocks."""

    name, forbids = "rollback", True

    def disturb_block(self, scene: ChaosEnvironment, random_source: Random) -> None:
        depth = min(random_source.randint(1, 8), scene.chain.head_block.number - scene.chain.oldest)
        if depth > 0:
            scene.chain.node.request("anvil_rollback", depth)
            scene.note_rollback(depth)


class BaseFeeSpike(Disturbance):
    """Rise of the base fee to a hundred times its value in one block.

    It then falls by an eighth with each block.
    """

    name, blocks, forbids = "base fee x100", 20, True

    def start_disturbance(self, scene: ChaosEnvironment, random_source: Random) -> None:
        high = min(max(100 * scene.base_fee, 100 * GWEI), 300 * GWEI)
        scene.chain.node.request("anvil_setNextBlockBaseFeePerGas", hex(high))


class FullBlocks(Disturbance):
    """Full blocks, in which another sender outbids the keepers for all the gas."""

    name, blocks, forbids = "full blocks", 6, True

    def start_disturbance(self, scene: ChaosEnvironment, random_source: Random) -> None:
        scene.chain.node.request("anvil_setCode", _BURNER, _BURNS)

    def disturb_block(self, scene: ChaosEnvironment, random_source: Random) -> None:
        # All but what the world outside needs.
        left = _BLOCK_GAS - scene.pending_gas_of_outsiders
        most = max((_get_tip(each) for each in scene.list_pending_keeper_transactions()), default=0)
        for _ in range(3):
            more = {"maxPriorityFeePerGas": hex(most + 3 * GWEI), "gas": hex(left // 3)}
            scene.world.send_raw_call_for_hash("admin", _BURNER, "0x", **more)


class TransactionDrop(Disturbance):
    """Loss of most of the keepers' transactions in the node's pool."""

    name, blocks, forbids = "transactions dropped", 4, True

    def disturb_block(self, scene: ChaosEnvironment, random_source: Random) -> None:
        for transaction in scene.list_pending_keeper_transactions():
            if random_source.random() < 0.7:
                scene.chain.node.request("anvil_dropTransaction", transaction["hash"])


class SameNonce(Disturbance):
    """Second user of the keepers' keys, which uses up their nonces with empty transactions."""

    name, blocks, forbids = "nonces taken", 3, True

    def disturb_block(self, scene: ChaosEnvironment, random_source: Random) -> None:
        signers = Signers(test_accounts=True)
        for transaction in scene.list_pending_keeper_transactions():
            sender = transaction["from"].lower()
            most = 2 * int(transaction["maxFeePerGas"], 16) + GWEI
            replacement = {
                "type": 2,
                "chainId": scene.chain.node.chain_id,
                "nonce": int(transaction["nonce"], 16),
                "to": to_checksum_address(sender),
                "value": 0,
                "gas": 21_000,
                "maxFeePerGas": most,
                "maxPriorityFeePerGas": most,
            }
            with suppress(RpcError):  # it is its own from the block before, and waits for another nonce
                scene.chain.node.request(
                    "eth_sendRawTransaction", signers.sign_transaction(sender, replacement)
                )


class FrontRunner(Disturbance):
    """Rival that copies the keepers' purchases and liquidations for itself, and pays more to be first."""

    name, blocks, forbids = "front-runner", 10, True

    def disturb_block(self, scene: ChaosEnvironment, random_source: Random) -> None:
        for transaction in scene.list_pending_keeper_transactions():
            action = scene.decode_action(transaction)
            if action is None:
                continue
            args: list[Any] = list(action.args)
            if (action.contract, action.method) == ("CollateralAuction", "take"):
                args[3] = get_account(RIVAL)
            elif (action.contract, action.method) == ("LiquidationEngine", "liquidate"):
                args[2] = get_account(RIVAL)
            else:
                continue
            more = {"maxPriorityFeePerGas": hex(_get_tip(transaction) + GWEI), "gas": hex(2_000_000)}
            to, data = scene.world.encode_call_target_and_data(action.contract, action.method, *args)
            scene.world.send_raw_call_for_hash(RIVAL, to, data, **more)


class LyingReporter(Disturbance):
    """Price reporter that reports a tenth of the price or ten times it; the median of all reports counts."""

    name, blocks = "lying reporter", 45

    def start_disturbance(self, scene: ChaosEnvironment, random_source: Random) -> None:
        scene.world.lies = {f"reporter_{random_source.randint(1, 3)}": random_source.choice((10, 1_000))}

    def end_disturbance(self, scene: ChaosEnvironment) -> None:
        scene.world.lies = {}


class ClockAhead(Disturbance):
    """Clock of the node that is ten minutes ahead of the blocks that are then mined."""

    name, blocks, forbids = "clock ahead", 3, True

    def start_disturbance(self, scene: ChaosEnvironment, random_source: Random) -> None:
        scene.chain.set_clock(scene.chain.head_block.timestamp + 600)

    def disturb_block(self, scene: ChaosEnvironment, random_source: Random) -> None:
        scene.chain.set_clock(scene.chain.head_block.timestamp)

    def end_disturbance(self, scene: ChaosEnvironment) -> None:
        scene.chain.set_clock(scene.chain.head_block.timestamp)


class ClockJumps(Disturbance):
    """Jump of the clock, so that the next block comes minutes later."""

    name = "clock jumps"

    def disturb_block(self, scene: ChaosEnvironment, random_source: Random) -> None:
        scene.chain.set_clock(scene.chain.head_block.timestamp + random_source.randint(60, 300))


class _KeeperDisturbance(Disturbance):
    """Disturbance of one keeper process, which is chosen at random."""

    keeper: FollowerProcess

    def __str__(self) -> str:
        return f"{self.name}: {self.keeper.name}"


class KeeperKill(_KeeperDisturbance):
    """Kill of a keeper at a random moment; it is restarted some blocks later."""

    name = "killed at random"

    def start_disturbance(self, scene: ChaosEnvironment, random_source: Random) -> None:
        self.blocks = random_source.randint(1, 6)
        self.keeper = random_source.choice(scene.list_ready_or_all_keepers())
        # In the middle of what it does about the last block.
        scene.schedule_kill(self.keeper, random_source.uniform(0, 0.15))

    def end_disturbance(self, scene: ChaosEnvironment) -> None:
        scene.revive_follower(self.keeper)


class KeeperKillAtPoint(_KeeperDisturbance):
    """Restart of a keeper that will kill itself at a random named place of its code (crash point)."""

    name, blocks = "killed at a point", 25

    def start_disturbance(self, scene: ChaosEnvironment, random_source: Random) -> None:
        self.keeper = random_source.choice(scene.list_ready_or_all_keepers())
        self.keeper.kill_process()
        self.keeper.start_process(random_source.choice(list(POINTS)), random_source.randint(1, 3))

    def end_disturbance(self, scene: ChaosEnvironment) -> None:
        if not self.keeper.running:
            scene.revive_follower(self.keeper)


class KeeperFreeze(_KeeperDisturbance):
    """Halt of a keeper process for some blocks by SIGSTOP, which the keeper does not notice."""

    name, blocks = "frozen", 4

    def start_disturbance(self, scene: ChaosEnvironment, random_source: Random) -> None:
        self.keeper = random_source.choice(scene.list_ready_or_all_keepers())
        self.keeper.freeze_process()

    def end_disturbance(self, scene: ChaosEnvironment) -> None:
        self.keeper.unfreeze_process()


class ByzantineNode(Disturbance):
    """Fault of the node that keepers and mirror ask first; their second node is honest."""

    blocks = 12

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.name = f"node: {fault.name}"
        self.forbids = fault.blocks  # it shows after some blocks, and so does what came of it

    def start_disturbance(self, scene: ChaosEnvironment, random_source: Random) -> None:
        scene.hostile.set_fault(self.fault)
        self.disturb_block(scene, random_source)

    def disturb_block(self, scene: ChaosEnvironment, random_source: Random) -> None:
        if self.fault.blocks:
            # A follower of this node notices a fault by new blocks, and no block comes while it waits.
            scene.excuse_followers()

    def end_disturbance(self, scene: ChaosEnvironment) -> None:
        scene.hostile.set_fault(None)


Kind = Callable[[], Disturbance]

OF_THE_CHAIN: tuple[Kind, ...] = (
    NodeKill,
    ChainReorg,
    ChainRollback,
    BaseFeeSpike,
    FullBlocks,
    TransactionDrop,
    SameNonce,
    FrontRunner,
    LyingReporter,
    ClockAhead,
    ClockJumps,
)
OF_PROCESSES: tuple[Kind, ...] = (KeeperKill, KeeperKillAtPoint, KeeperFreeze)
OF_A_NODE: tuple[Kind, ...] = tuple(
    partial(ByzantineNode, fault) for fault in (*FAULTS, *OF_SENDING, *OF_STATE)
)
