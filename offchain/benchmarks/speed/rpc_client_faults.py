"""A keeper's reading of a node that cannot be trusted: by stock web3.py, and by the own client.

The faults are those of `chaos`. By web3.py it follows its guide: the newest block and its receipts, slots in
a batch, events, a transaction with its defaults, the receipt awaited, the newest block again. The own client
is a keeper that knows no other node, in the trial that `chaos` judges it by.
"""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from eth_account import Account
from web3 import Web3
from web3.middleware import SignAndSendRawMiddlewareBuilder

from backstop.deployment.deployment_file import read_deployment
from backstop.deployment.role_accounts import get_account
from backstop.live.chaos.anvil_chain import DEPLOYMENT, start_anvil
from backstop.live.chaos.byzantine_node_trials import NodeTrial, try_vault_index_under_fault
from backstop.live.chaos.byzantine_proxy import FAULTS, OF_LOGS, ByzantineProxy, Fault
from backstop.live.node.gas_fees import TIP_CAP
from backstop.live.node.signers import Signers
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.resumable_deployment import deploy_live
from backstop.model.arithmetic import WAD
from backstop.simulation.scenario import Scenario
from backstop.system import Action

SCENARIO = "black-thursday"
"""Scenario with the deployment that both clients read."""
JUDGED = (*FAULTS, *OF_LOGS)
DEADLINE = 12.0
"""Seconds after which a look counts as one that does not end."""
_RECEIPT_WITHIN = 4.0
_MEMORY = 1 << 31  # bytes that a look may take beside what its process had
_OTHER_CHAIN_AGE = 10_000  # seconds that pass before each look, so that fees are due
_KEY = "0x" + "17" * 32
BELIEVED, UNHARMED, REFUSED, HANGS = "believed", "unharmed", "refused", "does not end"


class FaultVerdict(NamedTuple):
    """Verdict on web3.py and on Backstop's RPC client for one fault of a node.

    A verdict is BELIEVED, UNHARMED, REFUSED or HANGS; `web3_detail` and the rest of `own` explain it.
    """

    fault: str
    what: str
    web3: str
    web3_detail: str
    own: str


def judge_clients(
    scenario: Scenario,
    faults: Sequence[Fault] = JUDGED,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[FaultVerdict]:
    """Yield the verdict on both clients for each fault, on one Anvil chain.

    `progress` receives the number of faults done and of all.
    """
    with tempfile.TemporaryDirectory(prefix="backstop-") as name:
        file = Path(name) / DEPLOYMENT
        node, process = start_anvil()
        try:
            deploy_live(node, scenario.parameters, file, Signers(test_accounts=True))
            bystander = LiveSystem(node, read_deployment(file), Signers(test_accounts=True))
            node.request("anvil_setBalance", Account.from_key(_KEY).address, hex(1_000 * WAD))
            for place, fault in enumerate(faults):
                progress(place, len(faults))
                web3, detail = _Web3Look(bystander, fault).judge_fault()
                yield FaultVerdict(fault.name, fault.what, web3, detail, _judge_own_client(bystander, fault))
        finally:
            process.stop_process()


def _judge_own_client(bystander: LiveSystem, fault: Fault) -> str:
    if fault in OF_LOGS:
        row = try_vault_index_under_fault(bystander, fault)
    else:
        row = NodeTrial(bystander, fault, beside=False).run_trial()
    if row["faults"]:
        return f"{BELIEVED}: {row['faults'][0]}"
    return REFUSED if row["noticed"] else UNHARMED


class _Web3Look:
    """One reading of a faulty node and one transaction by web3.py, in a separate process.

    A proxy in front of the Anvil node produces the fault.
    """

    def __init__(self, bystander: LiveSystem, fault: Fault) -> None:
        self.node = bystander.node
        self.bystander = bystander
        self.fault = fault
        chain = bystander.chain
        self.abis = {name: chain.artifacts[chain.kinds[name]].abi_json for name in ("VaultEngine",)}
        self.engine = Web3.to_checksum_address(bystander.addresses["VaultEngine"])
        paths = ("ledger.debts", "terms.of_types", "ledger.auctions")
        self.slots = [chain.compute_slot("VaultEngine", path, c) for path in paths for c in range(3)]

    def judge_fault(self) -> tuple[str, str]:
        """Return the verdict on web3.py, and the false data it believed or the error it raised."""
        hostile = ByzantineProxy(int(self.node.url.rpartition(":")[2]))
        try:
            hostile.set_fault(self.fault)
            if self.fault.blocks:  # it stays with the block that is the newest now
                Web3(Web3.HTTPProvider(hostile.url)).eth.get_block("latest", full_transactions=True)
            self._mine_event_and_let_fees_fall_due()
            found = self._run_look_in_child(hostile.url)
        finally:
            hostile.close()
        if found is None:
            return HANGS, f"no answer within {DEADLINE:.0f} s"
        if "error" in found:
            return REFUSED, found["error"]
        false = list(self._iter_false_parts(found))
        return (BELIEVED, ", ".join(false)) if false else (UNHARMED, "")

    def _mine_event_and_let_fees_fall_due(self) -> None:
        self.bystander.send_action_without_waiting(
            Action("Stablecoin", "approve", (get_account("taker"), 7), get_account("borrower"))
        )
        self.node.request("anvil_setTime", self.node.get_head().timestamp + _OTHER_CHAIN_AGE)
        self.bystander.send_action_without_waiting(
            Action("Stablecoin", "approve", (get_account("taker"), 7), get_account("saver"))
        )

    def _run_look_in_child(self, url: str) -> dict[str, Any] | None:
        """Run the reading in a child process, and return its results; None after the deadline."""
        ours, theirs = get_context("fork").Pipe(duplex=False)
        child = get_context("fork").Process(target=self._look_and_send, args=(url, theirs), daemon=True)
        child.start()
        theirs.close()
        try:
            return ours.recv() if ours.poll(DEADLINE) else None
        except EOFError:
            return {"error": "the process ended"}
        finally:
            child.kill()
            child.join()
            ours.close()

    def _look_and_send(self, url: str, result: Connection) -> None:
        """Read the node by web3.py with limited memory, and send the results or the error."""
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + _MEMORY,) * 2)
        try:
            result.send(self._find_by_web3(url))
        except BaseException as error:  # whatever the provider raises is that it noticed
            text = " ".join(str(error).split())
            result.send({"error": f"{type(error).__name__}: {text}"[:100].removesuffix(": ")})

    def _find_by_web3(self, url: str) -> dict[str, Any]:
        w3, account = Web3(Web3.HTTPProvider(url)), Account.from_key(_KEY)
        w3.middleware_onion.inject(SignAndSendRawMiddlewareBuilder.build(account), layer=0)
        engine: Any = w3.eth.contract(address=self.engine, abi=self.abis["VaultEngine"])
        head: Any = w3.eth.get_block("latest", full_transactions=True)
        receipts: Any = w3.eth.get_block_receipts(head["number"])
        with w3.batch_requests() as batch:
            for slot in self.slots:
                batch.add(w3.eth.get_storage_at(self.engine, slot, head["number"]))
            words: Any = batch.execute()
        events = engine.events.VaultChanged().get_logs(from_block=0, to_block=head["number"])
        sent = engine.functions.accrue(0).transact({"from": account.address})
        mined: Any = w3.eth.wait_for_transaction_receipt(sent, timeout=_RECEIPT_WITHIN)
        return {
            "block": head["hash"].hex(),
            "number": head["number"],
            "transactions": [(bytes(e["hash"]), e["from"], bytes(e["input"])) for e in head["transactions"]],
            "receipts": list(map(_list_receipt_fields, receipts)),
            "words": [int.from_bytes(word) for word in words],
            "events": [(each["transactionHash"].hex(), each["logIndex"]) for each in events],
            "sent": sent.hex(),
            "outcome": mined["status"],
            "newest": w3.eth.get_block("latest")["number"],
        }

    def _iter_false_parts(self, found: Mapping[str, Any]) -> Iterator[str]:
        """Yield the name of each part of the results that differs from the data of the true node."""
        w3 = Web3(Web3.HTTPProvider(self.node.url))
        # Nobody else sends: the look was at the block before that of its own transaction.
        mined = w3.eth.get_transaction_receipt(found["sent"])
        true: Any = w3.eth.get_block(mined["blockNumber"] - 1, full_transactions=True)
        if (found["block"], found["number"]) != (true["hash"].hex(), true["number"]):
            yield "block"
        if found["transactions"] != [
            (bytes(e["hash"]), e["from"], bytes(e["input"])) for e in true["transactions"]
        ]:
            yield "transactions"
        receipts: Any = w3.eth.get_block_receipts(true["number"])
        if found["receipts"] != list(map(_list_receipt_fields, receipts)):
            yield "receipts"
        words = [
            int.from_bytes(w3.eth.get_storage_at(self.engine, slot, true["number"])) for slot in self.slots
        ]
        if found["words"] != words:
            yield "words"
        engine: Any = w3.eth.contract(address=self.engine, abi=self.abis["VaultEngine"])
        events = engine.events.VaultChanged().get_logs(from_block=0, to_block=true["number"])
        if found["events"] != [(each["transactionHash"].hex(), each["logIndex"]) for each in events]:
            yield "events"
        if found["outcome"] != mined["status"]:
            yield "outcome"
        if mined["effectiveGasPrice"] - w3.eth.get_block(mined["blockNumber"])["baseFeePerGas"] > TIP_CAP:
            yield "tip"
        if found["newest"] != w3.eth.block_number:
            yield "newest block"


def _list_receipt_fields(receipt: Any) -> Any:
    logs = [(each["address"], [*map(bytes, each["topics"])], bytes(each["data"])) for each in receipt["logs"]]
    return bytes(receipt["transactionHash"]), receipt["status"], logs


def count_verdicts(verdicts: Sequence[FaultVerdict]) -> str:
    """Return a sentence with the number of verdicts of each kind, for each client."""
    kinds = (REFUSED, UNHARMED, BELIEVED, HANGS)
    web3 = ", ".join(f"{sum(each.web3 == kind for each in verdicts)} {kind}" for kind in kinds)
    own = ", ".join(f"{sum(each.own.startswith(kind) for each in verdicts)} {kind}" for kind in kinds[:3])
    return f"of {len(verdicts)} faults by web3.py {web3}; by the own client {own}"
