"""Covers of deficits by any account, and a stage that takes its time, lies or is absent."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.model.arithmetic import MAX_UINT256, RAD, RAY
from backstop.model.bounds import MAX_RESERVATION
from backstop.model.roles import STAGE
from backstop.proof.fuzz.generation_context import GenerationContext, Wait
from backstop.proof.fuzz.generator_registry import register_generator
from backstop.system import Action


@register_generator(weight=1.2)
def flag_debt(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that flags a vault or a workout with doubtful debt, or clears its flag.

    Flagged debt may be lost in part. A workout is the repayment of a called vault in instalments.
    """
    open_workouts = context.list_open_workouts()
    if context.workouts is not None and context.draw_bool(0.3 if open_workouts else 0.02):
        workout_id = context.pick_item(open_workouts) if open_workouts else context.draw_auction_id()
        yield context.build_action("Workouts", "flag", workout_id, by=context.pick_account())
        return
    c = context.draw_type()
    flags = context.liquidations.vault_flags
    found = (
        context.list_unsafe_owners(c)
        or [who for who in context.people if flags[c, who]]
        or context.list_weakest_owner_if_any(c)
    )
    owner = context.pick_item(found) if found and context.draw_bool(0.8) else context.pick_account()
    yield context.build_action("LiquidationEngine", "flag", c, owner, by=context.pick_account())


def _pay_loss_from_scripted_stage(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield calls by which a scripted waterfall stage reserves a deficit, pays a part or gives it up."""
    place = [stage.name for stage in context.deployment.parameters.stages].index("scripted")
    stage = context.waterfall.stages[place].stage
    found = [c for c in range(context.listed) if context.engine.deficit[c]]
    if found:
        c = context.pick_item(found)
        if not context.waterfall.reserved(stage, c, place):
            due = int(context.engine.deficit[c])
            kept = context.draw_near_limit(due, context.draw_part(due))
            yield context.build_action(
                "ScriptedStage", "claim", 10**6 * RAD, 0, kept, by=context.pick_account()
            )
            yield context.build_action("LossWaterfall", "cover", c, by=context.pick_account())
        if context.draw_bool(0.3):
            yield context.build_action("LossWaterfall", "cover", c, by=context.pick_account())
        payer = context.find_richest_account()
        amount = (
            min(context.get_balance("Stablecoin", payer), context.waterfall.reserved(stage, c, place) // RAY)
            * RAY
        )
        if amount:
            yield context.build_action("ScriptedStage", "pay", c, context.draw_near_limit(amount), by=payer)
    if context.draw_bool(0.5):
        yield context.build_action("ScriptedStage", "give_up", context.draw_type(), by=context.pick_account())
    yield context.build_action("ScriptedStage", "claim", 0, 0, 0, by=context.pick_account())


@register_generator(weight=2.5)
def cover_deficit(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a `cover` call for a collateral type with a deficit, rarely for a type without.

    `cover` pays a deficit from the stages of the loss waterfall.
    """
    found = [c for c in range(context.listed) if context.engine.deficit[c]]
    if not found and context.draw_bool(0.92):
        return
    yield context.build_action(
        "LossWaterfall",
        "cover",
        context.pick_item(found) if found else context.draw_type(),
        by=context.pick_account(),
    )


@register_generator(weight=1.3)
def script_stage(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield calls that make a scripted waterfall stage fail, or lie about its capacity or payment.

    A call that covers a deficit follows, and the stage is then set back to normal.
    """
    if "ScriptedStage" not in context.world.contracts:
        return
    if context.draw_bool(0.5):
        yield from _pay_loss_from_scripted_stage(context)
        return
    capacity = context.pick_item((0, 0, 0, MAX_UINT256, RAD, 10**6 * RAD))
    paid, kept = (
        context.pick_item((0, 0, 1, RAD, MAX_UINT256)),
        context.pick_item((0, 0, 1, RAD, MAX_UINT256)),
    )
    yield context.build_action("ScriptedStage", "claim", capacity, paid, kept, by=context.pick_account())
    found = [c for c in range(context.listed) if context.engine.deficit[c]]
    if found:
        yield context.build_action(
            "LossWaterfall", "cover", context.pick_item(found), by=context.pick_account()
        )
    yield context.build_action("ScriptedStage", "claim", 0, 0, 0, by=context.pick_account())


@register_generator(weight=1)
def force_stage_release(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that releases an amount that a waterfall stage has reserved for a loss too long.

    At times the call is too early, or nothing is reserved.
    """
    waterfall = context.waterfall
    stages = waterfall.stage_ids("")
    held = [(c, k) for c in range(context.listed) for k in stages if waterfall.reserved("", c, k)]
    if not held and context.draw_bool(0.97):
        return
    c, k = (
        context.pick_item(held) if held else (context.draw_type(), context.random.randrange(len(stages) + 1))
    )
    since = waterfall.reservations[c, waterfall.stages[k].stage].since
    if held and context.draw_bool(0.2):
        yield Wait(max(0, since + MAX_RESERVATION + 1 - context.now - context.pick_item((0, 0, 0, 1))))
    elif context.draw_bool(0.8):
        return
    yield context.build_action("LossWaterfall", "force_release", c, k, by=context.pick_account())


@register_generator(weight=1.5)
def break_stage(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield calls that revoke a waterfall stage's role, cover losses without it, and restore the role.

    Then a call makes the stage repay the share that it missed.
    """
    waterfall = context.waterfall
    found = [k for k in waterfall.stage_ids("") if waterfall.stages[k].owes]
    if not found:
        return
    k = context.pick_item(found)
    stage = waterfall.stages[k].stage
    owed = [(j, c) for j in found for c in range(context.listed) if waterfall.missing[j, c]]
    open_types = [c for c in range(context.listed) if context.engine.deficit[c]]
    if open_types and context.draw_bool(0.8):
        yield context.build_action("VaultEngine", "revoke_role", STAGE, stage, by=context.admin)
        yield context.build_action(
            "LossWaterfall", "cover", context.pick_item(open_types), by=context.pick_account()
        )
    if context.draw_bool(0.7):
        yield context.build_action("VaultEngine", "grant_role", STAGE, stage, by=context.admin)
    if owed and context.draw_bool(0.7):
        j, c = context.pick_item(owed)
        if context.draw_bool(0.6):
            yield context.build_action(
                "VaultEngine", "grant_role", STAGE, waterfall.stages[j].stage, by=context.admin
            )
            for loss in open_types:
                yield context.build_action("LossWaterfall", "cover", loss, by=context.pick_account())
        yield context.build_action("LossWaterfall", "repay_missed_share", c, j, by=context.pick_account())
    elif context.draw_bool(0.1):
        yield context.build_action(
            "LossWaterfall", "repay_missed_share", context.draw_type(), k, by=context.pick_account()
        )
