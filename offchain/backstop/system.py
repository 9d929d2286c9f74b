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
    """One contract call: name of the contract in the deployment, method, arguments in ABI order, sender."""

    contract: str
    method: str
    args: tuple[Any, ...]
    sender: str


class Outcome(NamedTuple):
    """Result of a call: return value and events, or the revert reason.

    `reason` is None for success, "" for a revert without a reason.
    """

    reason: str | None
    value: Any
    logs: tuple[Log, ...]

    @property
    def ok(self) -> bool:
        return self.reason is None


def count_slots(timestamp: int, seconds: int, block_time: int) -> int:
    """Return how many block slots begin within `seconds` after a timestamp; 0 without a block time."""
    return (timestamp + seconds) // block_time - timestamp // block_time if block_time else 0


class System(Protocol):
    """Interface of a deployed protocol: the exact model, or contracts on a chain."""

    @property
    def timestamp(self) -> int:
        """Timestamp of the block in which the next action runs [seconds]."""
        ...

    @property
    def next_block_number(self) -> int:
        """Number of the block in which the next action runs."""
        ...

    @property
    def addresses(self) -> Mapping[str, str]:
        """Address of each contract, by its name in the deployment."""
        ...

    def apply(self, action: Action) -> Outcome:
        """Run one action as a transaction and return its outcome; a revert changes no state."""
        ...

    def view(self, contract: str, method: str, *args: Any) -> Any:
        """Return the result of a view function; raise RevertError if it reverts."""
        ...

    def advance(self, seconds: int, blocks: int | None = None) -> None:
        """Advance the time of the next action by `seconds` and the block number by `blocks`.

        Without `blocks` one block is produced for each slot of the block time; none if the deployment has no
        block time.
        """
        ...

    def snapshot(self) -> Snapshot:
        """Return a copy of the whole state."""
        ...
