"""Borrowers: open, draw up to a limit, repay, withdraw, leave."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAD, RAY, WAD, div_up
from backstop.proof.fuzz.generation_context import GenerationContext, Wait
from backstop.proof.fuzz.generator_registry import register_generator
from backstop.system import Action


def _deposit_and_draw(
    context: GenerationContext,
    collateral_type: int,
    owner: str,
    deposit: int,
    draw: int,
    receiver: str = "",
    by: str = "",
) -> Action:
    args = (collateral_type, owner, deposit, draw, receiver or owner)
    return Action("VaultEngine", "deposit_and_draw", args, by or owner)


def _repay_and_withdraw(
    context: GenerationContext,
    collateral_type: int,
    owner: str,
    repay: int,
    withdraw: int,
    receiver: str = "",
    by: str = "",
) -> Action:
    args = (collateral_type, owner, repay, withdraw, receiver or owner)
    return Action("VaultEngine", "repay_and_withdraw", args, by or owner)


@register_generator(weight=9)
def open_vault(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a deposit and a draw of debt at the initial ratio, 1 unit off it, or well above it."""
    c, owner = context.draw_type(), context.pick_account()
    price, terms = context.get_lower_feed_price(c), context.get_terms(c)
    if price == 0 or not context.has_fresh_price(c):
        return
    room = context.get_ceiling_room(c) // WAD
    if room <= terms.debt_floor:
        return
    least = max(terms.debt_floor, 1)
    debt = min(room, least * context.pick_item((1, 1, 2, 5, 20, 200, 5_000))) * WAD + context.pick_item(
        (0, 0, 1, 123_456_789)
    )
    ratio = context.pick_item((0, 1, 500, 5_000, 20_000)) + terms.initial_ratio
    deposit = div_up(debt * RAY * ratio, price * BASIS_POINTS)
    deposit = div_up(deposit, terms.unit) * terms.unit + context.pick_item((0, 0, 0, 0, 0, 1, -1))
    yield _deposit_and_draw(
        context, c, owner, max(deposit, 0), debt, context.pick_item((owner, owner, context.pick_account()))
    )


@register_generator(weight=3)
def draw_debt(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a draw of as much debt as ratio and ceilings allow, 1 wei less or more, or a part."""
    c, owner = context.draw_type(), context.pick_account()
    if context.get_vault(c, owner).locked_collateral == 0 or not context.has_fresh_price(c):
        return
    most = min(context.get_drawable_debt_by_ratio(c, owner), context.get_ceiling_room(c))
    if most * RAY + context.get_debt(c, owner) < context.get_terms(c).debt_floor * RAD and context.draw_bool(
        0.9
    ):
        return
    yield _deposit_and_draw(context, c, owner, 0, context.draw_near_limit(most))


@register_generator(weight=3)
def draw_to_floor(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a deposit and a draw that bring a vault's debt to the debt floor, or 1 wei off it."""
    c, owner = context.draw_type(), context.pick_account()
    missing = div_up(context.get_terms(c).debt_floor * RAD - context.get_debt(c, owner), RAY)
    if missing <= 0 or not context.has_fresh_price(c) or context.get_lower_feed_price(c) == 0:
        return
    deposit = (
        2
        * missing
        * RAY
        * context.get_terms(c).initial_ratio
        // (BASIS_POINTS * context.get_lower_feed_price(c))
    )
    yield _deposit_and_draw(
        context, c, owner, deposit + context.get_terms(c).unit, missing + context.pick_item((0, 0, 1, -1))
    )


@register_generator(weight=3)
def top_up_vault(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a deposit of collateral only, into the sender's vault or another account's."""
    c, owner = context.draw_type(), context.pick_account()
    amount = context.draw_part(
        max(context.get_vault(c, owner).locked_collateral, 10 * context.get_terms(c).unit)
    )
    yield _deposit_and_draw(
        context, c, owner, amount, 0, by=context.pick_item((owner, owner, context.pick_account()))
    )


@register_generator(weight=5)
def repay_debt(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a repayment of a vault's debt: a part, down to the debt floor, or all of it."""
    c, owner = context.draw_type(), context.pick_account()
    debt = context.get_debt(c, owner)
    if debt == 0:
        return
    payer = owner
    whole = div_up(debt, RAY)
    if context.stablecoin.balances[payer] < whole:
        payer = context.find_richest_account()
    to_floor = whole - context.get_terms(c).debt_floor * WAD
    least = context.get_rate(c) // RAY + 1  # less repays nothing
    amount = context.pick_item(
        (
            whole,
            context.draw_near_limit(whole),
            context.draw_near_limit(to_floor),
            max(context.draw_part(whole), least),
            MAX_UINT256,
        )
    )
    if context.draw_bool(0.8):
        amount = min(amount, context.stablecoin.balances[payer])
    yield _repay_and_withdraw(context, c, owner, amount, 0, by=payer)


@register_generator(weight=4)
def withdraw_collateral(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a withdrawal of about all collateral above the initial ratio, or of all without debt."""
    c, owner = context.draw_type(), context.pick_account()
    vault, terms = context.get_vault(c, owner), context.get_terms(c)
    if vault.locked_collateral == 0:
        return
    free = vault.locked_collateral
    if vault.normalized_debt:
        price = context.get_lower_feed_price(c)
        if price == 0 or not context.has_fresh_price(c):
            return
        free -= div_up(context.get_debt(c, owner) * terms.initial_ratio, price * BASIS_POINTS)
        if free <= 0 and context.draw_bool(0.8):
            return
    amount = context.pick_item(
        (context.draw_near_limit(free), context.draw_part(free), free // terms.unit * terms.unit)
    )
    yield _repay_and_withdraw(
        context, c, owner, 0, max(amount, 0), context.pick_item((owner, owner, context.pick_account()))
    )


@register_generator(weight=2)
def close_vault(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a full repayment and a withdrawal of all collateral, in one call or two."""
    c, owner = context.draw_type(), context.pick_account()
    vault = context.get_vault(c, owner)
    if vault.locked_collateral == 0:
        return
    if context.stablecoin.balances[owner] < div_up(context.get_debt(c, owner), RAY):
        missing = div_up(context.get_debt(c, owner), RAY) - context.stablecoin.balances[owner]
        giver = context.find_richest_account()
        if context.stablecoin.balances[giver] < missing or giver == owner:
            return
        yield context.build_action("Stablecoin", "transfer", owner, missing + 10**15, by=giver)
    if context.draw_bool(0.5):
        yield _repay_and_withdraw(context, c, owner, MAX_UINT256, vault.locked_collateral)
    else:
        yield _repay_and_withdraw(context, c, owner, MAX_UINT256, 0)
        yield _repay_and_withdraw(context, c, owner, 0, context.get_vault(c, owner).locked_collateral)


@register_generator(weight=1)
def operate_vault(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a draw or withdrawal by an operator of an owner's vault, with or without approval."""
    c, owner, operator = context.draw_type(), context.pick_account(), context.pick_account()
    if context.draw_bool(0.6):
        yield context.build_action(
            "VaultEngine", "approve_operator", operator, context.draw_bool(0.7), by=owner
        )
    vault = context.get_vault(c, owner)
    if context.draw_bool(0.5):
        most = min(context.get_drawable_debt_by_ratio(c, owner), context.get_ceiling_room(c))
        yield _deposit_and_draw(context, c, owner, 0, max(1, most // 2), operator, by=operator)
    else:
        yield _repay_and_withdraw(context, c, owner, 0, vault.locked_collateral // 20, operator, by=operator)


@register_generator(weight=2)
def accrue_fee(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that accrues a type's stability fee. Any account may make this call."""
    yield context.build_action("VaultEngine", "accrue", context.draw_type(), by=context.pick_account())


@register_generator(weight=0.8)
def accrue_by_view(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call of `accrue_and_read`, which accrues a type's fee and returns a vault's state.

    Any account may make this call; the liquidation engine does.
    """
    factor = context.pick_item((10_000, 10_000, 0, 100, MAX_UINT256))
    yield context.build_action(
        "VaultEngine",
        "accrue_and_read",
        context.draw_type(),
        context.pick_account(),
        factor,
        by=context.pick_account(),
    )
