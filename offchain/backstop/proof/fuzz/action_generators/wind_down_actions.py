"""Settlement: announced and taken back at any time, begun only late in a run, which it ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256
from backstop.proof.fuzz.action_generators.price_actions import post_price
from backstop.proof.fuzz.generation_context import GenerationContext, Wait
from backstop.proof.fuzz.generator_registry import register_generator
from backstop.system import Action


@register_generator(weight=1)
def sell_salvage(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that auctions a type's salvage (collateral that closed auctions left over)."""
    found = [c for c in range(context.listed) if context.engine.salvage[c]]
    if found or context.draw_bool(0.1):
        yield context.build_action(
            "CollateralAuction",
            "sell_salvage",
            context.pick_item(found) if found else context.draw_type(),
            by=context.pick_account(),
        )


@register_generator(weight=0.5)
def announce_and_retract_settlement(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield an announcement of settlement and its retraction, or a settlement call before its time."""
    kind = context.random.randrange(4)
    if kind == 0 and not context.settling:
        by = context.admin if context.draw_bool(0.8) else context.pick_account()
        yield context.build_action("Settlement", "announce", by=by)
        yield context.build_action("Settlement", "cancel_announcement", by=context.admin)
    elif kind == 1:
        yield context.build_action("Settlement", "record_deficit_breach", by=context.pick_account())
    elif kind == 2:
        if (
            not context.settlement.progress[()].above_since
            and not context.settlement.progress[()].announced_for
        ):
            yield context.build_action("Settlement", "begin", by=context.pick_account())
    else:
        contract, method, args = context.pick_item(
            (
                ("Settlement", "fix_price", (context.draw_type(),)),
                ("Settlement", "skim", (context.draw_type(), context.pick_account())),
                ("Settlement", "cover_last", (context.draw_type(),)),
                ("Settlement", "fix_redemption_rates", ()),
                ("Settlement", "redeem", (1,)),
                ("Settlement", "cash", (context.draw_type(), 1)),
                ("CollateralAuction", "unwind", (context.draw_auction_id(),)),
                *((("Workouts", "unwind", (context.draw_workout_id() or 0,)),) if context.workouts else ()),
            )
        )
        yield context.build_action(contract, method, *args, by=context.pick_account())


@register_generator(weight=3)
def begin_settlement(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield the calls that begin settlement (the wind-down of the protocol), late in a fuzz run.

    Settlement needs an announcement and its delay, or a deficit that stays open for some epochs.
    """
    if context.settling or not context.late or context.draw_bool(0.2):
        return
    if context.list_deficit_types() and context.draw_bool(0.5):
        for _ in range(context.settlement.epochs + 1):
            yield context.build_action("Settlement", "record_deficit_breach", by=context.pick_account())
            yield Wait(context.waterfall.epoch_length)
    else:
        yield context.build_action("Settlement", "announce", by=context.admin)
        yield Wait(context.settlement.delay - context.pick_item((0, 0, 0, 1)))
    yield context.build_action("Settlement", "begin", by=context.pick_account())


@register_generator(weight=6)
def make_final_prices(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield price reports, halts and waits while the feed computes final prices for settlement."""
    feed, configs = context.feed, context.feed.configs
    waiting = [c for c in range(context.listed) if configs[c].closing or configs[c].planned]
    if (
        not context.settling
        and context.now < min((feed.plans[c] for c in waiting), default=0)
        and context.draw_bool(0.7)
    ):
        return
    if not waiting:
        return
    for c in waiting:
        if context.draw_bool(0.8):
            yield from post_price(
                context,
                c,
                (context.get_next_or_current_price(c) or 1)
                * context.random.randint(9_000, 11_000)
                // BASIS_POINTS,
            )
        if context.draw_bool(0.1):
            yield context.build_action("PriceFeed", "set_halted", c, context.draw_bool(0.5), by=context.admin)
        if context.draw_bool(0.1):
            yield context.build_action("Settlement", "fix_price", c, by=context.pick_account())
    yield Wait(
        context.pick_item(
            (600, 3_600, 7_200, bounds.FINAL_WINDOW, bounds.MAX_FINAL_HALT, bounds.FINAL_DEADLINE)
        )
    )


@register_generator(weight=10)
def advance_settlement(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield up to 12 of the settlement calls that are possible now, in random order."""
    if not context.settling:
        return
    calls = list(_iter_due_settlement_calls(context))
    context.random.shuffle(calls)
    for contract, method, *args in calls[:12]:
        yield context.build_action(contract, method, *args, by=context.pick_account())
    if context.settlement.progress[()].fixed_at == 0 and (not calls or context.draw_bool(0.1)):
        yield context.build_action("Settlement", "fix_redemption_rates", by=context.pick_account())


def _iter_due_settlement_calls(context: GenerationContext) -> Iterator[tuple[Any, ...]]:
    for auction_id, lot in context.auction.lots.items():
        if lot.target:
            yield "CollateralAuction", "unwind", auction_id
    for workout_id in context.list_open_workouts():
        yield "Workouts", "unwind", workout_id
    for auction, c in context.list_equity_sales():
        yield auction.label, "end", c
    for c in range(context.engine.type_count[()]):
        if not context.settlement.final_prices[c].is_final and (
            context.feed.final_price("", c)[0] or context.draw_bool(0.1)
        ):
            yield "Settlement", "fix_price", c
        if context.engine.deficit[c] and context.draw_bool(0.2):
            yield "LossWaterfall", "cover", c
        if context.engine.deficit[c] and (
            context.engine.deficit[c] != context.settlement.left[c] or context.draw_bool(0.1)
        ):
            yield "Settlement", "cover_last", c
    for (c, owner), vault in context.engine.vaults.items():
        if vault.normalized_debt and context.settlement.final_prices[c].is_final:
            yield "Settlement", "skim", c, owner


@register_generator(weight=5)
def redeem_for_collateral(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a redemption of stablecoin in settlement, and calls that cash it for collateral in parts."""
    if not context.settlement.progress[()].fixed_at:
        return
    who = context.pick_item((context.find_richest_account(), context.pick_account()))
    held = context.get_balance("Stablecoin", who)
    if held:
        yield context.build_action("Settlement", "redeem", context.draw_near_limit(held), by=who)
    bag = int(context.settlement.bags[who])
    for c in range(min(context.listed, 4)):
        rest = bag - int(context.settlement.cashed[c, who])
        if rest and context.draw_bool(0.7):
            yield context.build_action("Settlement", "cash", c, context.draw_near_limit(rest), by=who)
    if context.draw_bool(0.1):
        yield context.build_action("Settlement", "cash", context.draw_type(), MAX_UINT256, by=who)
