"""One step as properties see it: the call, its outcome, its writes.

Lockstep has compared the chain's words of every written slot before, so the model's values are the chain's.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from backstop.hosts.model_system import ModelSystem
from backstop.system import Action, Outcome


class Transition(NamedTuple):
    """Successful step and the state after it; `model.changes` has the old values of written slots."""

    action: Action
    outcome: Outcome
    model: ModelSystem

    def read_post_state(self, contract: str, path: str, key: Any = ()) -> Any:
        """Return the value of a storage slot after the step."""
        return self.model.world.contracts[contract].tables[path][key]

    def read_pre_state(self, contract: str, path: str, key: Any = ()) -> Any:
        """Return the value of a storage slot before the step."""
        slot: Any = (contract, path, key)
        changes = self.model.changes
        return changes[slot] if slot in changes else self.read_post_state(contract, path, key)

    def get_contract(self, name: str) -> Any:
        """Return the model of a contract, for example to read its constructor's arguments."""
        return self.model.world.contracts[name]

    def is_call(self, contract: str, method: str) -> bool:
        """Return whether the step is a call of this contract's method."""
        return (self.action.contract, self.action.method) == (contract, method)


class SlotChange(NamedTuple):
    """Storage slot that a step changed: contract, key, old and new value."""

    contract: str
    key: Any
    old: Any
    new: Any


Changes = dict[str, list[SlotChange]]
"""Path of a table -> changes in the tables of that path."""


def collect_changes(step: Transition) -> Changes:
    """Return the storage slots that a step changed in value, grouped by storage path."""
    contracts = step.model.world.contracts
    changes: Changes = {}
    for (contract, path, key), old in step.model.changes.items():
        new = contracts[contract].tables[path][key]
        if new != old:
            changes.setdefault(path, []).append(SlotChange(contract, key, old, new))
    return changes
