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
    """An event as the chain gives it; the address in lower case."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes


Slot = tuple[str, int]
"""Address and slot number."""


Call = tuple[str, str, bytes]
"""Sender, receiver and call data."""


class RawResult(NamedTuple):
    """The raw result of a call: `data` is its return or revert data. Gas is 0 where it is not known.

    `changed` is every slot of any contract that has a new word, None where the host cannot tell.
    """

    ok: bool
    data: bytes
    logs: tuple[RawLog, ...]
    gas: int
    changed: dict[Slot, int] | None = None


class Host(Protocol):
    """A chain to run on."""

    @property
    def name(self) -> str: ...

    @property
    def timestamp(self) -> int: ...

    def set_time(self, timestamp: int) -> None:
        """Set the time of the blocks from now on; never earlier than before."""
        ...

    @property
    def next_number(self) -> int:
        """Number of the block in which the next call runs."""
        ...

    def skip_blocks(self, blocks: int) -> None:
        """Produce empty blocks, as many less those that a node has mined since the last time.

        A node of our own produces some thousands at once, and misses the slots of the others.
        """
        ...

    def deploy_contract(self, bytecode: bytes, sender: str) -> str:
        """Create a contract; the address follows from the sender's nonce."""
        ...

    def run_transaction(self, sender: str, to: str, data: bytes) -> RawResult:
        """Run a transaction; a revert changes nothing."""
        ...

    def run_transactions(self, calls: Sequence[Call]) -> list[RawResult]:
        """Run transactions in order, at one time."""
        ...

    def list_dry_run_gas_or_empty(self, calls: Sequence[Call]) -> list[int]:
        """Return what each of some transactions would take, in order in the next block; [] if not known."""
        ...

    def static_call(self, sender: str, to: str, data: bytes) -> RawResult:
        """Run a call that changes nothing."""
        ...

    def read_slots(self, slots: Sequence[Slot]) -> list[int]:
        """Read the words in many slots, in order. Sequences handed in again may only have grown."""
        ...

    def read_nonzero_slots(self, addresses: Sequence[str]) -> dict[Slot, int]:
        """Read every slot of these contracts that is not zero; slow."""
        ...

    def write_slots(self, words: Mapping[Slot, int]) -> None:
        """Overwrite slots, as no transaction could."""
        ...

    def snapshot(self) -> Any:
        """Take a snapshot, which can be restored once, the last one first."""
        ...

    def restore_snapshot(self, snapshot: Any) -> None:
        """Undo everything since the snapshot, time and block number included."""
        ...

    def get_code_size(self, address: str) -> int: ...

    def get_mined_block_or_zero(self) -> int:
        """Return the number of the last block; 0 where no block is ever mined."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class StorageRootHost(Protocol):
    """A host that cannot list a contract's storage, and tells the root of all of it."""

    def read_storage_root(self, address: str) -> str:
        """Read the root of a contract's storage, as a header's state root binds it."""
        ...
