"""Stories of all alarms, one of each kind: the reader wants to see ten different ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from backstop.hosts.artifacts import Artifacts
from backstop.model.arithmetic import WAD
from backstop.studies.hunt import game, late, margin, stuck, twins
from backstop.studies.hunt.case import BOOKS, LATE, MARGIN, STUCK, TAKEN, UNEQUAL, Looked
from backstop.studies.hunt.coalition import OWN
from backstop.studies.hunt.finding import Finding
from backstop.studies.hunt.search import LEAST, Found
from backstop.studies.hunt.setting import Setting, Step
from backstop.studies.hunt.story import name_of, replay, replay_steps, tell

_HISTORIES: dict[str, Callable[[Finding], Iterator[tuple[Setting, Sequence[Step]]]]] = {
    UNEQUAL: twins.histories,
    STUCK: stuck.histories,
    LATE: late.histories,
    MARGIN: margin.histories,
    BOOKS: game.histories,
}


class Story(NamedTuple):
    """One of a kind: the shortest, and the larger of two as short."""

    alarm: str
    kind: str
    # Cases that have one of this kind.
    cases: int
    seed: int
    # [wad]
    size: int
    says: str
    lines: tuple[str, ...]
    source: Found | Finding


def group(found: Iterable[Looked]) -> list[Story]:
    """Return one story of each kind, the shortest first."""
    kinds: dict[tuple[str, str], list[Story]] = {}
    for looked in found:
        for story in _stories(looked):
            kinds.setdefault((story.alarm, story.kind), []).append(story)
    best = [
        min(each, key=lambda story: (len(story.lines), -story.size, story.seed))._replace(cases=len(each))
        for each in kinds.values()
    ]
    return sorted(best, key=lambda story: (len(story.lines), -story.size, story.kind))


def replay_story(story: Story, host: str, artifacts: Artifacts | None = None) -> int:
    """Play a story again on the contracts, in lockstep with the model; return the steps that agree.

    Raises Divergence at the first difference.
    """
    if isinstance(story.source, Found):
        return replay(story.source, host, artifacts)
    played = _HISTORIES[story.alarm](story.source)
    return sum(replay_steps(setting, done, host, artifacts) for setting, done in played)


def _stories(looked: Looked) -> Iterator[Story]:
    for each in looked.stories:
        yield Story(each.alarm, each.kind, 1, each.seed, each.size, each.says, each.lines, each)
    found = looked.taken
    if found is None or found.taken.amount < LEAST:
        return
    losses = sorted(found.taken.losses.items(), key=lambda each: -each[1])
    losers = ", ".join(f"{name_of(who)} {amount // WAD:,}" for who, amount in losses)
    says = f"the coalition gains {found.taken.gain // WAD:,}; who loses: {losers}"
    lines = tuple(f"{line.branch:11} tick {line.tick:2}  {line.text}" for line in tell(found))
    kind = f"by {_last_call(found)}"
    yield Story(TAKEN, kind, 1, found.case.seed, found.taken.amount, says, lines, found)


def _last_call(found: Found) -> str:
    """Return the last call that concerns others."""
    doings = sorted((doing for doings in found.did for doing in doings), key=lambda each: each[:2])
    methods = [doing.action.method for doing in doings if doing.action.method not in OWN]
    return methods[-1] if methods else "nothing"
