"""Sales at a fixed discount: purchases of all sizes, with money or without, and terms that change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAY, div_up
from backstop.model.constant_product_market import ConstantProductMarket
from backstop.proof.fuzz.action_generators.price_actions import post_price_until_current
from backstop.proof.fuzz.action_generators.token_actions import provide_liquidity
from backstop.proof.fuzz.discount_terms import draw_discount_terms
from backstop.proof.fuzz.generation_context import GenerationContext, Wait
from backstop.proof.fuzz.generator_registry import register_generator
from backstop.system import Action

# A value out of bounds, or one that belongs to another kind of bonus or amount.
_BREAKS = (
    ("base_bonus", 3_334),
    ("max_bonus", 3_334),
    ("max_bonus", 1),
    ("full_bonus_health", 1),
    ("full_bonus_health", 10_000),
    ("max_discount", 1),
    ("max_discount", 3_334),
    ("cursor", 1),
    ("cursor", 10_000),
    ("target_health", 0),
    ("target_health", 10_000),
    ("target_health", 20_001),
    ("close_factor", 0),
    ("close_factor", 499),
    ("close_factor", 10_001),
    ("whole_close_health", 1),
    ("whole_close_health", 10_001),
    ("small_position", 1),
    ("small_position", 10_000_001),
    ("fee", 10_001),
)


def make_vault_unsafe(
    context: GenerationContext, collateral_type: int, owner: str
) -> Iterator[Action | Wait]:
    """Yield price reports that make a vault slightly or deeply unsafe; renew the price if it is.

    A vault is unsafe under the liquidation ratio. Yield nothing if the vault has no collateral.
    """
    vault, grace = context.get_vault(collateral_type, owner), context.feed.configs[collateral_type].grace
    if not vault.locked_collateral:
        return
    price = context.get_next_or_current_price(collateral_type)
    if owner not in context.list_unsafe_owners(collateral_type):
        debt = vault.normalized_debt * context.get_rate(collateral_type)
        ratio = context.get_terms(collateral_type).liquidation_ratio
        edge = debt * ratio // vault.locked_collateral // BASIS_POINTS
        price = edge * context.pick_item((999, 990, 950, 900, 850, 700, 400)) // 1_000
    if 0 < price <= bounds.MAX_PRICE:
        yield from post_price_until_current(context, collateral_type, price)
        if grace and context.draw_bool(0.5):
            yield Wait(grace + 1)
            yield from post_price_until_current(context, collateral_type, price)


def _pick_indebted_owner(context: GenerationContext, collateral_type: int) -> str | None:
    """Pick the owner of an indebted vault of a type that is sold at a fixed discount; None without one."""
    owners = [who for who in context.people if context.get_vault(collateral_type, who).normalized_debt]
    is_sold = context.has_mechanism(collateral_type) and context.find_stability_pool(collateral_type) is None
    is_priced = context.feed.configs[collateral_type].reporters
    return context.pick_item(owners) if owners and is_sold and is_priced else None


@register_generator(weight=40, of_discounts=True)
def buy_unsafe_vault(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield price reports that make a vault unsafe, and one to three purchases of its collateral."""
    c = context.draw_type()
    owner = _pick_indebted_owner(context, c)
    if owner is None:
        return
    yield from make_vault_unsafe(context, c, owner)
    for _ in range(context.pick_item((1, 1, 2, 3))):
        yield context.build_liquidation(c, owner, context.pick_account(), by=context.pick_account())


@register_generator(weight=20, of_discounts=True)
def buy_and_sell_unsafe_vault(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a purchase of a vault's collateral that is paid by selling the collateral on the market.

    The buyer needs no capital. At times the market's liquidity is too small, or the vault is safe.
    """
    c = context.draw_type()
    owner = _pick_indebted_owner(context, c)
    name = (
        f"Market.{context.get_symbol(c)}" if c < len(context.deployment.parameters.collateral_types) else ""
    )
    if name not in context.world.contracts or owner is None:
        return
    if context.draw_bool(0.9):
        yield from make_vault_unsafe(context, c, owner)
    if context.draw_bool(0.8):
        yield from provide_liquidity(context)
    market = cast(ConstantProductMarket, context.world.contracts[name])
    debt = div_up(context.get_vault(c, owner).normalized_debt * context.get_rate(c), RAY)
    depth = market.stable[()]
    repay = context.pick_item((MAX_UINT256, debt // 2, depth // 50, depth // 500))
    args = (c, owner, MAX_UINT256, repay, MAX_UINT256, market.address, context.pick_item((0, 0, 1, debt)))
    who = context.deployment.get_account("taker") if context.draw_bool(0.97) else context.pick_account()
    yield context.build_action("FlashTaker", "liquidate_and_sell", *args, by=who)


@register_generator(weight=8, of_discounts=True)
def change_discount(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a change of a type's fixed-discount terms, its liquidation mechanism or its ratios.

    At times a term is invalid, or an account without the right calls.
    """
    if "FixedDiscount" not in context.world.contracts:
        return
    c = context.draw_type()
    by = context.admin if context.draw_bool(0.9) else context.pick_account()
    ratio = context.get_terms(c).liquidation_ratio
    kind = context.pick_item(("terms", "terms", "mechanism", "ratio"))
    if kind == "terms":
        terms = draw_discount_terms(context.random, ratio)
        if context.draw_bool(0.3):
            terms = replace(terms, **dict([context.pick_item(_BREAKS)]))
        yield context.build_action("FixedDiscount", "set_terms", c, tuple(vars(terms).values()), by=by)
    elif kind == "mechanism":
        address = context.world.contracts["FixedDiscount"].address
        yield context.build_action("LiquidationEngine", "set_mechanism", c, address, by=by)
    else:
        lower = context.pick_item((ratio, ratio + 1, 10_400, 10_000))
        upper = max(lower, context.get_terms(c).initial_ratio)
        yield context.build_action("VaultEngine", "set_ratios", c, lower, upper, by=by)
