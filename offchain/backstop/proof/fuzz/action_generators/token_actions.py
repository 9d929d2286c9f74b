"""Tokens on the move: gifts, donations, allowances, permits, a market."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from backstop.contract_base import ZERO_ADDRESS
from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.model.constant_product_market import ConstantProductMarket
from backstop.model.pool import Pool
from backstop.proof.fuzz import permit_generator
from backstop.proof.fuzz.generation_context import Fungible, GenerationContext, Wait
from backstop.proof.fuzz.generator_registry import register_generator
from backstop.system import Action


def _pick_token(context: GenerationContext) -> str:
    shares = context.pick_item(
        (*context.pools, *context.claims, *context.facilitators, *(("Equity",) if context.has_equity else ()))
    )
    return context.pick_item(
        ("Stablecoin", shares, shares, context.get_symbol(context.draw_type()), "Odd", "Fee")
    )


def _pick_receiver(context: GenerationContext) -> str:
    """Pick a receiver: mostly an ordinary account, at times a contract or the zero address."""
    if context.draw_bool(0.6):
        return context.pick_account()
    if context.draw_bool(0.1):
        return ZERO_ADDRESS
    names = (
        "VaultEngine",
        context.pick_item((*context.pools, *context.claims, *context.equity_auctions)),
        "CollateralAuction",
        "LossWaterfall",
        "Stablecoin",
        "FlashTaker",
    )
    return context.world.contracts[context.pick_item(names)].address


@register_generator(weight=2, of_own_types=True)
def transfer_tokens(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a token transfer to an account, or as a donation to a contract."""
    token, who = _pick_token(context), context.pick_account()
    held = context.get_balance(token, who)
    yield context.build_action(
        token,
        "transfer",
        _pick_receiver(context),
        context.draw_near_limit(held // 3, held // 10, held),
        by=who,
    )


@register_generator(weight=1, of_own_types=True)
def approve_spender(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield an approval of a random allowance to an account or to the zero address."""
    token, who = _pick_token(context), context.pick_account()
    spender = ZERO_ADDRESS if context.draw_bool(0.05) else context.pick_account()
    yield context.build_action(
        token,
        "approve",
        spender,
        context.pick_item((0, 1, WAD, context.get_balance(token, who), MAX_UINT256)),
        by=who,
    )


@register_generator(weight=1, of_own_types=True)
def transfer_on_allowance(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a `transferFrom` by a spender, mostly within its allowance, at times after an approval."""
    token, owner, spender = _pick_token(context), context.pick_account(), context.pick_account()
    contract = cast(Fungible, context.world.contracts[token])
    if contract.allowances[owner, spender] == 0 and context.draw_bool(0.8):
        yield context.build_action(
            token, "approve", spender, context.draw_near_limit(context.get_balance(token, owner)), by=owner
        )
    allowed = min(contract.allowances[owner, spender], context.get_balance(token, owner))
    yield context.build_action(
        token, "transferFrom", owner, _pick_receiver(context), context.draw_near_limit(allowed), by=spender
    )


@register_generator(weight=0.8)
def sign_permit(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a `permit` call (approval by signature), valid, expired or with a wrong field."""
    others = (
        *context.pools,
        *context.claims,
        *context.facilitators,
        *(("Equity",) if context.has_equity else ()),
    )
    yield permit_generator.draw_permit(context, context.pick_item(("Stablecoin", context.pick_item(others))))


@register_generator(weight=1, of_own_types=True)
def mint_collateral(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that mints test collateral tokens to an account."""
    c, who = context.draw_type(), context.pick_account()
    yield context.build_action(
        context.get_symbol(c),
        "mint",
        who,
        context.draw_part(10**6) * WAD // context.get_terms(c).unit,
        by=who,
    )


@register_generator(weight=0.8)
def freeze_token(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield calls that freeze a test token, use a contract that holds the token, and unfreeze it."""
    names = [n for n, k in context.deployment.contract_kinds.items() if k == "ReturnsFalseToken"] + ["Odd"]
    name = context.pick_item(names)
    yield context.build_action(name, "freeze", True, by=context.pick_account())
    if context.draw_bool(0.7):
        who, pool = context.pick_account(), cast(Pool, context.world.contracts["OddPool"])
        if name == "Odd":
            yield context.build_action("OddPool", "deposit", WAD, who, by=who)
            ready = [owner for owner in context.people if pool.lines[owner].first]
            if ready:
                owner = ready[0]
                yield context.build_action(
                    "OddPool", "redeem", pool.maxRedeem("", owner), who, owner, by=owner
                )
        else:
            c = [each.symbol for each in context.deployment.parameters.collateral_types].index(name)
            unit = context.get_terms(c).unit
            yield context.build_action("VaultEngine", "deposit_and_draw", c, who, unit, 0, who, by=who)
            locked = context.get_vault(c, who).locked_collateral
            if locked and context.get_vault(c, who).normalized_debt == 0:
                yield context.build_action("VaultEngine", "repay_and_withdraw", c, who, 0, unit, who, by=who)
    yield context.build_action(name, "freeze", False, by=context.pick_account())


@register_generator(weight=0.6)
def list_fee_token(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield an attempt to list a token with transfer fees as collateral, which the engine refuses."""
    yield context.build_action("Fee", "set_free_pulls", context.draw_bool(0.5), by=context.pick_account())
    yield context.build_action("Fee", "transferFrom", context.admin, context.admin, WAD, by=context.admin)
    address = context.world.contracts["Fee"].address
    yield context.build_action(
        "VaultEngine", "add_collateral_type", address, 15_000, 15_000, by=context.admin
    )


@register_generator(weight=1.6, of_own_types=True)
def trade_on_market(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a sale or purchase of collateral on the type's constant-product market."""
    c, who = context.draw_type(), context.pick_item((context.find_richest_account(), context.pick_account()))
    name = f"Market.{context.get_symbol(c)}"
    market = cast(ConstantProductMarket, context.world.contracts[name])
    if context.draw_bool(0.5):
        held = context.get_balance(context.get_symbol(c), who) * context.get_terms(c).unit
        amount = min(context.draw_part(max(held, 1)), max(market.collateral[()], context.get_terms(c).unit))
        yield context.build_action(
            name, "sell", amount, context.pick_item((0, 0, 0, MAX_UINT256)), who, by=who
        )
    else:
        held = context.get_balance("Stablecoin", who)
        amount = min(context.draw_part(max(held, 1)), max(market.stable[()] // 2, 1))
        yield context.build_action(
            name, "buy", amount, context.pick_item((0, 0, 0, MAX_UINT256)), who, by=who
        )


@register_generator(weight=1, of_own_types=True)
def provide_liquidity(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield the market maker's call that sets a market's liquidity at the feed's price.

    The account with the most stablecoin gives the stablecoin.
    """
    c = context.draw_type()
    price, unit = context.get_lower_feed_price(c), context.get_terms(c).unit
    maker = context.deployment.get_account("market_maker")
    if price == 0:
        return
    name, giver = f"Market.{context.get_symbol(c)}", context.find_richest_account()
    stable = context.draw_part(max(context.stablecoin.balances[giver] // 2, 1))
    yield context.build_action("Stablecoin", "transfer", maker, stable, by=giver)
    stable = context.get_balance("Stablecoin", maker)
    collateral = min(stable * 10**27 // price, context.get_balance(context.get_symbol(c), maker) * unit)
    by = maker if context.draw_bool(0.95) else context.pick_account()
    yield context.build_action(name, "set_liquidity", collateral, stable, by=by)
