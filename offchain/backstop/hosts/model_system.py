"""The model behind the System interface."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from backstop.contract_base import RevertError, World, Written
from backstop.hosts.model_native_crypto import use_native_crypto
from backstop.system import Action, Outcome, Snapshot, count_slots


class ModelSystem:
    """Reference model of the contracts, with the System interface (actions, views, snapshots).

    `changes` maps each slot that the last action wrote to its previous value; it is empty after a revert.
    With `revocable` the world keeps its journal, so that the caller can roll actions back. The journal then
    grows without limit.
    """

    def __init__(self, world: World, *, revocable: bool = False, block_time: int = 0) -> None:
        """Wrap a model world; `block_time` is the seconds per block, 0 if block numbers do not matter."""
        use_native_crypto()
        self.world = world
        self.block_time = block_time
        self.changes: dict[Written, Any] = {}
        self._revocable = revocable

    @property
    def timestamp(self) -> int:
        return self.world.timestamp

    @property
    def next_block_number(self) -> int:
        return self.world.block_number

    @property
    def addresses(self) -> Mapping[str, str]:
        return {name: contract.address for name, contract in self.world.contracts.items()}

    def apply(self, action: Action) -> Outcome:
        """Run one action and return its outcome; a revert rolls back all writes.

        An applied action cannot be rolled back later, unless the system is revocable.
        """
        world = self.world
        mark = world.mark()
        try:
            value = self._get_method(action.contract, action.method)(action.sender, *action.args)
        except RevertError as revert:
            world.roll_back(mark)
            self.changes = {}
            return Outcome(revert.reason, None, ())
        self.changes = world.get_old_values_by_slot(mark)
        logs = tuple(world.logs[mark[1] :])
        world.logs.clear()
        if not self._revocable:
            world.journal.clear()
        return Outcome(None, value, logs)

    @contextmanager
    def fork_state(self) -> Iterator[None]:
        """Context manager that reverts all changes made inside it; it can be nested."""
        world = self.world
        time, changes, revocable = (world.timestamp, world.block_number), self.changes, self._revocable
        self._revocable = True
        mark = world.mark()
        try:
            yield
        finally:
            world.roll_back(mark)
            (world.timestamp, world.block_number), self.changes = time, changes
            self._revocable = revocable

    def dry_run(self, action: Action) -> Outcome:
        """Return the outcome that an action would have, without changing state."""
        world = self.world
        mark = world.mark()
        try:
            value = self._get_method(action.contract, action.method)(action.sender, *action.args)
            return Outcome(None, value, tuple(world.logs[mark[1] :]))
        except RevertError as revert:
            return Outcome(revert.reason, None, ())
        finally:
            world.roll_back(mark)

    def view(self, contract: str, method: str, *args: Any) -> Any:
        """Return the result of a view function, called from the zero address."""
        return self._get_method(contract, method)("0x" + "00" * 20, *args)

    def advance(self, seconds: int, blocks: int | None = None) -> None:
        world = self.world
        world.block_number += (
            count_slots(world.timestamp, seconds, self.block_time) if blocks is None else blocks
        )
        world.timestamp += seconds

    def snapshot(self) -> Snapshot:
        """Return a copy of every table; the values are immutable, so a shallow copy is enough."""
        return {
            name: {path: dict(table) for path, table in contract.tables.items()}
            for name, contract in self.world.contracts.items()
        }

    def get_live_tables(self) -> Snapshot:
        """Return all tables without a copy; they are valid until the next action."""
        return {name: contract.tables for name, contract in self.world.contracts.items()}

    def _get_method(self, contract: str, method: str) -> Any:
        bound = getattr(self.world.contracts[contract], method)
        if "abi" not in bound.__func__.__dict__:
            raise AttributeError(f"{contract}.{method} is not part of the ABI")
        return bound
