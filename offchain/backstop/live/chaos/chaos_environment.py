"""A scene for disturbances: a chain, the world outside, keepers that compete and a mirror."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backstop.deployment.role_accounts import get_account
from backstop.hosts.abi_codec import AbiDecodingError
from backstop.live.chaos.anvil_chain import AnvilChain
from backstop.live.chaos.byzantine_proxy import ByzantineProxy
from backstop.live.chaos.keeper_and_mirror_processes import PATIENCE, FollowerProcess, wait_for_condition
from backstop.live.chaos.price_and_liquidity_actors import MarketActors
from backstop.model.arithmetic import WAD
from backstop.simulation.scenario import Scenario
from backstop.system import Action

MISSED = 10
"""Blocks that are mined at most while a process that was started catches up."""

# Of each keeper: what its bidder may put at risk, and what housekeeping may cost.
_LIMITS = {
    "bidder": {"gas_hour": "0.3 coins", "risk_hour": "100_000 tokens"},
    "crank": {"gas_hour": "0.3 coins"},
}
BUDGETS = (
    ("bidder", "risk", 100_000 * WAD),
    ("settler", "risk", 100_000 * WAD),
    ("bidder", "gas", 3 * 10**17),
    ("settler", "gas", 3 * 10**17),
    ("crank", "gas", 3 * 10**17),
)
"""Hourly budgets of accounts: stablecoins at risk, coins for gas [wad]. As in the settings."""

# Name, roles with settings, and accounts other than those of the roles' own.
_KEEPERS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("flash", "{taker: , crank: , liquidator: }", {}),
    ("desk", "{bidder: {takes_at: 97%}, liquidator: }", {"liquidator": "surplus_bidder"}),
    ("fund", "{bidder: {takes_at: 94%}, liquidator: }", {"liquidator": "treasurer", "bidder": "settler"}),
)
_SETTINGS = """
schema_version: 1
network: {urls}
rpc_timeout: 1 s
limits: {limits}
deployment: deployment.json
journal: journal
log: json
interval: 20 ms
replace_after: 1 s
roles: {roles}
accounts: {{{accounts}}}
"""
BIDDERS = ("bidder", "settler")
"""The accounts with capital of their own."""
CAPITAL = 30_000 * WAD
"""Capital of each bidder, which is restored again and again when it has less."""
ACCOUNTS = ("taker", "crank", "coverer", "liquidator", "bidder", "surplus_bidder", "settler", "treasurer")
"""All accounts that keepers send from."""

# What a process says that is started while there is no node.
_NO_NODE = ("Error: no node answers", "nodes can be asked", " is gone (")


class ChaosEnvironment:
    """Setting of a chaos run: a chain, a faulty proxy, market actors, competing keepers and a mirror.

    `faults` collects violated rules as sentences. `world` is the class of the market actors, and `mirror`
    holds further flags of the mirror.
    """

    def __init__(
        self,
        folder: Path,
        scenario: Scenario,
        seed: int,
        *,
        world: type[MarketActors] = MarketActors,
        mirror: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.chain = AnvilChain(folder, scenario.block_time)
        self.world = world(self.chain, scenario, seed, dict.fromkeys(BIDDERS, CAPITAL))
        self.hostile = ByzantineProxy(self.chain.port)
        """A second address of the chain's node, which may lie; all followers ask it first."""
        self.urls = [self.hostile.url, self.chain.url]
        self.keepers = [self._build_keeper(*each) for each in _KEEPERS]
        flags = [flag for url in self.urls for flag in ("--network", url)]
        flags += ["--deployment", "deployment.json", "--each-block"]
        flags += ["--out", "mirror.jsonl", "--checkpoint", "checkpoint.json", "--interval", "0.02"]
        self.mirror = FollowerProcess("mirror", "mirror", [*flags, *mirror], folder)
        self.followers = [*self.keepers, self.mirror]
        self.faults: list[str] = []
        self.deepest = 0
        """Blocks that the chain went back at most, at once."""
        self.mined_at: dict[str, float] = {}
        """When each block was mined, by hash."""
        self._addresses = {get_account(name) for name in ACCOUNTS}
        self._missed: dict[str, int] = {}
        self._kills: dict[str, float] = {}  # seconds after the next block

    def _build_keeper(self, name: str, roles: str, accounts: dict[str, str]) -> FollowerProcess:
        limits = {role: each for role, each in _LIMITS.items() if role in roles}
        named = ", ".join(f"{role}: '{get_account(who)}'" for role, who in accounts.items())
        settings = _SETTINGS.format(urls=self.urls, limits=json.dumps(limits), roles=roles, accounts=named)
        (self.folder / f"{name}.yaml").write_text(settings, encoding="utf-8")
        return FollowerProcess(name, "keeper", ["--config", f"{name}.yaml"], self.folder)

    def start_followers(self) -> None:
        """Start the keepers and the mirror, and wait until they have followed up to the newest block."""
        for follower in self.followers:
            follower.start_process()
        head = self.chain.head_block.number
        for follower in self.followers:
            self._wait_for_follower(follower, head)

    def close(self) -> None:
        """End all processes and the chain, so that nothing outlives the run."""
        for follower in self.followers:
            follower.close()
        self.hostile.close()
        self.chain.close()

    def write_note(self, text: str) -> None:
        """Append a line with the time, the block and the text to storm.log."""
        with (self.folder / "storm.log").open("a", encoding="utf-8") as file:
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            file.write(f"{now} block {self.chain.head_block.number}: {text}\n")

    # ---------------------------------------------------------------- processes

    def list_pids(self) -> dict[str, int]:
        """Return the process ids of the running keepers, the mirror and the node, by name."""
        found = {each.name: each.pid for each in self.followers if each.pid is not None}
        return {**found, "node": self.chain.process.pid}

    def list_ready_or_all_keepers(self) -> list[FollowerProcess]:
        """Return the keepers that have caught up with the chain; if none has, all keepers."""
        return [each for each in self.keepers if each.ready] or self.keepers

    def schedule_kill(self, follower: FollowerProcess, seconds: float) -> None:
        """Schedule a SIGKILL of a keeper, `seconds` after the start of its work on the next block."""
        self._kills[follower.name] = seconds

    def revive_follower(self, follower: FollowerProcess) -> None:
        """Start a killed keeper or mirror again, and cancel its scheduled kill."""
        self.write_note(f"{follower.name} comes back")
        self._kills.pop(follower.name, None)
        if not follower.running:
            follower.start_process()

    def excuse_followers(self) -> None:
        """Mark keepers and mirror as not ready, so that the next block waits for none of them."""
        self._missed.clear()
        for follower in self.followers:
            follower.ready = False

    def wait_for_followers(self) -> None:
        """Wait until each ready keeper and the mirror have processed the newest block, or were killed.

        A process that is still catching up is waited for after 10 blocks. A mirror with differences is
        recorded as a fault.
        """
        head, began = self.chain.head_block.number, time.monotonic()
        self.hostile.asked.clear()  # nobody looks at it here
        for follower in self.followers:
            if follower.away:
                continue
            if follower.ready or self._missed.get(follower.name, 0) >= MISSED:
                self._wait_for_follower(follower, head, began)
            elif not self._is_running_else_restart(follower) or not follower.is_at_block(head):
                self._missed[follower.name] = self._missed.get(follower.name, 0) + 1
            if follower.ready:
                self._missed.pop(follower.name, None)
        if (
            not self.mirror.away
            and (health := self.mirror.get_health())
            and health["ok"]
            and health["differences"]
        ):
            self.faults.append(
                f"the mirror is ready at block {head}, with {health['differences']} differences"
            )

    def _wait_for_follower(self, follower: FollowerProcess, head: int, began: float | None = None) -> None:
        began = began or time.monotonic()
        deadline = time.monotonic() + PATIENCE
        due = self._kills.pop(follower.name, None)
        while self._is_running_else_restart(follower):
            if due is not None and time.monotonic() >= began + due:
                follower.kill_process()
                return
            if follower.is_at_block(head) and due is None:
                return
            if time.monotonic() > deadline:
                self.faults.append(
                    f"{follower.name} did not look at block {head} within {PATIENCE:.0f} s: "
                    f"{follower.read_last_lines()}"
                )
                follower.abort_process()
                follower.start_process()  # as a supervisor would
                return
            time.sleep(0.003)

    def _is_running_else_restart(self, follower: FollowerProcess) -> bool:
        """Return whether a process runs; if it ended by itself, record that as a fault and restart it.

        A process that killed itself at its planned place in the code (crash point) is not restarted and is no
        fault.
        """
        if follower.running:
            return True
        if follower.point and follower.code == -9:
            follower.ready, follower.away = False, True
            return False
        if not follower.ready and any(each in follower.read_last_lines() for each in _NO_NODE):
            follower.start_process()  # as a supervisor would, when the node is back
            return False
        self.faults.append(
            f"{follower.name} ended by itself, code {follower.code}, before block "
            f"{self.chain.head_block.number + 1}: {follower.read_last_lines()}"
        )
        follower.start_process()
        return False

    def settle_and_stop_followers(self) -> None:
        """Stop keepers and mirror by SIGTERM, and mine the keepers' pending transactions meanwhile.

        An exit code other than 0 is recorded as a fault.
        """
        for keeper in self.keepers:
            self.revive_follower(keeper)
            self._wait_for_follower(keeper, self.chain.head_block.number)
        for keeper in self.keepers:
            keeper.send_sigterm()
        wait_for_condition(self._mine_block_and_check_keepers_stopped, "the keepers had not ended")
        self._wait_for_follower(self.mirror, self.chain.head_block.number)
        for follower in self.followers:
            code = follower.stop_process()
            if code != 0:
                self.faults.append(f"{follower.name} ended with code {code}: {follower.read_last_lines()}")

    def _mine_block_and_check_keepers_stopped(self) -> bool:
        self.chain.mine_block()
        time.sleep(0.1)
        return not any(keeper.running for keeper in self.keepers)

    # -------------------------------------------------------------------- chain

    @property
    def base_fee(self) -> int:
        """Base fee of the newest block [wei]."""
        return int(self.chain.node.request("eth_getBlockByNumber", "latest", False)["baseFeePerGas"], 16)

    @property
    def pending_gas_of_outsiders(self) -> int:
        """Gas limit of all pending transactions that are not the keepers'."""
        sent = self._list_pending_transactions(include_outsiders=True)
        return sum(int(each["gas"], 16) for each in sent if each["from"].lower() not in self._addresses)

    def note_rollback(self, blocks: int) -> None:
        """Record that the chain lost `blocks` blocks, and have the market actors repeat their actions."""
        self.write_note(f"{blocks} blocks gone")
        self.deepest = max(self.deepest, blocks)
        self.world.forget_actions()

    def list_pending_keeper_transactions(self) -> list[dict[str, Any]]:
        """Return the keepers' transactions in the node's pool."""
        return self._list_pending_transactions(include_outsiders=False)

    def _list_pending_transactions(self, include_outsiders: bool) -> list[dict[str, Any]]:
        content = self.chain.node.request("txpool_content")
        return [
            transaction
            for part in content.values()
            for sender, queue in part.items()
            if include_outsiders or sender.lower() in self._addresses
            for transaction in queue.values()
        ]

    def list_accounts_with_nonce_gap(self) -> set[str]:
        """Return the keepers' accounts that have transactions behind a missing nonce."""
        content = self.chain.node.request("txpool_content")["queued"]
        return {sender.lower() for sender, queue in content.items() if queue} & self._addresses

    def decode_action(self, transaction: dict[str, Any]) -> Action | None:
        """Return the call to the deployment that a transaction makes; None if it makes none."""
        system, to = self.world.system, (transaction.get("to") or "").lower()
        if to not in system.names:
            return None
        name, data = system.names[to], bytes.fromhex(transaction["input"][2:])
        function = system.artifacts[system.kinds[name]].contract_abi.by_selector.get(data[:4])
        if function is None:
            return None
        try:
            args = function.decode_arguments(data)
        except AbiDecodingError:
            return None
        return Action(name, function.name, args, transaction["from"].lower())

    def list_signed_transactions(self, first: int, last: int) -> list[tuple[str, str]]:
        """Return the keepers' transactions in blocks `first` to `last`: sender and raw bytes as hex."""
        found = []
        for block, _ in self.chain.node.get_blocks_with_receipts(first, last):
            for transaction in block["transactions"]:
                sender = transaction["from"].lower()
                if sender in self._addresses:
                    raw = self.chain.node.request("eth_getRawTransactionByHash", transaction["hash"])
                    found.append((sender, raw))
        return found
