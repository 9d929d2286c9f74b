"""Whoever has deficits covered, and a stage that is busy or absent."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.model.arithmetic import MAX_UINT256, RAD, RAY
from backstop.proof.fuzz.moves import move
from backstop.proof.fuzz.scene import Scene, Wait
from backstop.system import Action


@move(weight=1.2)
def flag(s: Scene) -> Iterator[Action | Wait]:
    """Have a vault or a workout looked at: whether its debt is in doubt."""
    open = s.open_workouts()
    if s.workouts is not None and s.chance(0.3 if open else 0.02):
        id = s.some(open) if open else s.auction_id()
        yield s.call("Workouts", "flag", id, by=s.somebody())
        return
    c = s.type()
    flags = s.liquidations.vault_flags
    found = s.unsafe(c) or [who for who in s.people if flags[c, who]] or s.weakest(c)
    owner = s.some(found) if found and s.chance(0.8) else s.somebody()
    yield s.call("LiquidationEngine", "flag", c, owner, by=s.somebody())


def _pay_later(s: Scene) -> Iterator[Action | Wait]:
    """Have the scripted stage reserve a part of a deficit, be busy, pay some of it or give it up."""
    place = [stage.name for stage in s.deployment.parameters.stages].index("scripted")
    stage = s.waterfall.stages[place].stage
    found = [c for c in range(s.listed) if s.engine.deficit[c]]
    if found:
        c = s.some(found)
        if not s.waterfall.reserved(stage, c, place):
            due = int(s.engine.deficit[c])
            kept = s.near(due, s.part(due))
            yield s.call("ScriptedStage", "claim", 10**6 * RAD, 0, kept, by=s.somebody())
            yield s.call("LossWaterfall", "cover", c, by=s.somebody())
        yield s.call("ScriptedStage", "claim", MAX_UINT256, 0, 0, by=s.somebody())
        if s.chance(0.3):
            yield s.call("LossWaterfall", "cover", c, by=s.somebody())
        payer = s.richest()
        amount = min(s.held("Stablecoin", payer), s.waterfall.reserved(stage, c, place) // RAY) * RAY
        if amount:
            yield s.call("ScriptedStage", "pay", c, s.near(amount), by=payer)
    if s.chance(0.5):
        yield s.call("ScriptedStage", "give_up", s.type(), by=s.somebody())
    yield s.call("ScriptedStage", "claim", 0, 0, 0, by=s.somebody())


@move(weight=2.5)
def cover(s: Scene) -> Iterator[Action | Wait]:
    """Cover the deficit of a type; rarely of one without."""
    found = [c for c in range(s.listed) if s.engine.deficit[c]]
    if not found and s.chance(0.92):
        return
    yield s.call("LossWaterfall", "cover", s.some(found) if found else s.type(), by=s.somebody())


@move(weight=1.3)
def script_the_stage(s: Scene) -> Iterator[Action | Wait]:
    """Make the scripted stage absent, busy, or promise what it does not pay, or too much.

    It never gets away with a payment that was not made: that breaks the ledger by design.
    """
    if "ScriptedStage" not in s.world.contracts:
        return
    if s.chance(0.5):
        yield from _pay_later(s)
        return
    capacity = s.some((0, 0, 0, MAX_UINT256, RAD, 10**6 * RAD))
    yield s.call("ScriptedStage", "claim", capacity, s.some((0, MAX_UINT256)), 0, by=s.somebody())
    found = [c for c in range(s.listed) if s.engine.deficit[c]]
    if found:
        yield s.call("LossWaterfall", "cover", s.some(found), by=s.somebody())
    yield s.call("ScriptedStage", "claim", 0, 0, 0, by=s.somebody())
