"""The properties that apply to a step: those of its own, of its history, of a refusal."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from backstop.lockstep.step_transition import Changes, Transition, collect_changes
from backstop.proof.properties.property_registry import (
    HISTORY_PROMISES,
    HISTORY_PROPERTIES,
    REFUSAL_PROPERTIES,
    TRANSITION_PROMISES,
    TRANSITION_PROPERTIES,
    check_chosen_properties_in_order,
    select_triggered,
)

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem


_WIDE = 198
"""From this number on properties are about all calls: a narrower one tells first."""
_ALL_EVERY = 100
"""Interval of steps after which every property is checked, for any events of the step."""


def check_transition(step: Transition) -> None:
    """Check all step properties that a successful step triggers.

    Raises PropertyViolationError with the number of the first violated property.
    """
    changes = collect_changes(step)
    check_chosen_properties_in_order(
        TRANSITION_PROPERTIES,
        _select_triggered_numbers(tuple(TRANSITION_PROPERTIES), step, changes),
        step,
        changes,
    )


def check_refusal_properties(step: Transition) -> None:
    """Check all refusal properties that a reverted call triggers.

    Raises PropertyViolationError with the number of the first violated property.
    """
    contract, method, _, _ = step.action
    numbers = select_triggered(tuple(REFUSAL_PROPERTIES), contract, method, frozenset(), frozenset())
    check_chosen_properties_in_order(REFUSAL_PROPERTIES, numbers, step)


class PropertyMonitor:
    """Callable that checks each successful step against the step and history properties.

    A step is checked against the properties that it triggers. Each hundredth step is checked against all of
    them. `promises` adds properties that today's rules do not keep, and `only` restricts the numbers.
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
        """Check the next successful step; raise PropertyViolationError with the first violated number."""
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


def is_auction_or_workout_unwind(step: Transition) -> bool:
    """Return whether the step returns an auction's or a workout's lot to its vault in settlement."""
    return step.is_call("CollateralAuction", "unwind") or step.is_call("Workouts", "unwind")
