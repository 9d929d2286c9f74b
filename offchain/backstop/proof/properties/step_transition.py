"""One successful step, as the properties of a step see it: what the action wrote, and its events.

Lockstep has compared the chain's words of every written slot before, so the model's values are the chain's.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NamedTuple

from backstop.proof.properties.property_registry import (
    HISTORY_PROMISES,
    HISTORY_PROPERTIES,
    REFUSAL_PROPERTIES,
    TRANSITION_PROMISES,
    TRANSITION_PROPERTIES,
    check_chosen_properties_in_order,
    select_triggered,
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

    def read_post_state(self, contract: str, path: str, key: Any = ()) -> Any:
        """Return what a slot holds now."""
        return self.model.world.contracts[contract].tables[path][key]

    def read_pre_state(self, contract: str, path: str, key: Any = ()) -> Any:
        """Return what a slot held before the step."""
        slot: Any = (contract, path, key)
        changes = self.model.changes
        return changes[slot] if slot in changes else self.read_post_state(contract, path, key)

    def get_contract(self, name: str) -> Any:
        """Return a contract of the model, for what it was made with."""
        return self.model.world.contracts[name]

    def is_call(self, contract: str, method: str) -> bool:
        """Return whether the step is a call of a contract's method."""
        return (self.action.contract, self.action.method) == (contract, method)


class SlotChange(NamedTuple):
    """A slot of a table whose value changed."""

    contract: str
    key: Any
    old: Any
    new: Any


Changes = dict[str, list[SlotChange]]
"""Path of a table -> what changed in the tables of that path."""


def check_transition(step: Transition) -> None:
    """Assert the properties that apply to one step; raises PropertyViolationError with its number."""
    changes = collect_changes(step)
    check_chosen_properties_in_order(
        TRANSITION_PROPERTIES,
        _select_triggered_numbers(tuple(TRANSITION_PROPERTIES), step, changes),
        step,
        changes,
    )


def check_refusal_properties(step: Transition) -> None:
    """Assert the properties of a call that was refused; raises PropertyViolationError with its number."""
    contract, method, _, _ = step.action
    numbers = select_triggered(tuple(REFUSAL_PROPERTIES), contract, method, frozenset(), frozenset())
    check_chosen_properties_in_order(REFUSAL_PROPERTIES, numbers, step)


class PropertyMonitor:
    """The properties of steps, and of what has come before them; promises too, where they are asked for.

    A step is asked about the properties that have an occasion in it; one in `_ALL_EVERY` about all.
    """

    def __init__(
        self, model: ModelSystem, *, promises: bool = False, only: Collection[int] | None = None
    ) -> None:
        begun = {**HISTORY_PROPERTIES, **(HISTORY_PROMISES if promises else {})}
        steps = {**TRANSITION_PROPERTIES, **(TRANSITION_PROMISES if promises else {})}
        histories = {n: begin(model).check_step for n, begin in begun.items() if only is None or n in only}
        self._properties = {n: holds for n, holds in steps.items() if only is None or n in only} | histories
        self._numbers = tuple(sorted(self._properties, key=lambda number: number >= _WIDE))
        self._seen = 0

    def __call__(self, step: Transition) -> None:
        """Assert them of the next step; raises PropertyViolationError with the first broken number."""
        changes = collect_changes(step)
        self._seen += 1
        numbers = self._numbers
        if self._seen % _ALL_EVERY:
            numbers = _select_triggered_numbers(numbers, step, changes)
        check_chosen_properties_in_order(self._properties, numbers, step, changes)


def _select_triggered_numbers(
    numbers: tuple[int, ...], step: Transition, changes: Changes
) -> tuple[int, ...]:
    contract, method, _, _ = step.action
    events = frozenset([(log.contract, log.event) for log in step.outcome.logs])
    return select_triggered(numbers, contract, method, frozenset(changes), events)


def collect_changes(step: Transition) -> Changes:
    """Return the slots whose values a step changed."""
    contracts = step.model.world.contracts
    changes: Changes = {}
    for (contract, path, key), old in step.model.changes.items():
        new = contracts[contract].tables[path][key]
        if new != old:
            changes.setdefault(path, []).append(SlotChange(contract, key, old, new))
    return changes


def is_auction_or_workout_unwind(step: Transition) -> bool:
    """Return whether settlement takes an auction or a workout back in this step."""
    return step.is_call("CollateralAuction", "unwind") or step.is_call("Workouts", "unwind")
