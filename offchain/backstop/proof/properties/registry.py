"""The registry of numbered properties: one function asserts each, and has the number as a decorator.

The sentences are in docs/know/properties.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from backstop.errors import BackstopError
from backstop.proof.properties.both import Both
from backstop.system import Snapshot

if TYPE_CHECKING:
    from backstop.hosts.model import ModelSystem

F = TypeVar("F", bound=Callable[..., Any])


class Violation(BackstopError):
    """The error of a numbered property that does not hold."""

    number = 0

    def tell(self, number: int) -> None:
        """Note the number, and say it in the text."""
        self.number = number
        self.args = (f"property {number} is violated: {self}",)


class Question(NamedTuple):
    """A question to a counterfactual property: its number, and the seed of all that is chosen on the way."""

    number: int
    seed: int


class History(Protocol):
    """What a property has seen since it began to watch; made from the system as it is then."""

    def see(self, step: Any, changes: Any) -> None:
        """Look at a successful step, a Transition and its Changes; raise Violation."""


PROPERTIES: dict[int, Callable[..., Any]] = {}
STATE_PROPERTIES: dict[int, Callable[[Snapshot, Mapping[str, str]], None]] = {}
TRANSITION_PROPERTIES: dict[int, Callable[..., None]] = {}
# Properties that today's rules break: asserted only where somebody asks for it.
TRANSITION_PROMISES: dict[int, Callable[..., None]] = {}
HISTORY_PROMISES: dict[int, Callable[[ModelSystem], History]] = {}
HISTORY_PROPERTIES: dict[int, Callable[[ModelSystem], History]] = {}
COUNTERFACTUAL_PROPERTIES: dict[int, Callable[[Both, Random], bool]] = {}


def asserts(number: int) -> Callable[[F], F]:
    """Mark the one function that asserts a property, where it is neither of the three kinds below."""

    def register(function: F) -> F:
        if PROPERTIES.get(number, function).__qualname__ != function.__qualname__:
            raise ValueError(f"property {number} is asserted twice")
        PROPERTIES[number] = function
        return function

    return register


def _registers_in(kind: dict[int, Any]) -> Callable[[int], Callable[[F], F]]:
    """Return a decorator that gives a function its number and lists it under its kind."""

    def numbered(number: int) -> Callable[[F], F]:
        def register(function: F) -> F:
            kind[number] = asserts(number)(function)
            # In the order of the numbers, whichever module is imported first: what is chosen by a seed stays.
            for each in sorted(kind):
                kind[each] = kind.pop(each)
            return function

        return register

    return numbered


def check_all(properties: Mapping[int, Callable[..., Any]], *what: Any) -> None:
    """Assert properties one after the other; a Violation tells the number of the first that is broken."""
    number = 0
    try:
        for number, holds in properties.items():  # noqa: B007
            holds(*what)
    except Violation as violation:
        violation.tell(number)
        raise


state_property = _registers_in(STATE_PROPERTIES)
transition_property = _registers_in(TRANSITION_PROPERTIES)
history_property = _registers_in(HISTORY_PROPERTIES)
transition_promise = _registers_in(TRANSITION_PROMISES)
history_promise = _registers_in(HISTORY_PROMISES)
counterfactual_property = _registers_in(COUNTERFACTUAL_PROPERTIES)
