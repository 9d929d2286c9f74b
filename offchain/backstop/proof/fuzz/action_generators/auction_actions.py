"""Liquidators and takers, with money of their own or a flash take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.collateral_auction import compute_lot_principal_left
from backstop.model.constant_product_market import ConstantProductMarket
from backstop.proof.fuzz.action_generators.price_actions import post_price_until_current
from backstop.proof.fuzz.generation_context import GenerationContext, Wait
from backstop.proof.fuzz.generator_registry import register_generator
from backstop.system import Action


@register_generator(weight=5)
def liquidate_vault(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a liquidation of an unsafe vault, at times of a safe vault, with a fresh price before it."""
    c = context.draw_type()
    found = context.list_unsafe_owners(c)
    if not found and context.draw_bool(0.95):
        return
    if not context.has_fresh_price(c) and context.draw_bool(0.9):
        yield from post_price_until_current(context, c, context.feed.prices[c].current)
    if not context.get_auction_room(c) and context.draw_bool(0.8):
        return
    owner = context.pick_item(found) if found and context.draw_bool(0.95) else context.pick_account()
    yield context.build_liquidation(c, owner, context.pick_account(), by=context.pick_account())


@register_generator(weight=1.5)
def liquidate_unsafe_vaults(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a liquidation for each unsafe vault of a collateral type, while the auction limit allows."""
    c = context.draw_type()
    if not context.has_fresh_price(c):
        return
    for owner in context.list_unsafe_owners(c):
        if not context.get_auction_room(c):
            return
        yield context.build_liquidation(c, owner, context.pick_account(), by=context.pick_account())


def _compute_price_and_reset_due(context: GenerationContext, auction_id: int) -> tuple[int, bool]:
    lot = context.auction.lots[auction_id]
    top = context.auction.tops[auction_id].top
    return context.auction.terms[lot.collateral_type].price(top, context.auction_clock - lot.started_at)


def _draw_size(context: GenerationContext, auction_id: int, price: int) -> int:
    """Draw an amount of collateral to buy from an auction [wad].

    It is the whole lot, a part, the amount that repays the debt or leaves the smallest allowed rest, or 1 off
    these.
    """
    lot, terms = (
        context.auction.lots[auction_id],
        context.auction.terms[context.auction.lots[auction_id].collateral_type],
    )
    to_target = lot.target * RAY // max(price, 1)
    to_rest = max(lot.target - terms.minimum * WAD, 0) * RAY // max(price, 1)
    return context.pick_item(
        (
            MAX_UINT256,
            context.draw_near_limit(lot.lot),
            context.draw_near_limit(to_target),
            context.draw_near_limit(to_rest),
            context.draw_part(lot.lot),
        )
    )


@register_generator(weight=8)
def take_auction(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a purchase of a random amount from a collateral auction, after some time.

    If the auction's price has expired, a call that restarts the price (`reset`) mostly comes first.
    """
    auction_id = context.draw_auction_id()
    lot = context.auction.lots[auction_id]
    if lot.started_at == 0 and context.draw_bool(0.8):
        return
    yield Wait(context.pick_item((0, 0, 0, 30, 300, 1_800)))
    price, due = _compute_price_and_reset_due(context, auction_id) if lot.started_at else (0, False)
    if due and context.draw_bool(0.95):
        if lot.lot == 0 or lot.collateral_type >= context.listed:
            return
        if not context.has_fresh_price(lot.collateral_type):
            yield from post_price_until_current(
                context, lot.collateral_type, context.feed.prices[lot.collateral_type].current
            )
        yield context.build_action(
            "CollateralAuction", "reset", auction_id, context.pick_account(), by=context.pick_account()
        )
        price, _ = _compute_price_and_reset_due(context, auction_id)
    taker = context.find_richest_account() if context.draw_bool(0.9) else context.pick_account()
    amount = _draw_size(context, auction_id, price)
    if context.draw_bool(0.9):  # not more than one can pay
        amount = min(amount, context.stablecoin.balances[taker] * RAY // max(price, 1))
    limit = (
        max(price - 1, 0) if context.draw_bool(0.04) else context.pick_item((MAX_UINT256, MAX_UINT256, price))
    )
    receiver = context.pick_item((taker, taker, context.pick_account()))
    yield context.build_action(
        "CollateralAuction", "take", auction_id, amount, limit, receiver, b"", by=taker
    )


@register_generator(weight=1.5)
def take_auction_in_parts(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield four purchases from one auction at the same instant; the last buys the remaining lot."""
    auction_id = context.draw_auction_id()
    if (
        context.auction.lots[auction_id].started_at == 0
        or _compute_price_and_reset_due(context, auction_id)[1]
    ):
        return
    taker = context.find_richest_account()
    for share in (7, 5, 3, 1):
        lot = context.auction.lots[auction_id]
        if lot.started_at == 0:
            return
        yield context.build_action(
            "CollateralAuction", "take", auction_id, lot.lot // share, MAX_UINT256, taker, b"", by=taker
        )


@register_generator(weight=3)
def reset_auction(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that restarts an auction's price, mostly once that price has expired."""
    due = [
        auction_id
        for auction_id in context.list_open_auctions()
        if _compute_price_and_reset_due(context, auction_id)[1] and context.auction.lots[auction_id].lot
    ]
    if not due and context.draw_bool(0.97):
        return
    auction_id = context.pick_item(due) if due else context.draw_auction_id()
    if (
        due
        and not context.has_fresh_price(context.auction.lots[auction_id].collateral_type)
        and context.draw_bool(0.8)
    ):
        return
    yield context.build_action(
        "CollateralAuction", "reset", auction_id, context.pick_account(), by=context.pick_account()
    )


def _is_hopeless(context: GenerationContext, auction_id: int) -> bool:
    lot = context.auction.lots[auction_id]
    terms = context.auction.terms[lot.collateral_type]
    if lot.lot == 0:
        return True
    price = context.feed.prices[lot.collateral_type].current
    late = context.auction_clock > lot.started_at + terms.tail
    return bool(late and terms.is_worthless(lot.lot, price))


@register_generator(weight=1.8)
def close_auction(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that closes an auction which can repay no more, rarely one which still can."""
    ids = context.list_open_auctions()
    lost = [auction_id for auction_id in ids if _is_hopeless(context, auction_id)]
    if not lost and context.draw_bool(0.97):
        return
    yield context.build_action(
        "CollateralAuction",
        "close",
        context.pick_item(lost) if lost else context.draw_auction_id(),
        by=context.pick_account(),
    )


@register_generator(weight=0.6)
def close_at_price_glitch(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a wrong price report, a call that closes an auction, and a report of the old price.

    At the wrong price the auction's lot seems worthless.
    """
    ids = [auction_id for auction_id in context.list_open_auctions() if context.auction.lots[auction_id].lot]
    if not ids:
        return
    auction_id = context.pick_item(ids)
    lot = context.auction.lots[auction_id]
    c, price = lot.collateral_type, context.feed.prices[lot.collateral_type].current
    if price <= 1 or c >= context.listed:
        return
    yield Wait(
        max(
            0,
            lot.started_at
            + context.auction.terms[c].tail
            + context.auction.block_time
            + 1
            - context.auction_clock,
        )
    )
    yield from post_price_until_current(context, c, price)
    yield from post_price_until_current(context, c, 1)
    yield context.build_action("CollateralAuction", "close", auction_id, by=context.pick_account())
    yield from post_price_until_current(context, c, price)


@register_generator(weight=4)
def empty_lot_below_target(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a purchase of a whole lot that raises less than the auction must raise (its target).

    At times calls follow that try to restart the empty auction's price, and that close the auction.
    """
    for auction_id in context.list_open_auctions():
        lot, (price, due) = (
            context.auction.lots[auction_id],
            _compute_price_and_reset_due(context, auction_id),
        )
        taker = context.find_richest_account()
        if due or lot.lot == 0 or lot.lot * price >= lot.target * RAY:
            continue
        if context.stablecoin.balances[taker] * RAY < lot.lot * price:
            continue
        yield context.build_action(
            "CollateralAuction", "take", auction_id, MAX_UINT256, MAX_UINT256, taker, b"", by=taker
        )
        if context.draw_bool(0.3):
            yield context.build_action("CollateralAuction", "reset", auction_id, taker, by=taker)
        if context.draw_bool(0.5):
            yield context.build_action("CollateralAuction", "close", auction_id, by=taker)
        return


@register_generator(weight=2)
def repay_principal_only(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a purchase that repays just the principal of an auction, and at times a closing call.

    After this purchase the auction cannot be closed.
    """
    for auction_id in context.list_open_auctions():
        lot, (price, due) = (
            context.auction.lots[auction_id],
            _compute_price_and_reset_due(context, auction_id),
        )
        principal = compute_lot_principal_left(lot, context.auction.tops[auction_id])
        taker = context.find_richest_account()
        if due or price == 0 or context.stablecoin.balances[taker] * RAY < principal:
            continue
        amount = principal // price + context.pick_item((0, 1)) * context.get_terms(lot.collateral_type).unit
        yield context.build_action(
            "CollateralAuction", "take", auction_id, amount, MAX_UINT256, taker, b"", by=taker
        )
        if context.draw_bool(0.3):
            yield Wait(context.auction.terms[lot.collateral_type].tail + context.auction.block_time + 1)
            yield context.build_action("CollateralAuction", "close", auction_id, by=taker)
        return


@register_generator(weight=8)
def flash_take_auction(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a flash take: the buyer sells the collateral in the take's callback to pay for it.

    The amount is mostly one for which the market pays more than the auction asks.
    """
    auction_id = context.draw_auction_id()
    lot = context.auction.lots[auction_id]
    c = lot.collateral_type
    price, due = _compute_price_and_reset_due(context, auction_id) if lot.started_at else (0, True)
    if due or price == 0:
        return
    name = f"Market.{context.get_symbol(c)}"
    market = cast(ConstantProductMarket, context.world.contracts[name])
    # The amount that the market can take before it pays less than the auction asks.
    most = min(lot.lot, lot.target * RAY // price, market.stable[()] * RAY // price - market.collateral[()])
    if most <= 0 and context.draw_bool(0.9):
        return
    amount = (
        max(most, 0) // context.pick_item((2, 3))
        if context.draw_bool(0.8)
        else context.draw_near_limit(lot.lot)
    )
    args = (auction_id, amount, MAX_UINT256, market.address, context.pick_item((0, 0, 1, lot.target)))
    yield context.build_action(
        "FlashTaker", "take_and_sell", *args, by=context.deployment.get_account("taker")
    )


@register_generator(weight=1.1)
def misuse_flash_taker(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call of the flash taker's callback from another account's take, or without an auction."""
    taker = context.world.contracts["FlashTaker"].address
    who = context.find_richest_account()
    if context.draw_bool(0.5):
        ids = [
            auction_id
            for auction_id in context.list_open_auctions()
            if not _compute_price_and_reset_due(context, auction_id)[1]
        ]
        if ids:
            args = (context.pick_item(ids), MAX_UINT256, MAX_UINT256, taker, b"\x01")
            yield Action("CollateralAuction", "take", args, who)
    else:
        yield context.build_action("FlashTaker", "on_auction_take", who, 1, WAD, WAD, b"\x01", by=who)
