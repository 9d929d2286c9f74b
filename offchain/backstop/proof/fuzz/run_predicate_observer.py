"""Which predicates hold while a run goes on, which of them held together, and which moves led there.

Entries are counted as they are written, so that a look costs what was written since the last one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from backstop.contract_base import Written
from backstop.proof.fuzz.generation_context import GenerationContext
from backstop.proof.fuzz.named_state_predicates import ENTRIES, STATES, NamedState
from backstop.proof.fuzz.state_predicates import Predicate, derive_model_state_predicates

Bits = int
"""A set of predicates, by their places in the list of all."""

NAMED = (*(each.name for each in ENTRIES), *(each.name for each in STATES))
"""The names of those that people have words for; they come first in every list."""


@cache
def list_state_predicate_names() -> tuple[str, ...]:
    """Return the names of all state predicates; an index in this tuple identifies a predicate."""
    return (*NAMED, *(each.name for each in derive_model_state_predicates()))


@cache
def get_model_class_of_predicate(predicate_index: int) -> str:
    """Return the name of the model class that a deployment needs for this predicate to hold."""
    states: list[Predicate | NamedState] = [*ENTRIES, *STATES, *derive_model_state_predicates()]
    return states[predicate_index].contract


@cache
def _compile_predicate_evaluators() -> dict[tuple[str, str], Callable[[Any], Bits]]:
    """Return, by model class and table path, a function of an entry's value.

    The function returns the predicates that the entry satisfies, as a bit set.
    """
    asked: dict[tuple[str, str], dict[int, str]] = {}
    for place, each in (*enumerate(ENTRIES), *enumerate(derive_model_state_predicates(), len(NAMED))):
        asked.setdefault((each.contract, each.path), {})[place] = each.text
    found = {}
    for key, texts in asked.items():
        terms = [f"({1 << place} if {text} else 0)" for place, text in texts.items()]
        found[key] = eval(f"lambda v: {' | '.join(terms)}")
    return found


class StateObserver:
    """Observer of a run's state predicates. `held` is the set that holds as of the last update.

    `rows[i]` is the set of predicates that held when predicate i came true. `risen` and `fallen` count, for
    each move, the predicates that became true and that became false. `watched` counts the observed moves.
    """

    def __init__(self, scene: GenerationContext) -> None:
        self._scene = scene
        self._counts = [0] * len(list_state_predicate_names())
        self._entries: dict[Written, Bits] = {}
        self._dirty: set[Written] = set()
        self._by_table: dict[tuple[str, str], Callable[[Any], Bits] | None] = {}
        self._entries_hold = self.held = 0
        self.rows: dict[int, Bits] = {}
        self.watched: Counter[str] = Counter()
        self.risen: dict[str, Counter[int]] = {}
        self.fallen: dict[str, Counter[int]] = {}
        for name, contract in scene.world.contracts.items():
            for path, table in contract.tables.items():
                self._dirty.update(Written(name, path, key) for key in table)
                self._by_table[name, path] = self._find_predicate_evaluator(name, path)
        self.update_predicates("")

    def note_writes(self, written: Iterable[Written]) -> None:
        """Record storage slots that a step wrote, for the next update of the predicates."""
        self._dirty.update(written)

    def update_predicates(self, move: str) -> None:
        """Evaluate all state predicates, and attribute changes since the last update to a move.

        An empty `move` attributes the changes to no move.
        """
        self._update_predicates_of_written_slots()
        self.watched[move] += bool(move)
        held = self._entries_hold
        for place, state in enumerate(STATES, len(ENTRIES)):
            if state.holds(self._scene):
                held |= 1 << place
        before, self.held = self.held, held
        changed = before ^ held
        if not changed:
            return
        rows = self.rows
        for place in list_places(changed & held):
            rows[place] = rows.get(place, 0) | held
        if move:
            self.risen.setdefault(move, Counter()).update(list_places(changed & held))
            self.fallen.setdefault(move, Counter()).update(list_places(changed & before))

    def _update_predicates_of_written_slots(self) -> None:
        contracts, entries, counts = self._scene.world.contracts, self._entries, self._counts
        for slot in self._dirty:
            name, path, key = slot
            test = self._by_table[name, path]
            if test is None:
                continue
            table = contracts[name].tables[path]
            now = test(table[key]) if key in table else 0
            changed = entries.get(slot, 0) ^ now
            if changed:
                entries[slot] = now
                for place in list_places(changed & now):
                    counts[place] += 1
                self._entries_hold |= now
                for place in list_places(changed & ~now):
                    counts[place] -= 1
                    if not counts[place]:
                        self._entries_hold ^= 1 << place
        self._dirty.clear()

    def _find_predicate_evaluator(self, contract: str, table_path: str) -> Callable[[Any], Bits] | None:
        """Return the evaluator of a table's predicates, declared by the contract's class or a base class.

        Return None if no predicate reads the table.
        """
        classes = type(self._scene.world.contracts[contract]).__mro__
        return next(
            (
                _compile_predicate_evaluators()[key]
                for each in classes
                if (key := (each.__name__, table_path)) in _compile_predicate_evaluators()
            ),
            None,
        )


def list_places(bits: Bits) -> list[int]:
    """Return the indices of the 1 bits of a bit set of predicates, in ascending order."""
    found = []
    while bits:
        low = bits & -bits
        found.append(low.bit_length() - 1)
        bits ^= low
    return found
