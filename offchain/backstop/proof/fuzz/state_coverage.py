"""Coverage of state predicates by runs: the pairs that held together, and the moves that led to each.

The coverage of several runs adds up, in any order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from backstop.proof.fuzz.run_predicate_observer import (
    NAMED,
    Bits,
    StateObserver,
    list_places,
    list_state_predicate_names,
)

Changes = dict[str, Counter[int]]
"""By move: how often each predicate came true, or ended, while it was watched."""


@dataclass
class StateCoverage:
    """Coverage of the protocol's state predicates by fuzz runs; coverages of runs can be merged.

    `rows[i]` is the set of predicates that held when predicate i came true. `runs[i]` counts the runs in
    which i held. `watched` counts the observed moves. `risen` and `fallen` count, for each move, the
    predicates that became true and that became false.
    """

    rows: dict[int, Bits] = field(default_factory=dict)
    runs: Counter[int] = field(default_factory=Counter)
    watched: Counter[str] = field(default_factory=Counter)
    risen: Changes = field(default_factory=dict)
    fallen: Changes = field(default_factory=dict)

    @classmethod
    def from_run(cls, observer: StateObserver) -> StateCoverage:
        """Return the state coverage of one run from its observer."""
        rows = observer.rows
        return cls(rows, Counter(list(rows)), observer.watched, observer.risen, observer.fallen)

    def add_coverage(self, other: StateCoverage) -> None:
        """Merge the state coverage of other runs into this one, in place."""
        for place, held in other.rows.items():
            self.rows[place] = self.rows.get(place, 0) | held
        self.runs.update(other.runs)
        self.watched.update(other.watched)
        for own, theirs in ((self.risen, other.risen), (self.fallen, other.fallen)):
            for move, counts in theirs.items():
                own.setdefault(move, Counter()).update(counts)

    def build_joint_bits_by_predicate(self) -> dict[int, Bits]:
        """Return, for each predicate that ever held, the bit set of predicates that held with it.

        The set includes the predicate itself. `rows` records a pair only under the predicate that came true
        later. The result is symmetric.
        """
        found = dict(self.rows)
        for place, held in self.rows.items():
            for other in list_places(held):
                found[other] = found.get(other, 0) | 1 << place
        return found

    def count_pairs(self) -> int:
        """Count the pairs of different predicates that held together at some time."""
        return sum(held.bit_count() - 1 for held in self.build_joint_bits_by_predicate().values()) // 2

    def iter_missing_named_pairs(self) -> Iterator[tuple[int, int]]:
        """Yield the index pairs of named predicates that never held together."""
        together = self.build_joint_bits_by_predicate()
        for place in range(len(NAMED)):
            for other in range(place + 1, len(NAMED)):
                if not together.get(place, 0) >> other & 1:
                    yield place, other

    def format_lines(self) -> list[str]:
        """Return the state coverage as text lines, with the missing pairs of named predicates."""
        names, missing = list_state_predicate_names(), list(self.iter_missing_named_pairs())
        whole = len(NAMED) * (len(NAMED) - 1) // 2
        lines = [
            f"states: {len(self.rows)} of {len(names)} predicates held, {self.count_pairs():,} pairs "
            "together, "
            f"{whole - len(missing)} of {whole} pairs of named ones"
        ]
        for place in range(len(NAMED)):
            others = [names[other] for one, other in missing if one == place]
            never = "never" if place not in self.rows else ""
            if others or never:
                lines.append(f"  {names[place]}: {never or 'not together with ' + ', '.join(others)}")
        return lines

    def to_json(self) -> dict[str, Any]:
        """Return the coverage as a JSON object. A predicate is given by its index, a set in hexadecimal."""
        return {
            "rows": {str(place): f"{held:x}" for place, held in sorted(self.rows.items())},
            "runs": _build_json_object_of_counts(self.runs),
            "watched": dict(sorted(self.watched.items())),
            "risen": {
                move: _build_json_object_of_counts(counts) for move, counts in sorted(self.risen.items())
            },
            "fallen": {
                move: _build_json_object_of_counts(counts) for move, counts in sorted(self.fallen.items())
            },
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> StateCoverage:
        """Return the coverage from an object that `to_json` made.

        Raises KeyError, TypeError or ValueError if the object is not valid.
        """
        return cls(
            {int(place): int(held, 16) for place, held in content["rows"].items()},
            _decode_counts_by_predicate(content["runs"]),
            Counter(content["watched"]),
            {move: _decode_counts_by_predicate(counts) for move, counts in content["risen"].items()},
            {move: _decode_counts_by_predicate(counts) for move, counts in content["fallen"].items()},
        )


def _build_json_object_of_counts(counts: Counter[int]) -> dict[str, int]:
    return {str(place): count for place, count in sorted(counts.items())}


def _decode_counts_by_predicate(content: dict[str, int]) -> Counter[int]:
    return Counter({int(place): count for place, count in content.items()})
