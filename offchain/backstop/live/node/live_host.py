"""A chain that outlives the command, as a host: signed transactions in, receipts out.

Others use the chain too, and time passes by itself: `timestamp` is the node's word for its next block.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from backstop.errors import BackstopError
from backstop.hosts.batched_slot_reader import SlotReader
from backstop.hosts.host_interface import CALL_GAS, Call, RawLog, RawResult, Slot
from backstop.hosts.rpc_client import NodeUnavailableError, RpcClient, RpcError
from backstop.live.node.chain_driver import ChainDriver
from backstop.live.node.rpc_node import FEE_CAP, Node
from backstop.live.node.signers import Signers

PATIENCE = 120.0
"""Seconds until a transaction that is not mined counts as stuck."""

# As Geth and Hardhat, and Anvil, say that a transaction may use more gas than a block has.
_MORE_THAN_A_BLOCK = ("block gas limit", "block.gas_limit")
# Several such transactions have to fit into one block, or the rest waits for the next.
_IMPERSONATED_GAS = 5_000_000


class LiveHost:
    """Host for a running chain, which signs transactions with `signers` and reads from a node.

    With `impersonate`, a test node accepts unsigned transactions from any sender and provides the coins for
    gas.
    """

    name = "live"

    def __init__(
        self, node: Node, signers: Signers, *, fee_cap: int = FEE_CAP, impersonate: bool = False
    ) -> None:
        self.node = node
        self.signers = signers
        self.fee_cap = fee_cap
        self.impersonate = impersonate
        self._reader = SlotReader(node.client)
        self.driver = ChainDriver(node)
        self._next_nonce: dict[str, int] = {}

    @property
    def timestamp(self) -> int:
        return self.node.next_time()

    def set_time(self, timestamp: int) -> None:
        raise BackstopError("time passes by itself on a chain that stays")

    @property
    def next_number(self) -> int:
        return self.get_mined_block_or_zero() + 1

    def skip_blocks(self, blocks: int) -> None:
        raise BackstopError("blocks come by themselves on a chain that stays")

    def deploy_contract(self, bytecode: bytes, sender: str) -> str:
        receipt = self.wait_for_receipt(self.send_transaction_without_waiting(sender, None, bytecode))
        if receipt["status"] != "0x1":
            raise BackstopError(f"a constructor failed in transaction {receipt['transactionHash']}")
        return str(receipt["contractAddress"]).lower()

    def run_transaction(self, sender: str, to: str, data: bytes) -> RawResult:
        """Send a call, wait until it is mined and return its result; do not send it if it would revert."""
        foreseen = self.static_call(sender, to, data)
        if not foreseen.ok:
            return foreseen
        receipt = self.wait_for_receipt(self.send_transaction_without_waiting(sender, to, data))
        ok, gas = receipt["status"] == "0x1", int(receipt["gasUsed"], 16)
        return RawResult(ok, foreseen.data if ok else b"", raw_logs(receipt), gas)

    def run_transactions(self, calls: Sequence[Call]) -> list[RawResult]:
        """Send calls one after the other and return their results."""
        return [self.run_transaction(*call) for call in calls]

    def snapshot(self) -> Any:
        raise BackstopError("a chain that stays cannot be taken back")

    def restore_snapshot(self, snapshot: Any) -> None:
        raise BackstopError("a chain that stays cannot be taken back")

    def list_dry_run_gas_or_empty(self, calls: Sequence[Call]) -> list[int]:
        return []

    def static_call(
        self, sender: str, to: str, data: bytes, block: str = "pending", gas: int = CALL_GAS
    ) -> RawResult:
        call = {"from": sender, "to": to, "data": "0x" + data.hex(), "gas": hex(gas)}
        try:
            answer = self.node.request("eth_call", call, block)
        except RpcError as error:
            return _build_reverted_result(error)
        return RawResult(True, bytes.fromhex(answer[2:]), (), 0)

    def dry_run_with_gas(
        self, sender: str, to: str, data: bytes, client: RpcClient | None = None
    ) -> RawResult:
        """Return the result of a call in the next block with its gas, without sending it.

        Result and gas are asked in one exchange. `client` is another node to ask than the node in use.
        """
        call = {"from": sender, "to": to, "data": "0x" + data.hex(), "gas": hex(CALL_GAS)}
        wanted = (("eth_call", (call, "pending")), ("eth_estimateGas", (call, "pending")))
        answer, gas = (client or self.node.client).request_batch_keeping_errors(wanted)
        if not isinstance(answer, RpcError) and _is_above_gas_cap(gas):
            gas = hex(self._search_gas(call))
        for each in (answer, gas):  # somebody may be faster, between the two
            if isinstance(each, RpcError):
                return _build_reverted_result(each)
        return RawResult(True, bytes.fromhex(answer[2:]), (), int(gas, 16))

    def send_transaction_without_waiting(self, sender: str, to: str | None, data: bytes) -> str:
        """Sign and send a transaction, and return its hash at once.

        `to` None creates a contract. Several transactions of one sender keep their order. Raise BackstopError
        if there is no key for the sender or the node refuses.
        """
        call: dict[str, Any] = {"from": sender, "data": "0x" + data.hex()}
        if to is not None:
            call["to"] = to
        self.driver.hold_time()
        if self.impersonate:
            self.driver.play_sender(sender)
            return str(self.node.request("eth_sendTransaction", call | {"gas": hex(_IMPERSONATED_GAS)}))
        if not self.signers.can_sign(sender):
            raise BackstopError(f"no key to sign for {sender}; expected its account, --account ROLE=ALIAS")
        fees = self.node.offer_fees(self.fee_cap)
        gas = gas_limit(self.estimate_gas(call))
        nonce = self._next_nonce.get(sender)
        if nonce is None:
            nonce = self.node.get_nonce(sender)
        transaction = {
            "type": 2,
            "chainId": self.node.chain_id,
            "nonce": nonce,
            "to": _checksum_address(to),
            "value": 0,
            "data": call["data"],
            "gas": gas,
            "maxFeePerGas": fees.most,
            "maxPriorityFeePerGas": fees.tip,
        }
        try:
            sent = str(
                self.node.request(
                    "eth_sendRawTransaction", self.signers.sign_transaction(sender, transaction)
                )
            )
        except RpcError as error:
            self._next_nonce.pop(sender, None)
            raise _explain_error(error, sender, gas * fees.most) from None
        except NodeUnavailableError:
            self._next_nonce.pop(sender, None)
            raise
        self._next_nonce[sender] = nonce + 1
        return sent

    def estimate_gas(self, call: dict[str, Any]) -> int:
        """Return the gas that a call would use in the next block; raise RpcError if it reverts."""
        try:
            return int(self.node.request("eth_estimateGas", call | {"gas": hex(CALL_GAS)}, "pending"), 16)
        except RpcError as error:
            if _is_above_gas_cap(error):
                return self._search_gas(call)
            raise

    def _search_gas(self, call: dict[str, Any]) -> int:
        """Return the gas that a call needs in the next block, found by bisection to 1/64 above it.

        Hardhat 2 tries half of a block's gas in its own search, and then refuses that as more than a
        transaction may have.
        """
        least, most = 0, CALL_GAS
        self.node.request("eth_call", call | {"gas": hex(most)}, "pending")
        while most - least > most // 64:
            gas = (least + most) // 2
            try:
                self.node.request("eth_call", call | {"gas": hex(gas)}, "pending")
                most = gas
            except RpcError:
                least = gas
        return most

    def wait_for_receipt(self, sent: str, patience: float = PATIENCE) -> dict[str, Any]:
        """Wait until a transaction is mined and return its receipt.

        Raise NodeUnavailableError after `patience` seconds.
        """
        deadline, pause = time.monotonic() + patience, 0.001
        nudge = time.monotonic() + 1
        while True:
            receipt = self.node.request("eth_getTransactionReceipt", sent)
            if receipt is not None:
                # From here on the node knows the nonce better.
                self._next_nonce.pop(receipt["from"].lower(), None)
                return dict(receipt)
            if time.monotonic() > deadline:
                self._next_nonce.clear()
                raise NodeUnavailableError(f"transaction {sent} was not mined within {patience:.0f} s")
            if self.impersonate and time.monotonic() > nudge:
                # Automine looks at new transactions only: one that had no room would wait for another.
                self.node.request("evm_mine")
                nudge = time.monotonic() + 1
            time.sleep(pause)
            pause = min(2 * pause, 0.5)

    def read_slots(self, slots: Sequence[Slot], block: str = "latest") -> list[int]:
        return self._reader.read_slot_words_in_batch(slots, block)

    def read_nonzero_slots(self, addresses: Sequence[str]) -> dict[Slot, int]:
        raise BackstopError("a chain that stays cannot list its storage")

    def write_slots(self, words: Mapping[Slot, int]) -> None:
        raise BackstopError("the storage of a chain that stays cannot be overwritten")

    def get_code_size(self, address: str) -> int:
        return len(self.node.request("eth_getCode", address, "latest")) // 2 - 1

    def get_mined_block_or_zero(self) -> int:
        return int(self.node.request("eth_blockNumber"), 16)

    def close(self) -> None:
        self.node.client.close()


def _is_above_gas_cap(answer: Any) -> bool:
    """Return whether a node's gas estimate failed because it tried more gas than a transaction may have."""
    return isinstance(answer, RpcError) and "is greater than the cap" in answer.reason


def gas_limit(used: int) -> int:
    """Return the gas limit for a call that would now use `used` gas.

    It is a quarter and 20,000 gas higher, since the state may change first, up to the limit of one call.
    """
    return min(used * 5 // 4 + 20_000, CALL_GAS)


def raw_logs(receipt: dict[str, Any]) -> tuple[RawLog, ...]:
    """Return the undecoded events of a transaction receipt."""
    return tuple(
        RawLog(
            log["address"].lower(),
            tuple([bytes.fromhex(topic[2:]) for topic in log["topics"]]),
            bytes.fromhex(log["data"][2:]),
        )
        for log in receipt["logs"]
    )


def revert_data(error: RpcError) -> bytes | None:
    """Return the data with which a call reverted; None if the error is no revert."""
    if error.data or "revert" in error.reason:
        return bytes.fromhex(error.data[2:])
    if "InvalidFEOpcode" in error.reason or "invalid opcode" in error.reason.lower():
        return b""
    return None


def _build_reverted_result(error: RpcError) -> RawResult:
    """Return the result of a reverted call for an error of the node; raise any other error."""
    data = revert_data(error)
    if data is None:
        raise error
    return RawResult(False, data, (), 0)


def _explain_error(error: RpcError, sender: str, cost: int) -> BackstopError:
    if "insufficient funds" in error.reason.lower():
        return BackstopError(f"{sender} cannot pay for gas: up to {cost / 10**18:.4f} coins are needed")
    if any(each in error.reason.lower() for each in _MORE_THAN_A_BLOCK):
        return BackstopError(
            f"a block has no room for the gas of a call ({error.reason}): have blocks take {CALL_GAS:_} gas "
            "or more, by `blockGasLimit` in the network of Hardhat's configuration, by --gas-limit of Anvil"
        )
    return error


def _checksum_address(address: str | None) -> str | bytes:
    from eth_utils.address import to_checksum_address

    # Creation has no receiver.
    return b"" if address is None else str(to_checksum_address(address))
