"""One successful step, as the properties of a step see it: what the action wrote, and its events.

Lockstep has compared the chain's words of every written slot before, so the model's values are the chain's.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NamedTuple

from backstop.proof.properties.registry import (
    HISTORY_PROMISES,
    HISTORY_PROPERTIES,
    REFUSAL_PROPERTIES,
    TRANSITION_PROMISES,
    TRANSITION_PROPERTIES,
    check_all,
    concerned,
)
from backstop.system import Action, Outcome

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem


_WIDE = 198
"""From this number on properties are about all calls: a narrower one tells first."""
_ALL_EVERY = 100
"""Steps of which one is asked about every property, whatever happens in it."""


class Transition(NamedTuple):
    """One successful step and the state after it; `model.changes` has the old values."""

    action: Action
    outcome: Outcome
    model: ModelSystem

    def after(self, contract: str, path: str, key: Any = ()) -> Any:
        """Return what a slot holds now."""
        return self.model.world.contracts[contract].tables[path][key]

    def before(self, contract: str, path: str, key: Any = ()) -> Any:
        """Return what a slot held before the step."""
        slot: Any = (contract, path, key)
        changes = self.model.changes
        return changes[slot] if slot in changes else self.after(contract, path, key)

    def contract(self, name: str) -> Any:
        """Return a contract of the model, for what it was made with."""
        return self.model.world.contracts[name]

    def calls(self, contract: str, method: str) -> bool:
        """Return whether the step is a call of a contract's method."""
        return (self.action.contract, self.action.method) == (contract, method)


class Change(NamedTuple):
    """A slot of a table whose value changed."""

    contract: str
    key: Any
    old: Any
    new: Any


Changes = dict[str, list[Change]]
"""Path of a table -> what changed in the tables of that path."""


def check_transition(step: Transition) -> None:
    """Assert the properties of one step that have an occasion in it; raises Violation with its number."""
    changes = changes_of(step)
    check_all(TRANSITION_PROPERTIES, _concerned(tuple(TRANSITION_PROPERTIES), step, changes), step, changes)


def check_refused(step: Transition) -> None:
    """Assert the properties of a call that was refused; raises Violation with its number."""
    contract, method, _, _ = step.action
    numbers = concerned(tuple(REFUSAL_PROPERTIES), contract, method, frozenset(), frozenset())
    check_all(REFUSAL_PROPERTIES, numbers, step)


class Watch:
    """The properties of steps, and of what has come before them; promises too, where they are asked for.

    A step is asked about the properties that have an occasion in it; one in `_ALL_EVERY` about all.
    """

    def __init__(
        self, model: ModelSystem, *, promises: bool = False, only: Collection[int] | None = None
    ) -> None:
        begun = {**HISTORY_PROPERTIES, **(HISTORY_PROMISES if promises else {})}
        steps = {**TRANSITION_PROPERTIES, **(TRANSITION_PROMISES if promises else {})}
        histories = {n: begin(model).see for n, begin in begun.items() if only is None or n in only}
        self._properties = {n: holds for n, holds in steps.items() if only is None or n in only} | histories
        self._numbers = tuple(sorted(self._properties, key=lambda number: number >= _WIDE))
        self._seen = 0

    def __call__(self, step: Transition) -> None:
        """Assert them of the next step; raises Violation with the number of the first that is broken."""
        changes = changes_of(step)
        self._seen += 1
        numbers = self._numbers
        if self._seen % _ALL_EVERY:
            numbers = _concerned(numbers, step, changes)
        check_all(self._properties, numbers, step, changes)


def _concerned(numbers: tuple[int, ...], step: Transition, changes: Changes) -> tuple[int, ...]:
    contract, method, _, _ = step.action
    events = frozenset([(log.contract, log.event) for log in step.outcome.logs])
    return concerned(numbers, contract, method, frozenset(changes), events)


def changes_of(step: Transition) -> Changes:
    """Return the slots whose values a step changed."""
    contracts = step.model.world.contracts
    changes: Changes = {}
    for (contract, path, key), old in step.model.changes.items():
        new = contracts[contract].tables[path][key]
        if new != old:
            changes.setdefault(path, []).append(Change(contract, key, old, new))
    return changes


def unwinds(step: Transition) -> bool:
    """Return whether settlement takes an auction or a workout back in this step."""
    return step.calls("CollateralAuction", "unwind") or step.calls("Workouts", "unwind")
