"""Which function asserts which numbered property: one each, and its number stands where it is defined.

The sentences are in docs/properties.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from offchain.errors import BackstopError
from offchain.system import Snapshot

if TYPE_CHECKING:
    from offchain.lockstep import Lockstep
    from offchain.properties.transition import Changes, Transition

F = TypeVar("F", bound=Callable[..., Any])


class Violation(BackstopError):
    """A numbered property does not hold."""

    number = 0


class Question(NamedTuple):
    """What a counterfactual property is asked: its number, and the seed of all that is chosen on the way."""

    number: int
    seed: int


PROPERTIES: dict[int, Callable[..., Any]] = {}
STATE_PROPERTIES: dict[int, Callable[[Snapshot, Mapping[str, str]], None]] = {}
TRANSITION_PROPERTIES: dict[int, Callable[[Transition, Changes], None]] = {}
COUNTERFACTUAL_PROPERTIES: dict[int, Callable[[Lockstep, Random], bool]] = {}


def asserts(number: int) -> Callable[[F], F]:
    """Mark the one function that asserts a property, where it is neither of the three kinds below."""

    def register(function: F) -> F:
        if PROPERTIES.get(number, function).__qualname__ != function.__qualname__:
            raise ValueError(f"property {number} is asserted twice")
        PROPERTIES[number] = function
        return function

    return register


def _registers_in(kind: dict[int, Any]) -> Callable[[int], Callable[[F], F]]:
    """A decorator that gives a function its number and lists it under its kind."""

    def numbered(number: int) -> Callable[[F], F]:
        def register(function: F) -> F:
            @wraps(function)
            def asserted(*args: Any) -> Any:
                try:
                    return function(*args)
                except Violation as violation:
                    if not violation.number:
                        violation.number = number
                        violation.args = (f"property {number} is violated: {violation}",)
                    raise

            kind[number] = asserts(number)(asserted)
            return cast(F, asserted)

        return register

    return numbered


state_property = _registers_in(STATE_PROPERTIES)
transition_property = _registers_in(TRANSITION_PROPERTIES)
counterfactual_property = _registers_in(COUNTERFACTUAL_PROPERTIES)
