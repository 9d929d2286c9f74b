"""Bridges: they draw up to their line, pay back, lose, and pay later; notes are redeemed in settlement."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from backstop.contract_base import ZERO_ADDRESS
from backstop.deployment.contracts_by_parameter_name import list_facilitators_with_type_ids
from backstop.deployment.parameter_dataclasses import FacilitatorParameters
from backstop.model import bounds
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD, div_up
from backstop.model.bridge_facilitator import BridgeFacilitator
from backstop.proof.fuzz.generation_context import GenerationContext, Wait
from backstop.proof.fuzz.generator_registry import register_generator
from backstop.system import Action


def _pick_facilitator(context: GenerationContext) -> tuple[FacilitatorParameters, BridgeFacilitator] | None:
    found = list_facilitators_with_type_ids(context.deployment.parameters)
    if not found:
        return None
    _, parameters = context.pick_item(found)
    return parameters, cast(BridgeFacilitator, context.world.contracts[parameters.name])


def _get_facilitator_debt(context: GenerationContext, facilitator: BridgeFacilitator) -> int:
    """Return a facilitator's debt, rounded up [wad]."""
    return div_up(context.get_debt(facilitator.collateral_type, facilitator.address), RAY)


@register_generator(weight=3)
def draw_for_bridge(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a bridge's draw of stablecoin: up to its debt ceiling, 1 wei more, or a part.

    At times the amount is drawn in two halves, or by an account without the right.
    """
    found = _pick_facilitator(context)
    if found is None:
        return
    parameters, facilitator = found
    if facilitator._loss_announcement.amount and context.draw_bool(0.8):
        return
    by = (
        context.deployment.get_account(parameters.minter)
        if context.draw_bool(0.97)
        else context.pick_account()
    )
    line = context.get_terms(facilitator.collateral_type).debt_ceiling * WAD
    room = line - _get_facilitator_debt(context, facilitator) - int(facilitator.losses[()])
    amount = context.draw_near_limit(room, room // 20)
    for part in (amount,) if context.draw_bool(0.8) else (amount // 2, amount - amount // 2):
        yield context.build_action(facilitator.label, "draw", part, context.pick_account(), by=by)


@register_generator(weight=2)
def repay_bridge_debt(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a repayment of a bridge's debt, through its facilitator or directly at the vault engine.

    After a direct repayment, mostly a call synchronises the facilitator's notes.
    """
    found = _pick_facilitator(context)
    if found is None:
        return
    _, facilitator = found
    debt, who = (
        _get_facilitator_debt(context, facilitator),
        context.pick_item((context.find_richest_account(), context.pick_account())),
    )
    if debt == 0 and context.draw_bool(0.9):
        return
    amount = min(
        context.pick_item((context.draw_near_limit(debt), context.draw_part(max(debt, 1)), MAX_UINT256)),
        context.get_balance("Stablecoin", who),
    )
    if context.draw_bool(0.8):
        yield context.build_action(facilitator.label, "repay", amount, by=who)
        return
    vault = facilitator.collateral_type, facilitator.address
    yield context.build_action("VaultEngine", "repay_and_withdraw", *vault, amount, 0, who, by=who)
    if context.draw_bool(0.7):
        yield context.build_action(facilitator.label, "sync_note", by=context.pick_account())


@register_generator(weight=1.5)
def announce_bridge_loss(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield the admin's or guardian's announcement of a loss, the amount that a bridge will not pay.

    At times a cancellation of the announcement follows.
    """
    found = _pick_facilitator(context)
    if found is None:
        return
    _, facilitator = found
    debt = _get_facilitator_debt(context, facilitator)
    if debt == 0 and context.draw_bool(0.8):
        return
    amount = context.pick_item(
        (
            context.draw_near_limit(debt),
            context.draw_part(max(debt, 1)),
            int(facilitator._loss_announcement.amount) + 1,
        )
    )
    if context.draw_bool(0.05):
        amount = context.pick_item((0, 2**128 - 1, 2**128))
    by = (
        context.pick_item((context.admin, context.guardian, context.guardian))
        if context.draw_bool(0.95)
        else context.pick_account()
    )
    yield context.build_action(facilitator.label, "announce_loss", amount, by=by)
    if context.draw_bool(0.3):
        yield context.build_action(
            facilitator.label,
            "cancel_loss",
            by=context.admin if context.draw_bool(0.9) else context.pick_account(),
        )


@register_generator(weight=2)
def realise_bridge_loss(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield the call that books a bridge's announced loss, once its delay is over or 1 second early.

    At times a call follows that covers the new deficit from the loss waterfall.
    """
    found = _pick_facilitator(context)
    if found is None:
        return
    _, facilitator = found
    announced = facilitator._loss_announcement
    if (announced.amount == 0 or _get_facilitator_debt(context, facilitator) == 0) and context.draw_bool(0.9):
        return
    yield Wait(max(0, announced.ready_at - context.now - context.pick_item((0, 0, 0, 1))))
    yield context.build_action(facilitator.label, "realise_loss", by=context.pick_account())
    if context.engine.deficit[facilitator.collateral_type] and context.draw_bool(0.6):
        yield context.build_action(
            "LossWaterfall", "cover", facilitator.collateral_type, by=context.pick_account()
        )


@register_generator(weight=1.5)
def recover_bridge_loss(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a bridge's late payment of a booked loss, before or after its deficit is covered."""
    found = _pick_facilitator(context)
    if found is None:
        return
    _, facilitator = found
    lost = int(facilitator.losses[()])
    if lost == 0 and context.draw_bool(0.95):
        return
    who = context.pick_item((context.find_richest_account(), context.pick_account()))
    yield context.build_action(
        facilitator.label,
        "recover",
        min(context.draw_near_limit(lost), context.get_balance("Stablecoin", who)),
        by=who,
    )


@register_generator(weight=0.5)
def set_bridge_line(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a change of a facilitator's debt ceiling, a stability fee for it, or a call that reverts."""
    found = _pick_facilitator(context)
    if found is None:
        return
    parameters, facilitator = found
    c = facilitator.collateral_type
    kind = context.random.randrange(8)
    if kind < 3:
        line = context.pick_item(
            (parameters.line, parameters.line + 1, _get_facilitator_debt(context, facilitator) // WAD, 0)
        )
        yield context.build_action(
            "VaultEngine", "set_debt_ceiling", c, min(line, bounds.MAX_DEBT_CEILING), by=context.admin
        )
    elif kind < 6:
        yield context.build_action("VaultEngine", "set_debt_ceiling", c, parameters.line, by=context.admin)
    elif kind == 6:
        yield context.build_action(
            "VaultEngine", "set_stability_fee", c, context.pick_item((0, 0, 10**18)), by=context.admin
        )
    else:
        who = context.pick_item((facilitator.address, context.pick_account(), ZERO_ADDRESS))
        calls = (
            ("PriceFeed", "set_issuer", (context.pick_item((c, context.draw_type(), 31)), who)),
            ("PriceFeed", "set_price", (c, context.pick_item((0, 1, RAY, bounds.MAX_PRICE + 1)))),
            ("PriceFeed", "poke", (c,)),
            ("LiquidationEngine", "liquidate", (c, facilitator.address, context.pick_account())),
            (facilitator.label, "open", ()),
            (facilitator.label, "sync_note", ()),
        )
        contract, method, args = context.pick_item(calls)
        yield context.build_action(
            contract, method, *args, by=context.pick_item((context.admin, context.pick_account()))
        )


@register_generator(weight=20)
def redeem_bridge_notes(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a bridge's repayment in settlement, and a holder's exchange of notes for a share of it.

    A note stands for a part of the bridge's debt. Mostly the holder first cashes redeemed stablecoin for
    notes.
    """
    found = _pick_facilitator(context)
    if found is None or not context.settlement.progress[()].fixed_at:
        return
    _, facilitator = found
    payer, who = (
        context.find_richest_account(),
        context.pick_item((context.find_richest_account(), context.pick_account())),
    )
    if context.draw_bool(0.5):
        yield context.build_action(
            facilitator.label,
            "repay",
            context.draw_part(max(1, context.get_balance("Stablecoin", payer) // 2)),
            by=payer,
        )
    c = facilitator.collateral_type
    rest = int(context.settlement.bags[who]) - int(context.settlement.cashed[c, who])
    if rest and context.draw_bool(0.7):
        yield context.build_action("Settlement", "cash", c, context.draw_near_limit(rest), by=who)
    yield context.build_action(
        facilitator.label,
        "redeem",
        context.draw_near_limit(context.get_balance(facilitator.label, who)),
        by=who,
    )
