"""The compiled contracts in process, on py-evm: an interpreter in Python that shares no line with revm.

Anvil and revm are one engine. This one is slow, a witness rather than a tool: it shows that engine's errors,
gas included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from eth.abc import ComputationAPI
from eth.constants import (
    BLANK_ROOT_HASH,
    CREATE_CONTRACT_ADDRESS,
    ZERO_ADDRESS,
    ZERO_HASH32,
)
from eth.db.atomic import AtomicDB
from eth.exceptions import InvalidInstruction, Revert, WriteProtection
from eth.vm.execution_context import ExecutionContext
from eth.vm.forks.cancun.state import CancunState, CancunTransactionExecutor
from eth.vm.forks.cancun.transactions import CancunUnsignedLegacyTransaction
from eth.vm.message import Message
from eth.vm.spoof import SpoofTransaction
from eth_typing import Address, BlockNumber, Hash32

from backstop.errors import BackstopError
from backstop.hosts.host_interface import CALL_GAS, CHAIN_ID, GENESIS, Call, RawLog, RawResult, Slot

# A revert, and how an `assert ..., UNREACHABLE` ends; any other halt is a fault of the setting.
_REVERTS = (Revert, InvalidInstruction, WriteProtection)


class _AnySender(CancunTransactionExecutor):
    """Transaction executor that ignores signature, nonce and balance, and accepts any sender."""

    def validate_transaction(self, transaction: Any) -> None:
        pass


class _TrackedState(CancunState):
    """Chain state that records the slots that a transaction writes, even if reverted."""

    transaction_executor_class = _AnySender

    def __init__(self, *args: Any) -> None:
        self.written: set[tuple[Address, int]] = set()
        super().__init__(*args)

    def set_storage(self, address: Address, slot: int, value: int) -> None:
        self.written.add((address, slot))
        super().set_storage(address, slot, value)


class PyEvmHost:
    """Chain in memory on py-evm, without blocks; slow, used to cross-check the results of revm."""

    name = "py-evm"

    def __init__(self, timestamp: int = GENESIS, chain_id: int = CHAIN_ID) -> None:
        self._chain_id = chain_id
        self._timestamp = timestamp
        self._number = 1
        self._database = AtomicDB()
        self._slots: set[Slot] = set()
        self._load_state(BLANK_ROOT_HASH)

    @property
    def timestamp(self) -> int:
        return self._timestamp

    def set_time(self, timestamp: int) -> None:
        if timestamp < self._timestamp:
            raise BackstopError(f"time cannot go back from {self._timestamp} to {timestamp}")
        self._timestamp = timestamp
        self._state.execution_context = self._build_context()

    @property
    def next_number(self) -> int:
        return self._number

    def skip_blocks(self, blocks: int) -> None:
        self._number += blocks
        self._state.execution_context = self._build_context()

    def deploy_contract(self, bytecode: bytes, sender: str) -> str:
        run, _ = self._apply_transaction(sender, CREATE_CONTRACT_ADDRESS, bytecode)
        self._commit_and_list_changed_slots()
        if run.is_error:
            raise BackstopError(f"a constructor failed: {run.error!r}")
        return _convert_address_to_hex(run.msg.storage_address)

    def run_transaction(self, sender: str, to: str, data: bytes) -> RawResult:
        run, gas = self._apply_transaction(sender, _convert_address_to_20_bytes(to), data)
        changed = self._commit_and_list_changed_slots()
        _raise_unless_revert(run, to)
        logs = tuple(
            RawLog(
                _convert_address_to_hex(address),
                tuple(topic.to_bytes(32, "big") for topic in topics),
                payload,
            )
            for address, topics, payload in run.get_log_entries()
        )
        return RawResult(run.is_success, run.output, logs, gas, changed)

    def run_transactions(self, calls: Sequence[Call]) -> list[RawResult]:
        return [self.run_transaction(*call) for call in calls]

    def list_dry_run_gas_or_empty(self, calls: Sequence[Call]) -> list[int]:
        return []

    def static_call(self, sender: str, to: str, data: bytes) -> RawResult:
        state, receiver, origin = (
            self._state,
            _convert_address_to_20_bytes(to),
            _convert_address_to_20_bytes(sender),
        )
        message = Message(
            gas=CALL_GAS,
            to=receiver,
            sender=origin,
            value=0,
            data=data,
            code=state.get_code(receiver),
            is_static=True,
        )
        context = state.get_transaction_context_class()(gas_price=0, origin=origin)
        run = state.computation_class.apply_message(state, message, context)
        self._commit_and_list_changed_slots()
        _raise_unless_revert(run, to)
        return RawResult(run.is_success, run.output, (), 0)

    def read_slots(self, slots: Iterable[Slot]) -> list[int]:
        word = self._state.get_storage
        return [word(_convert_address_to_20_bytes(address), slot) for address, slot in slots]

    def read_nonzero_slots(self, addresses: Sequence[str]) -> dict[Slot, int]:
        slots = [slot for slot in self._slots if slot[0] in addresses]
        return {slot: word for slot, word in zip(slots, self.read_slots(slots), strict=True) if word}

    def write_slots(self, words: Mapping[Slot, int]) -> None:
        for (address, slot), word in words.items():
            self._state.set_storage(_convert_address_to_20_bytes(address), slot, word)
        self._commit_and_list_changed_slots()

    def snapshot(self) -> Any:
        self._state.persist()
        return self._state.state_root, self._timestamp, self._number

    def restore_snapshot(self, snapshot: Any) -> None:
        root, self._timestamp, self._number = snapshot
        self._load_state(root)

    def get_code_size(self, address: str) -> int:
        return len(self._state.get_code(_convert_address_to_20_bytes(address)))

    def get_mined_block_or_zero(self) -> int:
        return 0

    def close(self) -> None:
        pass

    def _load_state(self, root: Hash32) -> None:
        """Replace the chain state by the one with this state root."""
        self._state = _TrackedState(self._database, self._build_context(), root)

    def _build_context(self) -> ExecutionContext:
        return ExecutionContext(
            coinbase=ZERO_ADDRESS,
            timestamp=self._timestamp,
            block_number=BlockNumber(self._number),
            difficulty=0,
            mix_hash=ZERO_HASH32,
            gas_limit=CALL_GAS,
            prev_hashes=(),
            chain_id=self._chain_id,
            base_fee_per_gas=0,
            excess_blob_gas=0,
        )

    def _apply_transaction(self, sender: str, to: Address, data: bytes) -> tuple[ComputationAPI, int]:
        """Run a transaction; return its computation and the gas used after refunds."""
        unsigned = CancunUnsignedLegacyTransaction(
            nonce=0, gas_price=0, gas=CALL_GAS, to=to, value=0, data=data
        )
        transaction: Any = SpoofTransaction(unsigned, from_=_convert_address_to_20_bytes(sender))
        run = self._state.apply_transaction(transaction)
        used = CALL_GAS - run.get_gas_remaining()
        return run, used - _AnySender.calculate_gas_refund(run, used)

    def _commit_and_list_changed_slots(self) -> dict[Slot, int]:
        """Commit the transaction's writes, and return the new words of all changed slots."""
        state = self._state
        changed = {}
        for address, slot in state.written:
            word = state.get_storage(address, slot)
            if word != state.get_storage(address, slot, from_journal=False):
                changed[_convert_address_to_hex(address), slot] = word
        state.written.clear()
        state.clear_transient_storage()
        state.lock_changes()
        self._slots |= changed.keys()
        return changed


def _raise_unless_revert(computation: ComputationAPI, contract_address: str) -> None:
    if computation.is_error and not isinstance(computation.error, _REVERTS):
        raise BackstopError(f"the call to {contract_address} could not run: {computation.error!r}")


def _convert_address_to_20_bytes(hex_address: str) -> Address:
    return Address(bytes.fromhex(hex_address[2:]))


def _convert_address_to_hex(address_bytes: bytes) -> str:
    return "0x" + address_bytes.hex()
