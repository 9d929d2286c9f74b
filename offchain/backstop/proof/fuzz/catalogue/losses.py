"""Whoever has deficits covered, and a stage that takes its time, lies or is absent."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.model.arithmetic import MAX_UINT256, RAD, RAY
from backstop.model.bounds import MAX_RESERVATION
from backstop.model.roles import STAGE
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
    """Have the scripted stage reserve a part of a deficit, pay some of it or give it up."""
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
    """Make the scripted stage absent, promise more than there is, say it has paid or reserved anything."""
    if "ScriptedStage" not in s.world.contracts:
        return
    if s.chance(0.5):
        yield from _pay_later(s)
        return
    capacity = s.some((0, 0, 0, MAX_UINT256, RAD, 10**6 * RAD))
    paid, kept = s.some((0, 0, 1, RAD, MAX_UINT256)), s.some((0, 0, 1, RAD, MAX_UINT256))
    yield s.call("ScriptedStage", "claim", capacity, paid, kept, by=s.somebody())
    found = [c for c in range(s.listed) if s.engine.deficit[c]]
    if found:
        yield s.call("LossWaterfall", "cover", s.some(found), by=s.somebody())
    yield s.call("ScriptedStage", "claim", 0, 0, 0, by=s.somebody())


@move(weight=1)
def force_a_release(s: Scene) -> Iterator[Action | Wait]:
    """Release what a stage has reserved for too long; at times too early, or where nothing is reserved."""
    waterfall = s.waterfall
    stages = waterfall.stage_ids("")
    held = [(c, k) for c in range(s.listed) for k in stages if waterfall.reserved("", c, k)]
    if not held and s.chance(0.97):
        return
    c, k = s.some(held) if held else (s.type(), s.random.randrange(len(stages) + 1))
    since = waterfall.reservations[c, waterfall.stages[k].stage].since
    if held and s.chance(0.2):
        yield Wait(max(0, since + MAX_RESERVATION + 1 - s.now - s.some((0, 0, 0, 1))))
    elif s.chance(0.8):
        return
    yield s.call("LossWaterfall", "force_release", c, k, by=s.somebody())


@move(weight=1.5)
def break_a_stage(s: Scene) -> Iterator[Action | Wait]:
    """Take its role from a stage with members, or give it back; have losses covered, and made good."""
    waterfall = s.waterfall
    found = [k for k in waterfall.stage_ids("") if waterfall.stages[k].owes]
    if not found:
        return
    k = s.some(found)
    stage = waterfall.stages[k].stage
    owed = [(j, c) for j in found for c in range(s.listed) if waterfall.missing[j, c]]
    open = [c for c in range(s.listed) if s.engine.deficit[c]]
    if open and s.chance(0.8):
        yield s.call("VaultEngine", "revoke_role", STAGE, stage, by=s.admin)
        yield s.call("LossWaterfall", "cover", s.some(open), by=s.somebody())
    if s.chance(0.7):
        yield s.call("VaultEngine", "grant_role", STAGE, stage, by=s.admin)
    if owed and s.chance(0.7):
        j, c = s.some(owed)
        if s.chance(0.6):
            yield s.call("VaultEngine", "grant_role", STAGE, waterfall.stages[j].stage, by=s.admin)
            for loss in open:
                yield s.call("LossWaterfall", "cover", loss, by=s.somebody())
        yield s.call("LossWaterfall", "make_good", c, j, by=s.somebody())
    elif s.chance(0.1):
        yield s.call("LossWaterfall", "make_good", s.type(), k, by=s.somebody())
