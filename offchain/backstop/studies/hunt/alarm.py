"""Whether a history takes from others what no honest one does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from backstop.studies.hunt.history import Wealth


class Taken(NamedTuple):
    """What the coalition gains beyond its best honest conduct, and others lose below their worst [wad]."""

    gain: int
    losses: dict[str, int]

    @property
    def amount(self) -> int:
        """The lesser of both: what one side has of what the other lacks."""
        return min(self.gain, sum(self.losses.values()))


def taken(honest: Sequence[Wealth], found: Wealth, bystanders: frozenset[str]) -> Taken:
    """Compare with honest conduct; nobody owns an opportunity, so what `bystanders` miss is no loss."""
    gain = found["coalition"] - max(each["coalition"] for each in honest)
    losses = {}
    for who, has in found.items():
        lacks = min(each[who] for each in honest) - has
        if lacks > 0 and who != "coalition" and who not in bystanders:
            losses[who] = lacks
    return Taken(gain, losses)
