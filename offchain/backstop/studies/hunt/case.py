"""One case for every alarm: what each of them finds at a seed."""

from __future__ import annotations

from typing import NamedTuple

from backstop.studies.hunt import game, late, margin, stuck, twins
from backstop.studies.hunt.finding import Finding
from backstop.studies.hunt.search import FIRST, LATER, Found, hunt

TAKEN, UNEQUAL, STUCK, LATE, MARGIN, BOOKS = ALARMS = ("taken", "unequal", "stuck", "late", "margin", "books")

PARTS = 4
"""Trials of *late* are fewer by this: each plays two histories to their end."""


class Effort(NamedTuple):
    """Which alarms are on, and how much is tried in a case."""

    alarms: tuple[str, ...] = ALARMS
    # Of *taken*: plans at random, and plans that are bred.
    first: int = FIRST
    later: int = LATER
    # Of the others.
    trials: int = 40


class Looked(NamedTuple):
    """What was found in a case."""

    taken: Found | None
    stories: tuple[Finding, ...]


def look(seed: int, effort: Effort) -> Looked:
    """Search one case by every alarm that is on."""
    found = hunt(seed, effort.first, effort.later) if TAKEN in effort.alarms else None
    stories: list[Finding] = []
    if UNEQUAL in effort.alarms:
        stories += twins.Twins(seed).hunt(effort.trials)
    if STUCK in effort.alarms:
        stories += stuck.Stuck(seed).hunt(effort.trials)
    if LATE in effort.alarms:
        stories += late.Late(seed).hunt(max(1, effort.trials // PARTS))
    if MARGIN in effort.alarms:
        stories += margin.Margin(seed).hunt(effort.trials)
    if BOOKS in effort.alarms:
        stories += game.hunt(seed, effort.trials)
    return Looked(found, tuple(stories))
