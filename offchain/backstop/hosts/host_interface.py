"""The interface of a host of the compiled contracts; all run the same bytecode at the same addresses.

Time: a call runs in a block at exactly the host's `timestamp`; it changes only on request, and several calls
may share it.

Blocks: a call runs in the block `next_number`. That number grows when the caller reports passed blocks, and
on a node with each block that is mined, too: there calls share a number only where they share a block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

CHAIN_ID = 31_337
# 2026-01-01T00:00:00Z, where every throw-away chain and every model starts.
GENESIS = 1_767_225_600
# What one call may use, on every host: the most that a transaction may have (EIP-7825).
CALL_GAS = 2**24


class RawLog(NamedTuple):
    """Undecoded event log of a chain: address in lower case, topics and data."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes


Slot = tuple[str, int]
"""Address and slot number."""


Call = tuple[str, str, bytes]
"""Sender, receiver and call data."""


class RawResult(NamedTuple):
    """Raw result of a call: success, return or revert data, logs, and gas (0 if unknown).

    `changed` maps each changed slot of any contract to its new word; None if the host cannot tell.
    """

    ok: bool
    data: bytes
    logs: tuple[RawLog, ...]
    gas: int
    changed: dict[Slot, int] | None = None


class Host(Protocol):
    """Interface of a chain that runs the compiled contracts."""

    @property
    def name(self) -> str: ...

    @property
    def timestamp(self) -> int: ...

    def set_time(self, timestamp: int) -> None:
        """Set the timestamp of the following blocks [seconds]; it must not decrease."""
        ...

    @property
    def next_number(self) -> int:
        """Number of the block in which the next call runs."""
        ...

    def skip_blocks(self, blocks: int) -> None:
        """Advance the block number by empty blocks.

        Blocks that the node has mined since the last call count. A temporary node mines at most some thousand
        blocks and ignores the rest.
        """
        ...

    def deploy_contract(self, bytecode: bytes, sender: str) -> str:
        """Deploy a contract and return its address, which follows from the sender's nonce."""
        ...

    def run_transaction(self, sender: str, to: str, data: bytes) -> RawResult:
        """Run a transaction and return its result; a revert changes no state."""
        ...

    def run_transactions(self, calls: Sequence[Call]) -> list[RawResult]:
        """Run transactions in order at the same timestamp and return their results."""
        ...

    def list_dry_run_gas_or_empty(self, calls: Sequence[Call]) -> list[int]:
        """Return the gas each transaction would use, run in order in the next block; [] if unknown."""
        ...

    def static_call(self, sender: str, to: str, data: bytes) -> RawResult:
        """Run a read-only call and return its result."""
        ...

    def read_slots(self, slots: Sequence[Slot]) -> list[int]:
        """Return the words of storage slots, in order.

        The host may cache a sequence: if it is passed again, items may only have been appended.
        """
        ...

    def read_nonzero_slots(self, addresses: Sequence[str]) -> dict[Slot, int]:
        """Return every non-zero storage slot of these contracts; slow."""
        ...

    def write_slots(self, words: Mapping[Slot, int]) -> None:
        """Overwrite storage slots directly, without a transaction."""
        ...

    def snapshot(self) -> Any:
        """Return a snapshot of the chain's state.

        It can be restored once; later snapshots must be restored first.
        """
        ...

    def restore_snapshot(self, snapshot: Any) -> None:
        """Restore the chain's state, time and block number from a snapshot."""
        ...

    def get_code_size(self, address: str) -> int: ...

    def get_mined_block_or_zero(self) -> int:
        """Return the number of the last block; 0 if the host never mines blocks."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class StorageRootHost(Protocol):
    """Interface of a chain host that cannot list a contract's storage but returns its storage root."""

    def read_storage_root(self, address: str) -> str:
        """Return the root hash of a contract's storage trie."""
        ...
