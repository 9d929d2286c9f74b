"""Disturbances of a chain and of its keepers, by name.

Each is one small class: `begin` when it starts, `during` before each of its blocks is mined, `end` when it is
over. `forbids`: nobody can be expected to act.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from eth_utils.address import to_checksum_address

from backstop.deployment.accounts import account
from backstop.hosts.rpc import RpcError
from backstop.live.chaos.hostile import FAULTS, Fault
from backstop.live.chaos.points import POINTS
from backstop.live.node.fees import GWEI
from backstop.live.node.signers import Signers

if TYPE_CHECKING:
    from backstop.live.chaos.processes import Follower
    from backstop.live.chaos.scene import Scene

RIVAL = "recap_bidder"
"""The account that competes unfairly."""

_BURNER = "0x" + "b0" * 20
# Looks up one balance after the other until its gas is used up.
_BURNS = "0x60005b6001018031506002" + "56"
_BLOCK_GAS = 30_000_000


def _tip(transaction: dict[str, Any]) -> int:
    return int(transaction["maxPriorityFeePerGas"], 16)


class Disturbance:
    """A disturbance of the chain or of the world outside."""

    name = ""
    blocks = 1
    forbids = False

    def __str__(self) -> str:
        return self.name

    def begin(self, scene: Scene, chance: Random) -> None:
        """Start it."""

    def during(self, scene: Scene, chance: Random) -> None:
        """Act before each of its blocks, once keepers have sent what they want in it."""

    def end(self, scene: Scene) -> None:
        """End it."""


class NodeKilled(Disturbance):
    """A kill of the node, which starts again from its file: the pool and the last second are lost."""

    name, forbids = "node killed", True

    def during(self, scene: Scene, chance: Random) -> None:
        before = scene.chain.head.number
        scene.chain.kill()
        scene.chain.restart()
        scene.went_back(before - scene.chain.head.number)


class Reorganised(Disturbance):
    """A reorganisation of the last blocks: half of their transactions come again, in other blocks."""

    name, forbids = "reorganisation", True

    def during(self, scene: Scene, chance: Random) -> None:
        head, chain = scene.chain.head.number, scene.chain
        depth = min(chance.randint(1, 12), head - chain.oldest)
        if depth < 1:
            return
        again: list[tuple[str, int]] = []
        reached: dict[str, int] = {}
        for sender, raw in scene.signed_in(head - depth + 1, head):
            if sender in reached and reached[sender] < 0:
                continue  # its nonces have a gap from here on
            if chance.random() < 0.5:
                reached[sender] = -1
                continue
            reached[sender] = chance.randint(reached.get(sender, 0), depth - 1)
            again.append((raw, reached[sender]))
        again.sort(key=lambda each: each[1])
        chain.node.request("anvil_reorg", depth, again)
        scene.went_back(depth)


class RolledBack(Disturbance):
    """A loss of the chain's last blocks."""

    name, forbids = "rollback", True

    def during(self, scene: Scene, chance: Random) -> None:
        depth = min(chance.randint(1, 8), scene.chain.head.number - scene.chain.oldest)
        if depth > 0:
            scene.chain.node.request("anvil_rollback", depth)
            scene.went_back(depth)


class BaseFee(Disturbance):
    """A hundredfold base fee from one block to the next, then an eighth less with each."""

    name, blocks, forbids = "base fee x100", 20, True

    def begin(self, scene: Scene, chance: Random) -> None:
        high = min(max(100 * scene.base_fee, 100 * GWEI), 300 * GWEI)
        scene.chain.node.request("anvil_setNextBlockBaseFeePerGas", hex(high))


class FullBlocks(Disturbance):
    """Full blocks: somebody pays more than keepers for all the gas of each."""

    name, blocks, forbids = "full blocks", 6, True

    def begin(self, scene: Scene, chance: Random) -> None:
        scene.chain.node.request("anvil_setCode", _BURNER, _BURNS)

    def during(self, scene: Scene, chance: Random) -> None:
        # All but what the world outside needs.
        left = _BLOCK_GAS - scene.world_gas
        most = max((_tip(each) for each in scene.pool()), default=0)
        for _ in range(3):
            more = {"maxPriorityFeePerGas": hex(most + 3 * GWEI), "gas": hex(left // 3)}
            scene.world.send_raw("admin", _BURNER, "0x", **more)


class Dropped(Disturbance):
    """A loss of most of what keepers have in the pool."""

    name, blocks, forbids = "transactions dropped", 4, True

    def during(self, scene: Scene, chance: Random) -> None:
        for transaction in scene.pool():
            if chance.random() < 0.7:
                scene.chain.node.request("anvil_dropTransaction", transaction["hash"])


class SameNonce(Disturbance):
    """A user of the keepers' keys, who spends their nonces on nothing."""

    name, blocks, forbids = "nonces taken", 3, True

    def during(self, scene: Scene, chance: Random) -> None:
        signers = Signers(test_accounts=True)
        for transaction in scene.pool():
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
                scene.chain.node.request("eth_sendRawTransaction", signers.sign(sender, replacement))


class FrontRunner(Disturbance):
    """A rival that copies what keepers send, and pays to be first: their rewards and purchases."""

    name, blocks, forbids = "front-runner", 10, True

    def during(self, scene: Scene, chance: Random) -> None:
        for transaction in scene.pool():
            action = scene.action_of(transaction)
            if action is None:
                continue
            args: list[Any] = list(action.args)
            if (action.contract, action.method) == ("CollateralAuction", "take"):
                args[3] = account(RIVAL)
            elif (action.contract, action.method) == ("LiquidationEngine", "liquidate"):
                args[2] = account(RIVAL)
            else:
                continue
            more = {"maxPriorityFeePerGas": hex(_tip(transaction) + GWEI), "gas": hex(2_000_000)}
            to, data = scene.world.encoded(action.contract, action.method, *args)
            scene.world.send_raw(RIVAL, to, data, **more)


class LyingReporter(Disturbance):
    """A reporter that says ten times the price, or a tenth; prices are the median of all."""

    name, blocks = "lying reporter", 45

    def begin(self, scene: Scene, chance: Random) -> None:
        scene.world.lies = {f"reporter_{chance.randint(1, 3)}": chance.choice((10, 1_000))}

    def end(self, scene: Scene) -> None:
        scene.world.lies = {}


class ClockAhead(Disturbance):
    """A node's clock that is ten minutes ahead of the blocks that are then mined."""

    name, blocks, forbids = "clock ahead", 3, True

    def begin(self, scene: Scene, chance: Random) -> None:
        scene.chain.set_clock(scene.chain.head.timestamp + 600)

    def during(self, scene: Scene, chance: Random) -> None:
        scene.chain.set_clock(scene.chain.head.timestamp)

    def end(self, scene: Scene) -> None:
        scene.chain.set_clock(scene.chain.head.timestamp)


class ClockJumps(Disturbance):
    """A jump of the clock: the next block comes minutes later."""

    name = "clock jumps"

    def during(self, scene: Scene, chance: Random) -> None:
        scene.chain.set_clock(scene.chain.head.timestamp + chance.randint(60, 300))


class _OfAKeeper(Disturbance):
    """A disturbance of one keeper, by chance."""

    keeper: Follower

    def __str__(self) -> str:
        return f"{self.name}: {self.keeper.name}"


class Killed(_OfAKeeper):
    """A kill of a keeper, whatever it does; it is started again blocks later."""

    name = "killed at random"

    def begin(self, scene: Scene, chance: Random) -> None:
        self.blocks = chance.randint(1, 6)
        self.keeper = chance.choice(scene.running())
        # In the middle of what it does about the last block.
        scene.kill_later(self.keeper, chance.uniform(0, 0.15))

    def end(self, scene: Scene) -> None:
        scene.revive(self.keeper)


class KilledAtPoint(_OfAKeeper):
    """A kill of a keeper, which is started so that it kills itself at a named point of its work."""

    name, blocks = "killed at a point", 25

    def begin(self, scene: Scene, chance: Random) -> None:
        self.keeper = chance.choice(scene.running())
        self.keeper.kill()
        self.keeper.start(chance.choice(list(POINTS)), chance.randint(1, 3))

    def end(self, scene: Scene) -> None:
        if not self.keeper.running:
            scene.revive(self.keeper)


class Frozen(_OfAKeeper):
    """A halt of a keeper for some blocks, which it knows nothing of afterwards."""

    name, blocks = "frozen", 4

    def begin(self, scene: Scene, chance: Random) -> None:
        self.keeper = chance.choice(scene.running())
        self.keeper.freeze()

    def end(self, scene: Scene) -> None:
        self.keeper.thaw()


class HostileNode(Disturbance):
    """A fault of the node that everybody asks first; the other one is honest."""

    blocks = 12

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.name = f"node: {fault.name}"
        self.forbids = fault.blocks  # it shows after some blocks, and so does what came of it

    def begin(self, scene: Scene, chance: Random) -> None:
        scene.hostile.begin(self.fault)
        self.during(scene, chance)

    def during(self, scene: Scene, chance: Random) -> None:
        if self.fault.blocks:
            scene.excuse()  # who asks this node notices by blocks that come, and none comes while one waits

    def end(self, scene: Scene) -> None:
        scene.hostile.begin(None)


Kind = Callable[[], Disturbance]

OF_THE_CHAIN: tuple[Kind, ...] = (
    NodeKilled,
    Reorganised,
    RolledBack,
    BaseFee,
    FullBlocks,
    Dropped,
    SameNonce,
    FrontRunner,
    LyingReporter,
    ClockAhead,
    ClockJumps,
)
OF_PROCESSES: tuple[Kind, ...] = (Killed, KilledAtPoint, Frozen)
OF_A_NODE: tuple[Kind, ...] = tuple(partial(HostileNode, fault) for fault in FAULTS)
