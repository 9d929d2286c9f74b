"""The compiled contracts on a node: an Anvil of our own, or any node that a client is connected to.

Every transaction is mined in its own block, at an exact timestamp. Anvil takes several blocks of one
timestamp, so time passes only when the caller says so, as on the in-process host. Numbers of blocks cannot be
set: blocks that passed are mined, empty, before the next call.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from backstop.errors import BackstopError
from backstop.files.installation import CHECKOUT
from backstop.hosts.batched_slot_reader import SlotReader
from backstop.hosts.host_interface import CALL_GAS, CHAIN_ID, GENESIS, Call, RawLog, RawResult, Slot
from backstop.hosts.node_process import NodeProcess
from backstop.hosts.rpc_client import NodeClient, RpcError

# So many calls of one exchange are run in their order, a block of steps and its time.
_IN_ORDER = 25
# The most empty blocks that are mined at once: more take seconds, and hardly an auction is on for so long.
_MOST_EMPTY = 5_000


class RpcHost:
    """Chain host on a JSON-RPC node that mines blocks at this program's request.

    A chain host runs the compiled contracts. The node must accept any sender (Anvil: --auto-impersonate).
    """

    name = "rpc"
    # Whether the node can mine a transaction and answer with its receipt, in one call.
    _answers_mined = False

    process: NodeProcess | None = None
    """The node, where it is a throw-away one that ends with this."""

    def __init__(self, client: NodeClient) -> None:
        self.client = client
        self.chain_id = int(client.request("eth_chainId"), 16)
        latest = client.request("eth_getBlockByNumber", "latest", False)
        self._timestamp = self._block_time = int(latest["timestamp"], 16)
        self._number = int(latest["number"], 16)
        # The least number of the next block: before that, empty ones are mined.
        self._least = self._number + 1
        self._impersonated: set[str] = set()
        # Anvil tells what a mined transaction returned and which slots it changed; other nodes do not.
        self._tells = "anvil" in str(client.request("web3_clientVersion")).lower()
        self._reader = SlotReader(client)
        # Every transaction is mined when it is sent; outcomes are read from its own block.
        client.request("evm_setAutomine", False)

    @property
    def timestamp(self) -> int:
        return self._timestamp

    def set_time(self, timestamp: int) -> None:
        if timestamp < self._timestamp:
            raise BackstopError(f"time cannot go back from {self._timestamp} to {timestamp}")
        self._timestamp = timestamp

    @property
    def next_number(self) -> int:
        return max(self._number + 1, self._least)

    def skip_blocks(self, blocks: int) -> None:
        if blocks:
            self._least = max(self._least + min(blocks, _MOST_EMPTY), self._number + 1)

    def deploy_contract(self, bytecode: bytes, sender: str) -> str:
        ((receipt,),) = self._mine_block_then_query_node([{"from": sender, "data": "0x" + bytecode.hex()}])
        if receipt["status"] != "0x1":
            raise BackstopError("a constructor failed")
        return str(receipt["contractAddress"]).lower()

    def run_transaction(self, sender: str, to: str, data: bytes) -> RawResult:
        return self.run_transactions([(sender, to, data)])[0]

    def run_transactions(self, calls: Sequence[Call]) -> list[RawResult]:
        sent = [{"from": by, "to": to, "data": "0x" + data.hex()} for by, to, data in calls]
        if not self._tells:
            return [self._mine_with_dry_run(each) for each in sent]
        receipts, replayed, *_ = self._mine_block_then_query_node(
            sent, ("trace_replayBlockTransactions", ("latest", ["stateDiff"]))
        )
        return [
            _build_result(
                receipt, bytes.fromhex(each["output"][2:]), _parse_changed_words_by_slot(each["stateDiff"])
            )
            for receipt, each in zip(receipts, replayed, strict=True)
        ]

    def list_dry_run_gas_or_empty(self, calls: Sequence[Call]) -> list[int]:
        if not self._tells:
            return []
        sent = [
            {"from": by, "to": to, "data": "0x" + data.hex(), "gas": hex(CALL_GAS)} for by, to, data in calls
        ]
        block = {"time": hex(self._timestamp), "number": hex(self.next_number)}
        blocks = {"blockStateCalls": [{"blockOverrides": block, "calls": sent}], "validation": False}
        [simulated] = self.client.request("eth_simulateV1", blocks, "latest")
        return [int(call["gasUsed"], 16) for call in simulated["calls"]]

    def static_call(self, sender: str, to: str, data: bytes) -> RawResult:
        call = {"from": sender, "to": to, "data": "0x" + data.hex(), "gas": hex(CALL_GAS)}
        try:
            if not self._tells:
                self._mine_skipped_blocks()
                self.client.request("evm_setNextBlockTimestamp", self._timestamp)
                answer = self.client.request("eth_call", call, "pending")
            else:
                block = {"time": hex(self._timestamp), "number": hex(self.next_number)}
                answer = self.client.request("eth_call", call, "latest", {}, block)
        except RpcError as error:
            return RawResult(False, _parse_revert_data(error), (), 0)
        return RawResult(True, bytes.fromhex(answer[2:]), (), 0)

    def read_slots(self, slots: Sequence[Slot]) -> list[int]:
        return self._reader.read_slot_words_in_batch(slots)

    def read_nonzero_slots(self, addresses: Sequence[str]) -> dict[Slot, int]:
        state = self.client.request("anvil_dumpState")
        accounts = json.loads(gzip.decompress(bytes.fromhex(state[2:])))["accounts"]
        return {
            (address, int(slot, 16)): int(word, 16)
            for address in addresses
            for slot, word in accounts[address]["storage"].items()
            if int(word, 16)
        }

    def write_slots(self, words: Mapping[Slot, int]) -> None:
        calls = [(address, hex(slot), f"{word:#066x}") for (address, slot), word in words.items()]
        self.client.call_method_in_batches("hardhat_setStorageAt", calls)

    def snapshot(self) -> Any:
        return self.client.request("evm_snapshot"), self._timestamp, self._number, self._least

    def restore_snapshot(self, snapshot: Any) -> None:
        name, self._timestamp, self._number, self._least = snapshot
        if not self.client.request("evm_revert", name):
            raise BackstopError("the node has lost a snapshot: give the run a node of its own")
        self._block_time = -1  # the next block has to be told its time

    def get_code_size(self, address: str) -> int:
        return len(self.client.request("eth_getCode", address, "latest")) // 2 - 1

    def get_mined_block_or_zero(self) -> int:
        return int(self.client.request("eth_blockNumber"), 16)

    def close(self) -> None:
        self.client.close()
        if self.process is not None:
            self.process.stop_process()

    def _mine_block_then_query_node(
        self, transactions: list[dict[str, Any]], *questions: tuple[str, tuple[Any, ...]]
    ) -> list[Any]:
        """Mine transactions in one block; return their receipts, then the answers to `questions`."""
        self._mine_skipped_blocks()
        sent: list[tuple[str, tuple[Any, ...]]] = []
        if self._timestamp != self._block_time or not self._tells:
            sent.append(("evm_setNextBlockTimestamp", (self._timestamp,)))
            self._block_time = self._timestamp
        if self._answers_mined:
            if len(transactions) == 1:
                return self._mine_transaction_between_calls(sent, transactions[0], questions)
            sent.append(("evm_setAutomine", (False,)))
            questions += (("evm_setAutomine", (True,)),)
            if len(transactions) > _IN_ORDER:
                transactions = self._assign_nonces(transactions)
        for transaction in transactions:
            sender = transaction["from"]
            if not self._tells and sender not in self._impersonated:
                self.client.request("hardhat_impersonateAccount", sender)
                self._impersonated.add(sender)
            sent.append(("eth_sendTransaction", (transaction | {"gas": hex(CALL_GAS), "gasPrice": "0x0"},)))
        sent.append(("evm_mine", ()))
        # In exchanges that Anvil takes in order: of longer ones it may run some calls before others.
        answers: list[Any] = []
        for start in range(0, len(sent), _IN_ORDER):
            answers += self._request_in_order(sent[start : start + _IN_ORDER])
        names = answers[-1 - len(transactions) : -1]
        if self._tells:
            receipts, *told = self._request_in_order([("eth_getBlockReceipts", ("latest",)), *questions])
        else:
            receipts, *told = [[self.client.request("eth_getTransactionReceipt", name) for name in names]]
        if None in receipts:
            raise BackstopError(f"the node did not mine {names[0]}: is its block gas limit too low?")
        mined = [receipt["transactionHash"] for receipt in receipts]
        if mined != names:
            if sorted(mined) == sorted(names):
                raise BackstopError("the node mined the calls in another order: run it again")
            raise BackstopError("another process uses the node: give the run a node of its own")
        self._number = int(receipts[-1]["blockNumber"], 16)
        return [receipts, *told]

    def _assign_nonces(self, transactions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the transactions with their nonces added.

        Anvil gives two transactions that it receives at the same time the same nonce. With nonces given they
        also keep their order.
        """
        senders = list(dict.fromkeys(transaction["from"] for transaction in transactions))
        counts: list[str] = []
        for start in range(0, len(senders), _IN_ORDER):
            some = senders[start : start + _IN_ORDER]
            counts += self._request_in_order(
                [("eth_getTransactionCount", (sender, "latest")) for sender in some]
            )
        following = {sender: int(count, 16) for sender, count in zip(senders, counts, strict=True)}
        numbered = []
        for transaction in transactions:
            number = following[transaction["from"]]
            following[transaction["from"]] += 1
            numbered.append(transaction | {"nonce": hex(number)})
        return numbered

    def _mine_transaction_between_calls(
        self,
        calls_before: list[tuple[str, tuple[Any, ...]]],
        transaction: dict[str, Any],
        calls_after: tuple[tuple[str, tuple[Any, ...]], ...],
    ) -> list[Any]:
        """Mine a single transaction with one request less than for a block of several.

        Return its receipt in a list, then the answers to `calls_after`.
        """
        call = transaction | {"gas": hex(CALL_GAS), "gasPrice": "0x0"}
        receipt = self._request_in_order([*calls_before, ("eth_sendTransactionSync", (call,))])[-1]
        self._number = int(receipt["blockNumber"], 16)
        return [[receipt], *(self._request_in_order(list(calls_after)) if calls_after else ())]

    def _request_in_order(self, calls: list[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        """Send RPC calls in order and return their results; raise RpcError if the node refuses any.

        The calls are sent as one batch if the node keeps its order.
        """
        if not self._tells:
            return [self.client.request(method, *parameters) for method, parameters in calls]
        results = self.client.request_batch_keeping_errors(calls)
        for result in results:
            if isinstance(result, RpcError):
                raise result
        return results

    def _mine_with_dry_run(self, transaction: dict[str, Any]) -> RawResult:
        """Mine one transaction and return its result, with the return data of a dry run before it.

        This is for nodes that do not report the return data of a mined transaction.
        """
        foreseen = self.static_call(
            transaction["from"], transaction["to"], bytes.fromhex(transaction["data"][2:])
        )
        ((receipt,),) = self._mine_block_then_query_node([transaction])
        return _build_result(receipt, foreseen.data, None)

    def _mine_skipped_blocks(self) -> None:
        """Mine the skipped blocks, empty, at the time of the last block."""
        missing = self._least - self._number - 1
        if missing > 0:
            self.client.request("hardhat_mine", hex(missing), "0x0")
            self._number += missing


class AnvilHost(RpcHost):
    """Chain host on a temporary Anvil node, which is killed with this process and keeps little history."""

    name = "anvil"
    process: AnvilProcess
    _answers_mined = True

    def __init__(self, timestamp: int = GENESIS, chain_id: int = CHAIN_ID) -> None:
        self.process = AnvilProcess(
            "--no-mining",
            "--disable-block-gas-limit",  # a block takes as many calls as it is given
            *("--prune-history", "100", "--transaction-block-keeper", "10"),
            *("--port", "0", "--no-request-size-limit"),
            *("--fork-url", _start_empty_chain(timestamp, chain_id).socket, "--no-storage-caching"),
            *("--chain-id", str(chain_id)),
        )
        self.path = self.process.socket
        try:
            super().__init__(self.process.connect_client(self.path))
            # From now on a block takes the time of the one before it, unless told otherwise.
            self.client.request("anvil_setBlockTimestampInterval", 0)
            # A transaction that is sent alone is mined at once.
            self.client.request("evm_setAutomine", True)
        except BaseException:
            self.process.stop_process()
            raise


class AnvilProcess(NodeProcess):
    """Anvil node as a child process, which ends with this process.

    Log, socket and old chain states are in a temporary folder, which is removed with the process. Otherwise
    gigabytes of them would stay in the home directory.
    """

    def __init__(self, *flags: str, throw_away: bool = True) -> None:
        command = [find_anvil_on_path(), "--quiet", "--hardfork", "cancun", *flags]
        super().__init__("anvil")
        self.socket = str(self.folder / "ipc")
        command += ["--cache-path", str(self.folder), "--ipc", self.socket]
        if throw_away:  # any sender, no fees
            command += ["--auto-impersonate", "--order", "fifo"]
            command += ["--gas-price", "0", "--base-fee", "0", "--disable-min-priority-fee"]
        self._start_process(command)

    @property
    def is_listening(self) -> bool:
        """True once the node has created its socket, which happens after it opened its port."""
        return Path(self.socket).exists()


@cache
def _start_empty_chain(timestamp: int, chain_id: int) -> AnvilProcess:
    """Start the chain with an empty first block that temporary Anvil nodes of this process fork.

    Except on forks, Anvil hashes the whole state for each block, which soon takes longer than its execution.
    """
    process = AnvilProcess("--port", "0", "--timestamp", str(timestamp), "--chain-id", str(chain_id))
    process.connect_client(process.socket).close()
    return process


def find_anvil_on_path() -> str:
    """Return the path of Anvil, beside the running Python or on PATH; raise BackstopError without one."""
    path = os.pathsep.join((str(Path(sys.prefix) / "bin"), os.environ.get("PATH", "")))
    found = shutil.which("anvil", path=path)
    if found is None:
        mend = "run `make setup`" if CHECKOUT is not None else "get Foundry, with `foundryup`"
        raise BackstopError(f"anvil is not installed: {mend}; hosts have --host revm instead")
    return found


def can_run_anvil() -> bool:
    """Return True if Anvil is installed and runs on this machine's processor."""
    try:
        return subprocess.run([find_anvil_on_path(), "--version"], capture_output=True).returncode == 0
    except (BackstopError, OSError):  # none, or that of another processor
        return False


def _build_result(receipt: dict[str, Any], output: bytes, changed: dict[Slot, int] | None) -> RawResult:
    return RawResult(
        receipt["status"] == "0x1", output, _parse_raw_logs(receipt), int(receipt["gasUsed"], 16), changed
    )


def _parse_changed_words_by_slot(state_diff: dict[str, Any]) -> dict[Slot, int]:
    """Return the new words of all slots that a state diff changes."""
    return {
        (address.lower(), int(slot, 16)): int(change["*"]["to"], 16)
        for address, account in state_diff.items()
        for slot, change in account["storage"].items()
        if change["*"]["from"] != change["*"]["to"]
    }


def _parse_raw_logs(receipt: dict[str, Any]) -> tuple[RawLog, ...]:
    return tuple(
        [
            RawLog(
                log["address"].lower(),
                tuple([bytes.fromhex(topic[2:]) for topic in log["topics"]]),
                bytes.fromhex(log["data"][2:]),
            )
            for log in receipt["logs"]
        ]
    )


def _parse_revert_data(error: RpcError) -> bytes:
    if error.data or "revert" in error.reason:
        return bytes.fromhex(error.data[2:])
    if "InvalidFEOpcode" in error.reason or "invalid opcode" in error.reason:
        return b""
    raise error
