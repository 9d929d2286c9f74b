"""When a story is new: the unchanged rules do not tell it, nor one half as large.

The rules have holes, so the hunt has stories without any mistake; and a mistake that moves a figure by a wei
moves what is drawn after it. A story's signature is its alarm and its kind, and figures count by doubles.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from backstop.studies.hunt import game, margin, search, twins
from backstop.studies.hunt.case import BOOKS, LATE, MARGIN, STUCK, TAKEN, UNEQUAL

LEAST = {
    TAKEN: search.LEAST,
    UNEQUAL: twins.LEAST,
    STUCK: twins.LEAST,
    LATE: twins.LEAST,
    MARGIN: margin.LEAST,
    BOOKS: game.LEAST,
}
"""What makes a story for each alarm [wad]."""
TIMES = 2


class Told(NamedTuple):
    """A story in short: in which case, by which alarm, of which kind, how large [wad], and its sentence."""

    case: int
    alarm: str
    kind: str
    size: int
    says: str


class Known:
    """The stories that the unchanged rules tell."""

    def __init__(self, stories: Iterable[Told]) -> None:
        self._kinds: dict[tuple[str, Any], int] = {}
        self._cases: dict[tuple[str, Any], int] = {}
        for each in stories:
            _raise(self._kinds, (each.alarm, each.kind), each.size)
            _raise(self._cases, (each.alarm, each.case), each.size)

    def is_new(self, story: Told) -> bool:
        """Return True if the story is more than twice what is known, or than what makes a story at all.

        Known is the largest of its signature. By the alarm *margin* kinds are whatever acts were drawn
        together, which nobody can list; the same acts are drawn in a case whatever the rules, so there the
        case's largest counts as well.
        """
        known = max(LEAST[story.alarm], self._kinds.get((story.alarm, story.kind), 0))
        if story.alarm == MARGIN:
            known = max(known, self._cases.get((story.alarm, story.case), 0))
        return story.size > TIMES * known

    def first_new(self, stories: Iterable[Told]) -> Told | None:
        """Return the first story that is new, if any."""
        return next(filter(self.is_new, stories), None)


def _raise(found: dict[tuple[str, Any], int], key: tuple[str, Any], size: int) -> None:
    found[key] = max(size, found.get(key, 0))
