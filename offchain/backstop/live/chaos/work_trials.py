"""Keepers that have work to do while a node lies about it: beside an honest node, and alone.

Prices on the markets drop. Reporters report them, a poker steps the feeds, a liquidator starts auctions, a
taker and a bidder buy the collateral. Beside an honest node all of it is done in at most twice the blocks
that it takes without a liar. Alone the keepers log the contradiction of the node, and do their work once it
tells the truth. In no case is a transaction without effect paid for.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.live.chaos.anvil_chain import AnvilChain, prepare_chain
from backstop.live.chaos.byzantine_proxy import ByzantineProxy, Fault
from backstop.live.chaos.lies_about_sending import OF_SENDING
from backstop.live.chaos.lies_about_state import OF_STATE
from backstop.live.chaos.price_and_liquidity_actors import MarketActors
from backstop.live.mirror.chain_mirror import Mirror, open_mirror
from backstop.live.node.failover import Failover
from backstop.live.node.rpc_node import Node
from backstop.live.node.signers import Signers
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.live_roles import build_keepers
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.outbox import TransactionRules
from backstop.model.arithmetic import RAY, WAD
from backstop.simulation.scenario import Scenario

WORK = Path(__file__).with_name("work.yaml")
ROLES = ("reporter", "poker", "liquidator", "taker", "bidder", "crank")
TIMES = 2
"""Beside an honest node the work takes at most so many times the blocks that it takes without a liar."""
CAPITAL = 30_000 * WAD
_FALLS_TO = 70  # percent of the price of before, at once
_PAYS_OUT = 60_000 * WAD
# What there is to do: calls of the deployment that succeed, so many of each at least.
_WORK = {"report": 4, "poke": 2, "liquidate": 10, "take": 2, "take_and_sell": 4}
_TIMEOUT = 1.0
# A block is mined after so many looks of the keepers, and a minute after the one before, by its time.
_BLOCK_TIME, _LOOKS_A_BLOCK = 60, 4
_REPLACE_AFTER = 0.0
_MOST_BLOCKS = 100
# Blocks for which a node lies that is alone.
_LIES_FOR = 20


class WorkDone(NamedTuple):
    """Cost of a trial: blocks, gas cost [wei], and mined, failed and empty transactions."""

    blocks: int
    gas_wei: int
    mined: int
    failed: int
    empty: int


def run_work_trials(
    folder: Path,
    scenario: Scenario,
    *,
    faults: Sequence[Fault] = (*OF_SENDING, *OF_STATE),
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Run keepers with work to do, first with an honest node, then with each lie of a node.

    Each lie is tried with an honest second node and without. Return a result row for each trial, and the list
    of violated rules (`faults`).
    """
    began = time.monotonic()
    prepare_chain(folder, scenario, 1, {"bidder": CAPITAL})
    chain = AnvilChain(folder, _BLOCK_TIME)
    chain.keeps = False
    try:
        honest = WorkTrial(chain, scenario, None, True).run_trial()
        rows = [honest]
        for i, fault in enumerate(faults):
            for beside in (True, False):
                if stop():
                    raise BackstopError(f"stopped before {fault.name}")
                progress(i, len(faults), fault.name)
                rows.append(WorkTrial(chain, scenario, fault, beside, honest["blocks"]).run_trial())
    finally:
        chain.close()
    return {
        "trials": rows,
        "faults": [f"{row['fault']}, {row['nodes']}: {each}" for row in rows for each in row["faults"]],
        "seconds": round(time.monotonic() - began),
    }


class WorkTrial:
    """Trial of keepers that have work to do while their node tells one lie (None: no lie).

    `beside` adds an honest second node. `without` is the number of blocks that the work takes without a lie.
    """

    def __init__(
        self, chain: AnvilChain, scenario: Scenario, fault: Fault | None, beside: bool, without: int = 0
    ) -> None:
        self.chain = chain
        self.scenario = scenario
        self.fault = fault
        self.beside = beside
        self.without = without
        self.said: list[str] = []
        self.wrong: list[str] = []
        self._done: Counter[str] = Counter()

    def run_trial(self) -> dict[str, Any]:
        """Run the trial, revert the chain to its state before, and return the result row."""
        before = self.chain.node.request("evm_snapshot")
        hostile = ByzantineProxy(self.chain.port)
        first = self.chain.head_block
        loop: KeeperLoop | None = None
        try:
            loop = self._start_keepers(hostile.url)
            loop.run_round()
            hostile.fault = self.fault
            self._let_prices_fall()
            self._run_keepers_until_done(loop, hostile, first.number)
        except Exception as error:  # whatever it is, a node has brought it about
            self.wrong.append(f"the keepers ended: {error!r}")
        finally:
            hostile.close()
        done = self._count_work(first.number)
        self._record_faults(done, hostile.url)
        if loop is not None:
            loop.close()
        self.chain.node.request("evm_revert", before)
        return {
            "fault": self.fault.name if self.fault is not None else "none",
            "nodes": "beside an honest one" if self.beside else "alone",
            **done._asdict(),
            "noticed": self._has_noticed(hostile.url),
            "lines": [line for line in self.said if hostile.url in line and not line.startswith("asking")][
                :3
            ],
            "faults": self.wrong,
        }

    def _start_keepers(self, hostile: str) -> KeeperLoop:
        honest, deployment = self.chain.url, self.chain.deployment
        if self.beside:
            node = Node(hostile, client=Failover([hostile, honest], _TIMEOUT, self.said.append))
        else:
            node = Node(hostile, _TIMEOUT)
        system = LiveSystem(node, deployment, Signers(test_accounts=True))
        rules = TransactionRules(replace_after=_REPLACE_AFTER)
        return KeeperLoop(system, build_keepers(deployment, list(ROLES)), self.said.append, rules=rules)

    def _let_prices_fall(self) -> None:
        """Lower the price in the market of the first collateral type to 70% of its feed's price."""
        world, symbol = MarketActors(self.chain, self.scenario, 1), self.scenario.symbols[0]
        depth = self.scenario.markets[symbol].depth
        price = world.get_price(symbol, self.chain.head_block.timestamp) * _FALLS_TO // 100
        amount, market = depth * RAY // price, self.chain.deployment.addresses[f"Market.{symbol}"]
        maker = "market_maker"
        world.send_call_for_hash(maker, symbol, "mint", get_account(maker), amount)
        for token in (symbol, "Stablecoin"):
            world.send_call_for_hash(maker, token, "approve", market, 1 << 255)
        world.send_call_for_hash(maker, f"Market.{symbol}", "set_liquidity", amount, depth, depth - _PAYS_OUT)
        self.chain.mine_block()

    def _run_keepers_until_done(self, loop: KeeperLoop, hostile: ByzantineProxy, first: int) -> None:
        """Run the keepers and mine blocks until the work is done, or for 100 blocks at most."""
        true, looks, is_over = open_mirror(self.chain.node, self.chain.deployment), 0, False
        true.replay_to_block(None)

        def mine_and_check_end() -> bool:
            nonlocal looks, is_over
            looks += 1
            if is_over or looks % _LOOKS_A_BLOCK:
                return is_over
            block = self.chain.mine_block().number
            if not self.beside and block - first >= _LIES_FOR:
                hostile.fault = None  # it is over
            true.sync_to_head()
            is_over = block - first >= _MOST_BLOCKS or self._is_work_done(true)
            return is_over

        loop.run(interval=0.001, patience=60.0, grace=0.0, stop=mine_and_check_end)

    def _is_work_done(self, true: Mirror) -> bool:
        """Return whether the chain has enough successful calls of each kind that the work needs."""
        for seen in true.seen:
            if seen.outcome.ok:
                self._done[seen.action.method] += 1
        true.seen.clear()
        return all(self._done[method] >= count for method, count in _WORK.items())

    def _count_work(self, first: int) -> WorkDone:
        own = {get_account(name) for name in ("poker", "liquidator", "taker", "bidder", "crank", "coverer")}
        own |= {get_account(f"reporter_{i}") for i in range(1, 5)}
        last = self.chain.head_block.number
        gas = mined = failed = empty = 0
        for block, receipts in self.chain.node.get_blocks_with_receipts(first + 1, last):
            for sent, receipt in zip(block["transactions"], receipts, strict=True):
                if sent["from"].lower() not in own:
                    continue
                mined += 1
                failed += receipt["status"] == "0x0"
                empty += sent["input"] == "0x"
                gas += int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16)
        return WorkDone(last - first, gas, mined, failed, empty)

    def _record_faults(self, done: WorkDone, url: str) -> None:
        if done.blocks >= _MOST_BLOCKS:
            self.wrong.append(f"the work is not done after {done.blocks} blocks")
        elif self.beside and self.without and done.blocks > TIMES * self.without:
            self.wrong.append(f"the work took {done.blocks} blocks, {self.without} without a liar")
        if done.empty or done.failed:
            self.wrong.append(f"{done.empty} empty transactions and {done.failed} failures were paid for")
        harmless = self.fault is None or (self.fault.stays if self.beside else self.fault.works)
        if self._has_noticed(url) == harmless:
            self.wrong.append("it was noticed" if harmless else "it was not noticed")

    def _has_noticed(self, url: str) -> bool:
        """Return whether a log line says that the node was left, is not believed or is waited for."""
        told = ("left the node at", "is not believed", "waiting up to")
        return any(url in line and any(each in line for each in told) for line in self.said)
