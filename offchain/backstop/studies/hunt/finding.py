"""What an alarm other than *taken* has found: of which kind, how much, and how to play it again."""

from __future__ import annotations

from typing import NamedTuple

from backstop.studies.hunt.coalition import Doing


class Finding(NamedTuple):
    """A story. Its seed and trial say again what was drawn; of what strangers did only some is kept."""

    alarm: str
    # What it has in common with other stories: one of each kind is told.
    kind: str
    seed: int
    trial: int
    strangers: tuple[Doing, ...]
    # What honest people want besides, by index.
    intents: tuple[int, ...]
    # By which it is ranked [wad].
    size: int
    says: str
    lines: tuple[str, ...]
