"""Whoever has deficits covered, and a stage that is busy or absent."""

from __future__ import annotations

from collections.abc import Iterator

from offchain.fuzz.moves import move
from offchain.fuzz.scene import Scene, Wait
from offchain.model.arithmetic import MAX_UINT256, RAD
from offchain.system import Action


@move(weight=2.5)
def cover(s: Scene) -> Iterator[Action | Wait]:
    """A type with a deficit; rarely one without."""
    found = [c for c in range(s.listed) if s.engine.deficit[c]]
    if not found and s.chance(0.92):
        return
    yield s.call("LossWaterfall", "cover", s.some(found) if found else s.type(), by=s.somebody())


@move(weight=1.3)
def script_the_stage(s: Scene) -> Iterator[Action | Wait]:
    """The scripted stage is absent, busy, or promises what it does not pay, or too much.

    It never gets away with a payment that was not made: that breaks the ledger by design.
    """
    if "ScriptedStage" not in s.world.contracts:
        return
    capacity = s.some((0, 0, 0, MAX_UINT256, RAD, 10**6 * RAD))
    yield s.call("ScriptedStage", "claim", capacity, s.some((0, MAX_UINT256)), 0, by=s.somebody())
    found = [c for c in range(s.listed) if s.engine.deficit[c]]
    if found:
        yield s.call("LossWaterfall", "cover", s.some(found), by=s.somebody())
    yield s.call("ScriptedStage", "claim", 0, 0, 0, by=s.somebody())
