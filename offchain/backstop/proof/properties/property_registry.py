"""The registry of numbered properties: one function asserts each, and has the number as a decorator.

The sentences are in docs/reference/properties.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from backstop.lockstep.property_violation import ViolationError
from backstop.proof.properties.lockstep_interface import LockstepLike
from backstop.system import Snapshot

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem

F = TypeVar("F", bound=Callable[..., Any])


class PropertyViolationError(ViolationError):
    """Error raised when a numbered property does not hold."""

    number = 0

    def add_property_number(self, property_number: int) -> None:
        """Store the property's number in `number` and add it to the error message."""
        self.number = property_number
        self.add_property_name(str(property_number))


class CounterfactualSeed(NamedTuple):
    """Reproducible trial of a what-if property: the property's number and the random seed."""

    number: int
    seed: int


class PropertyHistory(Protocol):
    """Interface of a checker that records the history of a system and checks each step against it.

    It is created from the state of the system at that time.
    """

    def check_step(self, step: Any, changes: Any) -> None:
        """Record a successful step and its storage changes; raise PropertyViolationError on a violation."""


class StepFilter(NamedTuple):
    """Filter that selects the steps in which a property is checked.

    A step matches if it has one of the named storage writes, calls or events. An empty filter matches each
    step. In other steps the property reads and records nothing, as a test checks.
    """

    writes: frozenset[str]
    """Paths of tables, in whichever contract, of which a slot changes."""
    calls: frozenset[str]
    """"Contract.method", "Contract.*" or "*.method", as the action names it."""
    events: frozenset[str]
    """"Contract.Event", "Contract.*" or "*.Event"."""

    def is_match(self, writes: frozenset[str], calls: frozenset[str], events: frozenset[str]) -> bool:
        """Return whether the filter is empty or shares an element with the step's writes, calls or events."""
        return not any(self) or bool(self.writes & writes or self.calls & calls or self.events & events)


PROPERTIES: dict[int, Callable[..., Any]] = {}
OCCASIONS: dict[int, StepFilter] = {}
STATE_PROPERTIES: dict[int, Callable[[Snapshot, Mapping[str, str]], None]] = {}
TRANSITION_PROPERTIES: dict[int, Callable[..., None]] = {}
# Properties that today's rules break: asserted only where somebody asks for it.
TRANSITION_PROMISES: dict[int, Callable[..., None]] = {}
HISTORY_PROMISES: dict[int, Callable[[ModelSystem], PropertyHistory]] = {}
HISTORY_PROPERTIES: dict[int, Callable[[ModelSystem], PropertyHistory]] = {}
# Properties of calls that are refused: what nothing may stand in the way of.
REFUSAL_PROPERTIES: dict[int, Callable[..., None]] = {}
COUNTERFACTUAL_PROPERTIES: dict[int, Callable[[LockstepLike, Random], bool]] = {}


def asserts_property(number: int) -> Callable[[F], F]:
    """Return a decorator that registers a function as the checker of a numbered property.

    It is used alone for properties that a test plays. Raises ValueError if another function has the number.
    """

    def register(function: F) -> F:
        if PROPERTIES.get(number, function).__qualname__ != function.__qualname__:
            raise ValueError(f"property {number} is asserted twice")
        PROPERTIES[number] = function
        return function

    return register


def _build_numbered_property_decorator(
    properties_by_number: dict[int, Any],
) -> Callable[..., Callable[[F], F]]:
    """Return a decorator factory that registers checkers in `properties_by_number`.

    The decorator takes the property's number and the storage writes, calls and events that trigger it.
    """

    def numbered(
        number: int, *, writes: Iterable[str] = (), calls: Iterable[str] = (), events: Iterable[str] = ()
    ) -> Callable[[F], F]:
        def register(function: F) -> F:
            properties_by_number[number] = asserts_property(number)(function)
            OCCASIONS[number] = StepFilter(frozenset(writes), frozenset(calls), frozenset(events))
            # In the order of the numbers, whichever module is imported first: what is chosen by a seed stays.
            for each in sorted(properties_by_number):
                properties_by_number[each] = properties_by_number.pop(each)
            return function

        return register

    return numbered


@lru_cache(maxsize=2**14)
def select_triggered(
    numbers: tuple[int, ...],
    contract: str,
    method: str,
    writes: frozenset[str],
    events: frozenset[tuple[str, str]],
) -> tuple[int, ...]:
    """Return the numbers of the properties that a call triggers, in the given order.

    `contract` and `method` name the call. `writes` holds the paths of changed storage tables, `events` pairs
    of contract and event. A property without a step filter is always returned.
    """
    calls = frozenset(_list_exact_and_wildcard_names(contract, method))
    told = frozenset([spelling for event in events for spelling in _list_exact_and_wildcard_names(*event)])
    return tuple([n for n in numbers if n not in OCCASIONS or OCCASIONS[n].is_match(writes, calls, told)])


def _list_exact_and_wildcard_names(contract: str, member_name: str) -> tuple[str, str, str]:
    return f"{contract}.{member_name}", f"{contract}.*", f"*.{member_name}"


def check_chosen_properties_in_order(
    properties_by_number: Mapping[int, Callable[..., Any]], chosen_numbers: Iterable[int], *what: Any
) -> None:
    """Call the checkers of the chosen properties in order, with the arguments `what`.

    Raises PropertyViolationError with the number of the first violated property.
    """
    number = 0
    try:
        for number in chosen_numbers:
            properties_by_number[number](*what)
    except PropertyViolationError as violation:
        violation.add_property_number(number)
        raise


state_property = _build_numbered_property_decorator(STATE_PROPERTIES)
transition_property = _build_numbered_property_decorator(TRANSITION_PROPERTIES)
history_property = _build_numbered_property_decorator(HISTORY_PROPERTIES)
transition_promise = _build_numbered_property_decorator(TRANSITION_PROMISES)
history_promise = _build_numbered_property_decorator(HISTORY_PROMISES)
refusal_property = _build_numbered_property_decorator(REFUSAL_PROPERTIES)
counterfactual_property = _build_numbered_property_decorator(COUNTERFACTUAL_PROPERTIES)
