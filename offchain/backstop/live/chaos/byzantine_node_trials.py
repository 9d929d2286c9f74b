"""Keepers of a node that cannot be trusted, fault by fault: with an honest node beside it, and without.

Time passes, so that fees are due, and a keeper is to charge them. Beside an honest node the keeper has to
leave the faulty node and do its work. Alone it has to notice, wait, and do its work when the fault is over.
In every case the keeper must not end, the model must equal the chain, and no tip may exceed the cap.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from backstop.deployment.deployment_file import read_deployment
from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.hosts.world_storage_json import encode_nonzero_storage_words
from backstop.live.chaos.anvil_chain import DEPLOYMENT, deploy_with_vaults, start_anvil
from backstop.live.chaos.byzantine_proxy import FAULTS, OF_LOGS, ByzantineProxy, Fault
from backstop.live.index.index_follower import IndexFollower
from backstop.live.mirror.chain_mirror import open_mirror
from backstop.live.monitor.alerts import Alerts
from backstop.live.monitor.status_facts_and_board import StatusBoard
from backstop.live.monitor.status_publisher import StatusPublisher
from backstop.live.node.failover import Failover
from backstop.live.node.gas_fees import TIP_CAP
from backstop.live.node.rpc_node import LOOK_EVERY, Node
from backstop.live.node.signers import Signers
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.live_roles import build_keepers
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.outbox import TransactionRules
from backstop.simulation.scenario import Scenario
from backstop.system import Action

ROLE = "accruer"
TIMEOUT = 1.0
PATIENCE = 60.0
WITHIN = 2 * LOOK_EVERY + 5.0
"""Seconds within which a fault has to be noticed, and the work has to be done."""
_DUE = 10_000
# Of faults that show as blocks come: seconds between them, and without any until that is told.
_BLOCK, _STALE = 0.5, 2.0


def run_node_trials(
    folder: Path,
    scenario: Scenario,
    *,
    faults: Sequence[Fault] = FAULTS,
    within: float = WITHIN,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Run a keeper against each fault of a node, with an honest second node and without.

    `within` is the time in which a fault must be noticed and the work done [seconds]. Return a result row for
    each trial, and the list of rules that were violated (`faults`).
    """
    folder.mkdir(parents=True, exist_ok=True)
    began, node, process = time.monotonic(), *start_anvil()
    try:
        deploy_with_vaults(node, folder, scenario, 1, {})
        deployment = read_deployment(folder / DEPLOYMENT)
        bystander = LiveSystem(node, deployment, Signers(test_accounts=True))
        rows: list[dict[str, Any]] = []
        for i, fault in enumerate(faults):
            if stop():
                raise BackstopError(f"stopped before {fault.name}")
            progress(i, len(faults), fault.name)
            for beside in (True, False):
                rows.append(NodeTrial(bystander, fault, beside, within).run_trial())
        rows += [try_vault_index_under_fault(bystander, fault) for fault in OF_LOGS]
    finally:
        process.stop_process()
    return {
        "trials": rows,
        "faults": [f"{row['fault']}, {row['nodes']}: {each}" for row in rows for each in row["faults"]],
        "seconds": round(time.monotonic() - began),
    }


def try_vault_index_under_fault(system: LiveSystem, fault: Fault) -> dict[str, Any]:
    """Let the vault index read logs through a faulty node; return a result row with violated rules.

    The index has to notice the fault, unless the fault is harmless.
    """
    hostile, wrong, said = (
        ByzantineProxy(int(system.node.url.rpartition(":")[2])),
        list[str](),
        list[str](),
    )
    hostile.fault = fault
    follower = IndexFollower(Node(hostile.url, TIMEOUT), system.deployment)
    try:
        follower.sync_to_head()
        said += follower.list_sample_differences(10)
    except BackstopError as error:
        said.append(str(error))
    except Exception as error:
        wrong.append(f"the index ended: {error!r}")
    finally:
        hostile.close()
    if bool(said) == fault.works:
        wrong.append(f"it ended: {said[0]}" if said else "it was not noticed")
    if "eth_getLogs" not in hostile.asked:
        wrong.append("no logs were read")
    return {"fault": fault.name, "nodes": "alone", "noticed": bool(said), "lines": said[:3], "faults": wrong}


class NodeTrial:
    """Trial of a keeper against one fault of its node; `beside` adds an honest second node."""

    def __init__(self, bystander: LiveSystem, fault: Fault, beside: bool, within: float = WITHIN) -> None:
        self.bystander = bystander
        self.node = bystander.node
        self.deployment = bystander.deployment
        self.fault = fault
        self.beside = beside
        self.within = within
        self.said: list[str] = []
        self.wrong: list[str] = []
        self._port = int(self.node.url.rpartition(":")[2])

    def run_trial(self) -> dict[str, Any]:
        """Run the trial and return its result row: whether the fault was noticed, and violated rules."""
        hostile = ByzantineProxy(self._port)
        began = time.monotonic()
        try:
            loop = self._start_keeper(hostile.url)
            loop.run_round()
            self.said.clear()
            before = self.node.get_head()
            hostile.fault = self.fault
            # An event, which a fault may change.
            self.bystander.send_action_without_waiting(
                Action("Stablecoin", "approve", (get_account("taker"), 1), get_account("borrower"))
            )
            self.node.request("anvil_setTime", before.timestamp + _DUE)
            self.node.request("evm_mine")
            self._run_keeper_until_done(loop, hostile)
            self._record_model_and_tip_faults(loop, before.number)
            loop.close()
        except Exception as error:  # whatever it is, a node has brought it about
            self.wrong.append(f"the keeper ended: {error!r}")
        finally:
            hostile.close()
        return {
            "fault": self.fault.name,
            "nodes": "beside an honest one" if self.beside else "alone",
            "noticed": self._has_noticed(hostile.url),
            "lines": [line for line in self.said if hostile.url in line or "nothing is sent" in line][:3],
            "seconds": round(time.monotonic() - began, 1),
            "faults": self.wrong,
        }

    def _start_keeper(self, hostile: str) -> KeeperLoop:
        if self.beside:
            client = Failover([hostile, self.node.url], TIMEOUT, self.said.append)
            node = Node(hostile, client=client)
        else:
            node = Node(hostile, TIMEOUT)
        deployment = self.deployment
        system = LiveSystem(node, deployment, Signers(test_accounts=True))
        rules, keepers = TransactionRules(replace_after=1.0), build_keepers(deployment, [ROLE])
        alerts = Alerts(lambda body: self.said.append(body["text"]))
        stale = _STALE if self.fault.blocks else 0
        observer = StatusPublisher(StatusBoard(), self.said.append, stale, alerts)
        return KeeperLoop(system, keepers, self.said.append, rules=rules, observer=observer)

    def _run_keeper_until_done(self, loop: KeeperLoop, byzantine_proxy: ByzantineProxy) -> None:
        """Run the keeper until it has charged all fees and noticed the fault, or the time is over."""
        fault, over = self.fault, time.monotonic() + self.within

        mined = time.monotonic()

        def stop() -> bool:
            nonlocal mined
            now = time.monotonic()
            if now > over:
                return True
            if fault.blocks and now > mined + _BLOCK:
                self.node.request("evm_mine")
                mined = now
            if self.beside or fault.works:
                return self._has_accrued_fees_of_all_types(loop) and (
                    fault.stays or self._has_noticed(byzantine_proxy.url)
                )
            if byzantine_proxy.fault is not None and self._has_noticed(byzantine_proxy.url):
                byzantine_proxy.fault = None  # it is over
            return byzantine_proxy.fault is None and self._has_accrued_fees_of_all_types(loop)

        loop.run(interval=0.02, patience=PATIENCE, grace=0.0, stop=stop)
        if not self._has_accrued_fees_of_all_types(loop):
            self.wrong.append(f"fees were not charged within {self.within:.0f} s")
        quiet = fault.stays and (self.beside or fault.works)
        if self._has_noticed(byzantine_proxy.url) == quiet:
            self.wrong.append("it was noticed" if quiet else "it was not noticed")
        byzantine_proxy.fault = None

    def _has_accrued_fees_of_all_types(self, loop: KeeperLoop) -> bool:
        types = range(len(self.deployment.parameters.collateral_types))
        return loop.tally.counts[ROLE, "done"] >= len(types)

    def _has_noticed(self, node_url: str) -> bool:
        """Return whether a log line names the faulty node, or says that nothing is sent."""
        if self.beside:
            return any(line.startswith(f"left the node at {node_url} ") for line in self.said)
        return any(node_url in line or "nothing is sent" in line for line in self.said)

    def _record_model_and_tip_faults(self, keeper_loop: KeeperLoop, block_before: int) -> None:
        """Record as violations: a model that differs from an honest node's, and tips above the cap."""
        mirror, true = keeper_loop.system.mirror, open_mirror(self.node, self.deployment)
        keeper_loop.system.follow_chain()
        true.replay_to_block(mirror.block)
        self.wrong += [f"model and chain differ: {each}" for each in mirror.differences[:1]]
        if mirror.unsettled_slots or mirror.hash != true.hash:
            self.wrong.append("what it knows is still in doubt")
        if encode_nonzero_storage_words(mirror.model.world) != encode_nonzero_storage_words(true.model.world):
            self.wrong.append("its model is not that of a mirror that was told the truth")
        for block, receipts in self.node.get_blocks_with_receipts(
            block_before + 1, self.node.get_head().number
        ):
            for each in receipts:
                tip = int(each["effectiveGasPrice"], 16) - int(block["baseFeePerGas"], 16)
                if tip > TIP_CAP:
                    self.wrong.append(f"{tip} wei a gas were tipped")
