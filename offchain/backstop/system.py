"""Three words join everything: Action, Snapshot, System.

Keepers and scenarios produce actions and cannot tell the model from a chain; lockstep applies one
action to both and compares.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple, Protocol

from backstop.contract_base import Log

Snapshot = Mapping[str, Mapping[str, Mapping[Hashable, Any]]]
"""All state, read out and frozen: contract -> storage path -> key -> value (int, bool, address or record)."""


class Action(NamedTuple):
    """One call: the contract's name in the deployment, `args` in ABI order, addresses in lower case."""

    contract: str
    method: str
    args: tuple[Any, ...]
    sender: str


class Outcome(NamedTuple):
    """The outcome of a call: `reason` is None for success, else the revert string ("" for a bare revert)."""

    reason: str | None
    value: Any
    logs: tuple[Log, ...]

    @property
    def ok(self) -> bool:
        return self.reason is None


def count_slots(timestamp: int, seconds: int, block_time: int) -> int:
    """Return how many slots of a chain begin within so many seconds after a time; 0 without a block time."""
    return (timestamp + seconds) // block_time - timestamp // block_time if block_time else 0


class System(Protocol):
    """A protocol deployment that can be operated: the model, or a chain on either host."""

    @property
    def timestamp(self) -> int:
        """Time of the block in which the next action runs, in seconds."""
        ...

    @property
    def next_block_number(self) -> int:
        """Number of the block in which the next action runs."""
        ...

    @property
    def addresses(self) -> Mapping[str, str]:
        """Contract name -> address."""
        ...

    def apply(self, action: Action) -> Outcome:
        """Run one action as a transaction; a revert changes nothing."""
        ...

    def view(self, contract: str, method: str, *args: Any) -> Any:
        """Call a view; raise RevertError as the contract does."""
        ...

    def advance(self, seconds: int, blocks: int | None = None) -> None:
        """Let time pass; the next action runs in a block that much later.

        So many blocks are produced meanwhile. Without a number each slot has one, where the deployment counts
        blocks at all, and none is produced where it does not.
        """
        ...

    def snapshot(self) -> Snapshot:
        """Read out all state."""
        ...
