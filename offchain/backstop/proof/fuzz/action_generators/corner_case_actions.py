"""Rare states on purpose: chance alone would take weeks to reach them."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAY
from backstop.model.vault_engine import MAX_LOCKED
from backstop.proof.fuzz.action_generators.price_actions import post_price_until_current
from backstop.proof.fuzz.generation_context import GenerationContext, Wait
from backstop.proof.fuzz.generator_registry import register_generator
from backstop.system import Action


@register_generator(weight=0.025, of_own_types=True)
def overfill_vault(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield calls that fill a vault to its maximal collateral three times and liquidate it each time.

    Then the collateral of all three auctions is returned to the same vault.
    """
    c, owner = context.draw_type(), context.pick_account()
    terms, price = context.get_terms(c), RAY // 10**8
    yield context.build_action(context.get_symbol(c), "mint", owner, 3 * MAX_LOCKED // terms.unit, by=owner)
    for _ in range(3):
        yield from post_price_until_current(context, c, price)
        deposit = max(0, MAX_LOCKED - context.get_vault(c, owner).locked_collateral)
        debt = MAX_LOCKED * price // RAY * BASIS_POINTS // (terms.initial_ratio + 1_000)
        yield context.build_action(
            "VaultEngine", "deposit_and_draw", c, owner, deposit, debt, owner, by=owner
        )
        price //= 2
        yield from post_price_until_current(context, c, price)
        yield context.build_liquidation(c, owner, owner, by=owner)
    last = int(context.auction.ids[()])
    yield from post_price_until_current(context, c, RAY // 10**5)
    for auction_id in range(max(last - 2, 1), last + 1):
        yield Wait(
            context.auction.terms[c].tail + context.auction.block_time + 1 if auction_id <= last - 2 else 0
        )
        yield from post_price_until_current(context, c, RAY // 10**5)
        yield context.build_action("CollateralAuction", "reset", auction_id, owner, by=owner)
        taker = context.find_richest_account()
        yield context.build_action(
            "CollateralAuction", "take", auction_id, MAX_UINT256, MAX_UINT256, taker, b"", by=taker
        )


@register_generator(weight=0.05)
def draw_after_years(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a wait of more than a year, a price report, and a draw of debt from a vault.

    The wait is longer than the maximal time for which one accrual charges the stability fee.
    """
    c, owner = context.draw_type(), context.pick_account()
    if context.get_next_or_current_price(c) == 0 or context.get_drawable_debt_by_ratio(c, owner) <= 0:
        return
    yield Wait(context.pick_item((366, 800)) * 86_400)
    yield from post_price_until_current(context, c, 2 * context.get_next_or_current_price(c))
    most = min(context.get_drawable_debt_by_ratio(c, owner), context.get_ceiling_room(c))
    yield context.build_action(
        "VaultEngine", "deposit_and_draw", c, owner, 0, context.draw_near_limit(most), owner, by=owner
    )
