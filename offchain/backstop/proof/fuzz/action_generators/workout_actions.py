"""Workouts: entries, payments and missed payments, and foreclosures, each in time or a second off."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAD, RAY, div_up
from backstop.model.interfaces import CAUTION
from backstop.model.workouts import Balance, principal_left
from backstop.proof.fuzz.action_generators.price_actions import post_price_until_current
from backstop.proof.fuzz.generation_context import GenerationContext, Wait
from backstop.proof.fuzz.generator_registry import register_generator
from backstop.system import Action


@register_generator(weight=4)
def enter_workout(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield the calls that bring a vault into a workout (repayment of its debt in instalments).

    The calls wait, move the price, make a margin call, raise the caution mode, and enter. The price leaves
    the vault just enough collateral, or a little too little.
    """
    found = [
        (c, owner)
        for c in range(min(context.listed, 4))
        for owner in context.people
        if _can_enter(context, c, owner)
    ]
    if context.workouts is None or context.policy is None or not found or context.settling:
        return
    c, owner = context.pick_item(found)
    terms, vault, debt = context.workouts.terms[c], context.get_vault(c, owner), context.get_debt(c, owner)
    least = div_up(debt * BASIS_POINTS, vault.locked_collateral * (BASIS_POINTS - terms.discount))
    need = debt * context.policy.calls[c].ratio + context.policy.add_on("", c, debt)
    most = (need - 1) // (vault.locked_collateral * BASIS_POINTS)
    # Fees make a debt grow on the way.
    price = context.pick_item((most, most, (least + most) // 2, least + least // 1_000, least, least - 1))
    if not 0 < price <= min(most, bounds.MAX_PRICE) or (least > most and context.draw_bool(0.9)):
        return
    if context.draw_bool(0.8):
        yield Wait(
            max(
                0,
                context.workouts.entries[c, owner]
                + terms.period
                - context.now
                - context.pick_item((0, 0, 0, 1)),
            )
        )
    yield from post_price_until_current(context, c, price)
    if not context.get_vault(c, owner).called_at:
        yield context.build_action("LiquidationEngine", "call", c, owner, by=context.pick_account())
    if context.policy.mode("") < CAUTION and context.draw_bool(0.97):
        yield context.build_action("CircuitBreaker", "force_mode", CAUTION, by=context.guardian)
    instalments = context.pick_item((1, (terms.instalments + 1) // 2, terms.instalments))
    if context.draw_bool(0.03):
        instalments = context.pick_item((0, terms.instalments + 1))
    by = owner if context.draw_bool(0.95) else context.pick_account()
    yield context.build_action("Workouts", "enter", c, owner, instalments, by=by)


def _can_enter(context: GenerationContext, collateral_type: int, owner: str) -> bool:
    """Return whether a vault has collateral, and debt within the limits of workouts.

    At times ignore the limits.
    """
    if (
        context.workouts is None
        or context.policy is None
        or not (context.workouts.terms[collateral_type].cap and context.policy.calls[collateral_type].ratio)
    ):
        return False
    left = min(
        context.get_auction_room(collateral_type),
        context.workouts.terms[collateral_type].cap * RAD - context.workouts.principals[collateral_type],
    )
    debt = context.get_debt(collateral_type, owner)
    return bool(
        context.get_vault(collateral_type, owner).locked_collateral
        and debt
        and (debt < left or context.draw_bool(0.05))
    )


@register_generator(weight=3)
def pay_workout(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a payment of a workout: an instalment, 1 wei off it, the principal, all, or nothing."""
    workout_id = context.draw_workout_id()
    if context.workouts is None or workout_id is None:
        return
    balance: Balance = context.workouts.balances[workout_id]
    sums, payer = context.workouts.sums[workout_id], context.find_richest_account()
    if balance.left and context.draw_bool(0.3):
        due = context.workouts.schedules[workout_id].compute_due_time(balance.met)
        yield Wait(max(0, due - context.now - context.pick_item((0, 1, 600))))
        if context.draw_bool(0.7) and not context.settling:
            yield from post_price_until_current(
                context, balance.collateral_type, context.get_lower_feed_price(balance.collateral_type)
            )
    parts = max(1, balance.instalments)
    next_one = -(-sums.owed * (balance.met + 1) // parts) - (sums.owed - balance.left)
    principal = principal_left(balance, sums) // RAY
    amount = context.pick_item(
        (
            context.draw_near_limit(max(0, next_one)),
            context.draw_near_limit(max(0, next_one)),
            context.draw_near_limit(principal),
            MAX_UINT256,
            0,
        )
    )
    held = context.get_balance("Stablecoin", payer)
    if amount != MAX_UINT256 and context.draw_bool(0.9):
        amount = min(amount, held)
    yield context.build_action("Workouts", "pay", workout_id, amount, by=payer)


@register_generator(weight=1.2)
def top_up_workout(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a transfer of collateral into a workout from its owner's vault, mostly without debt."""
    workout_id = context.draw_workout_id()
    if context.workouts is None or workout_id is None or context.settling:
        return
    balance: Balance = context.workouts.balances[workout_id]
    c, owner = balance.collateral_type, context.workouts.schedules[workout_id].owner
    if balance.left == 0:
        owner = context.pick_account()
    elif context.get_debt(c, owner) == 0 and context.draw_bool(0.8):
        yield context.build_action(
            "VaultEngine",
            "deposit_and_draw",
            c,
            owner,
            context.draw_near_limit(balance.lot),
            0,
            owner,
            by=owner,
        )
    elif context.draw_bool(0.8):
        return
    by = owner if context.draw_bool(0.9) else context.pick_account()
    yield context.build_action(
        "Workouts",
        "top_up",
        workout_id,
        context.draw_near_limit(context.get_vault(c, owner).locked_collateral),
        by=by,
    )


@register_generator(weight=2)
def foreclose_workout(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield the foreclosure of a workout, once an instalment is missed or its ratio is too low.

    At times it is one second or one price unit too early.
    """
    workout_id = context.draw_workout_id()
    if context.workouts is None or workout_id is None or context.settling:
        return
    balance: Balance = context.workouts.balances[workout_id]
    schedule, c = context.workouts.schedules[workout_id], balance.collateral_type
    if balance.lot:
        price = context.feed.prices[c].current
        if context.draw_bool(0.5):
            principal = principal_left(balance, context.workouts.sums[workout_id])
            price = principal * schedule.ratio // (balance.lot * BASIS_POINTS) + context.pick_item((0, 0, 1))
            if not 0 < price <= bounds.MAX_PRICE:
                return
            yield from post_price_until_current(context, c, price)
        else:
            yield Wait(max(0, schedule.compute_due_time(balance.met) - context.now))
        yield from post_price_until_current(context, c, price)
        yield Wait(context.pick_item((0, 1)))
    yield context.build_action(
        "Workouts", "foreclose", workout_id, context.pick_account(), by=context.pick_account()
    )


@register_generator(weight=1)
def retire_type_in_workout(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield the repayment of all debt except premiums of a workout's type, and the type's delisting.

    At times a payment of the premium follows.
    """
    workout_id = context.draw_workout_id()
    if (
        context.workouts is None
        or workout_id is None
        or context.settling
        or not context.workouts.balances[workout_id].left
    ):
        return
    c = context.workouts.balances[workout_id].collateral_type
    for owner in [
        owner for (of, owner), vault in context.engine.vaults.items() if of == c and vault.normalized_debt
    ]:
        yield context.build_action(
            "VaultEngine",
            "repay_and_withdraw",
            c,
            owner,
            MAX_UINT256,
            0,
            owner,
            by=context.find_richest_account(),
        )
    for each in context.list_open_workouts():
        balance: Balance = context.workouts.balances[each]
        if balance.collateral_type == c and (left := principal_left(balance, context.workouts.sums[each])):
            yield context.build_action(
                "Workouts", "pay", each, div_up(left, RAY), by=context.find_richest_account()
            )
    yield context.build_action("VaultEngine", "retire_collateral_type", c, by=context.admin)
    if context.draw_bool(0.3):
        yield context.build_action(
            "Workouts",
            "pay",
            workout_id,
            context.pick_item((1, MAX_UINT256)),
            by=context.find_richest_account(),
        )


@register_generator(weight=1)
def set_workout_terms(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield the admin's call that sets a type's workout terms, at times out of bounds."""
    if context.workouts is None:
        return
    c = context.draw_type() if context.draw_bool(0.97) else context.listed
    discount = context.pick_item((0, 1_000, 2_000, bounds.MAX_WORKOUT_DISCOUNT))
    highest = BASIS_POINTS * BASIS_POINTS // (BASIS_POINTS - discount)
    ratio = context.pick_item((BASIS_POINTS, highest, context.random.randint(BASIS_POINTS, highest)))
    premium = context.pick_item((0, 1, 200, bounds.MAX_PREMIUM))
    instalments = context.pick_item((1, 4, 7, bounds.MAX_INSTALMENTS))
    interval = context.pick_item((bounds.MIN_INTERVAL, 3_600, 86_400, bounds.MAX_INTERVAL))
    period = context.pick_item((0, 0, 3_600, bounds.MAX_WORKOUT_PERIOD))
    taken = context.workouts.principals[min(c, context.listed - 1)] // RAD
    cap = context.pick_item((0, taken, 10**5, 10**7, bounds.MAX_DEBT_CEILING))
    if context.draw_bool(0.15):
        discount = context.pick_item((bounds.MAX_WORKOUT_DISCOUNT + 1, discount))
        ratio = context.pick_item((BASIS_POINTS - 1, highest + 1, ratio))
        premium = context.pick_item((bounds.MAX_PREMIUM + 1, premium))
        instalments = context.pick_item((0, bounds.MAX_INSTALMENTS + 1, instalments))
        interval = context.pick_item((bounds.MIN_INTERVAL - 1, bounds.MAX_INTERVAL + 1, interval))
        period = context.pick_item((bounds.MAX_WORKOUT_PERIOD + 1, period))
        cap = context.pick_item((bounds.MAX_DEBT_CEILING + 1, MAX_UINT256, cap))
    args = c, discount, ratio, premium, instalments, interval, period, cap
    yield context.build_action(
        "Workouts",
        "set_terms",
        *args,
        by=context.admin if context.draw_bool(0.93) else context.pick_account(),
    )
