"""Equity: sold for losses, bought with surplus; the treasury."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from backstop.model import bounds
from backstop.model.arithmetic import MAX_UINT256, RAD, RAY, WAD
from backstop.model.constant_product_market import ConstantProductMarket
from backstop.model.equity_auction import EquityAuction
from backstop.model.recovery_claims import RecoveryClaims
from backstop.model.surplus_auction import SurplusAuction
from backstop.model.treasury import Treasury
from backstop.proof.fuzz.action_generators.price_actions import post_price_until_current
from backstop.proof.fuzz.generation_context import GenerationContext, Wait
from backstop.proof.fuzz.generator_registry import register_generator
from backstop.proof.fuzz.initial_actions import EQUITY_MARKET
from backstop.system import Action

MARKET = bounds.EQUITY_MARKET


def _compute_auction_price(auction: EquityAuction, collateral_type: int, now: int) -> int:
    sale = auction.sales[collateral_type]
    return int(sale.compute_price(min(now - sale.started_at, auction.duration), auction.duration))


@register_generator(weight=1.2)
def cover_with_equity(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that covers a deficit, in a deployment in which equity may pay for losses.

    `cover` pays a deficit from the loss waterfall. At times a deposit of equity comes before it, and a
    purchase from an equity auction after it.
    """
    found = context.list_deficit_types()
    if not context.equity_auctions or not found:
        return
    if context.draw_bool(0.5) and "StakedEquity" in context.pools:
        who = context.pick_item(context.people)
        held = context.get_balance("Equity", who)
        if held:
            yield context.build_action(
                "StakedEquity", "deposit", context.draw_near_limit(held // 2), who, by=who
            )
    yield context.build_action("LossWaterfall", "cover", context.pick_item(found), by=context.pick_account())
    if context.draw_bool(0.5):
        yield from take_equity_auction(context)


@register_generator(weight=2.5)
def take_equity_auction(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a purchase from an open equity auction: its lot, a part, or the amount still to raise.

    An auction that is past its deadline is mostly ended instead.
    """
    running = context.list_equity_sales()
    if not running:
        if context.equity_auctions and context.draw_bool(0.03):
            name, who = context.pick_item(context.equity_auctions), context.pick_account()
            yield context.build_action(name, "take", context.draw_type(), WAD, MAX_UINT256, who, b"", by=who)
        return
    auction, c = context.pick_item(running)
    if context.now > auction.sales[c].started_at + auction.duration and context.draw_bool(0.8):
        yield context.build_action(auction.label, "end", c, by=context.pick_account())
        return
    yield Wait(context.pick_item((0, 0, 30, auction.duration // 2)))
    sale = auction.sales[c]
    price = max(_compute_auction_price(auction, c, context.now), 1)
    taker = context.find_richest_account() if context.draw_bool(0.9) else context.pick_account()
    to_target = sale.target * RAY // price
    sizes = (
        MAX_UINT256,
        context.draw_near_limit(sale.lot),
        context.draw_near_limit(to_target),
        context.draw_near_limit(to_target - WAD),
        context.draw_part(max(sale.lot, 1)),
    )
    amount = context.pick_item(sizes)
    if context.draw_bool(0.85):
        amount = min(amount, context.get_balance("Stablecoin", taker) * RAY // price)
    limit = max(price - 1, 0) if context.draw_bool(0.05) else context.pick_item((MAX_UINT256, price))
    receiver = context.pick_item((taker, taker, context.pick_account()))
    yield context.build_action(auction.label, "take", c, amount, limit, receiver, b"", by=taker)


@register_generator(weight=1)
def flash_take_equity_auction(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a flash take of an equity or surplus auction: the callback sells the bought token to pay."""
    if not context.has_equity:
        return
    market = cast(ConstantProductMarket, context.world.contracts[EQUITY_MARKET])
    by = context.deployment.get_account("taker") if context.draw_bool(0.95) else context.pick_account()
    running = context.list_equity_sales()
    if running:
        auction, c = context.pick_item(running)
        price = max(_compute_auction_price(auction, c, context.now), 1)
        if context.draw_bool(0.7):
            yield from _provide_equity_market_liquidity(context)
        most = min(auction.sales[c].lot, market.stable[()] * RAY // price - market.collateral[()])
        amount = (
            max(most, 0) // 2 if context.draw_bool(0.8) else context.draw_near_limit(auction.sales[c].lot)
        )
        yield context.build_action(
            "EquityTaker", "take_and_sell", auction.address, c, amount, MAX_UINT256, market.address, by=by
        )
        return
    surplus = cast(SurplusAuction, context.world.contracts["SurplusAuction"])
    lot = surplus.lot[()]
    if lot.lot and context.now <= lot.started_at + surplus.duration:
        if context.draw_bool(0.7):
            yield from _provide_equity_market_liquidity(context)
        amount = context.draw_near_limit(lot.lot)
        args = (
            surplus.address,
            amount,
            MAX_UINT256,
            market.address,
            max(min(amount, lot.lot) * 99 // 100, 1),
        )
        yield context.build_action("EquityTaker", "take_and_buy", *args, by=by)


@register_generator(weight=0.4)
def provide_equity_liquidity(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield the market maker's call that quotes the feed's price on the equity market."""
    if context.has_equity:
        yield from _provide_equity_market_liquidity(context)


def _provide_equity_market_liquidity(context: GenerationContext) -> Iterator[Action | Wait]:
    maker, giver = context.deployment.get_account("market_maker"), context.find_richest_account()
    price = context.get_lower_feed_price(MARKET)
    stable = context.draw_part(max(context.get_balance("Stablecoin", giver) // 2, 1))
    if price == 0 or stable == 0:
        return
    yield context.build_action("Stablecoin", "transfer", maker, stable, by=giver)
    stable = context.get_balance("Stablecoin", maker)
    equity = min(stable * RAY // price, context.get_balance("Equity", maker))
    yield context.build_action(EQUITY_MARKET, "set_liquidity", equity, stable, by=maker)


@register_generator(weight=1)
def end_equity_auction(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield the call that ends an equity auction at its deadline, at times before."""
    running = context.list_equity_sales()
    if not running and not (context.equity_auctions and context.draw_bool(0.03)):
        return
    if not running:
        yield context.build_action(
            context.pick_item(context.equity_auctions), "end", context.draw_type(), by=context.pick_account()
        )
        return
    auction, c = context.pick_item(running)
    due = auction.sales[c].started_at + auction.duration + 1
    if context.draw_bool(0.5):
        yield Wait(max(0, due - context.now - context.pick_item((0, 0, 0, 1))))
    elif context.now < due and context.draw_bool(0.9):
        return
    yield context.build_action(auction.label, "end", c, by=context.pick_account())


@register_generator(weight=1.5)
def distribute_reserve(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield the call by which the treasury distributes the reserve above its target."""
    if not context.has_equity or (context.waterfall.pending_total("") and context.draw_bool(0.8)):
        return
    yield context.build_action("Treasury", "distribute", by=context.pick_account())


@register_generator(weight=1.5)
def repay_claims_from_fees(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield the calls that cover all deficits, accrue fees, and repay recovery claims from them.

    Mostly the admin first sets the reserve's target below, at or just above the reserve.
    """
    series = [cast(RecoveryClaims, context.world.contracts[name]).series[()] for name in context.claims]
    if not context.has_equity or not any(each.outstanding for each in series):
        return
    for c in context.list_deficit_types():
        yield context.build_action("LossWaterfall", "cover", c, by=context.pick_account())
    if context.list_deficit_types():
        return
    for c in range(context.listed):
        yield context.build_action("VaultEngine", "accrue", c, by=context.pick_account())
    whole = int(context.engine.system[()].reserve) // RAD
    if context.draw_bool(0.6):
        target = min(context.pick_item((0, whole // 2, whole, whole + 1)), bounds.MAX_GLOBAL_DEBT_CEILING)
        yield context.build_action("Treasury", "set_target", target, by=context.admin)
    yield context.build_action("Treasury", "distribute", by=context.pick_account())


@register_generator(weight=1.5)
def sell_surplus(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield the start of a surplus auction, and a purchase that pays with equity."""
    if not context.has_equity:
        return
    treasury = cast(Treasury, context.world.contracts["Treasury"])
    surplus = cast(SurplusAuction, context.world.contracts["SurplusAuction"])
    lot = surplus.lot[()]
    if lot.lot == 0 or context.now > lot.started_at + surplus.duration:
        if treasury.for_sale("") < surplus.whole_lot * WAD and context.draw_bool(0.9):
            return
        if not context.has_fresh_price(MARKET) and context.draw_bool(0.9):
            yield from post_price_until_current(context, MARKET, context.feed.prices[MARKET].current)
        yield context.build_action("SurplusAuction", "start", by=context.pick_account())
    elif context.draw_bool(0.05):
        yield context.build_action("SurplusAuction", "start", by=context.pick_account())
    yield Wait(context.pick_item((0, 0, 30, surplus.duration // 2)))
    lot = surplus.lot[()]
    if lot.lot == 0 and context.draw_bool(0.9):
        return
    elapsed = min(context.now - lot.started_at, surplus.duration)
    price = surplus.prices[()].compute_price(elapsed, surplus.duration)
    taker = (
        max(context.people, key=lambda who: context.get_balance("Equity", who))
        if context.draw_bool(0.9)
        else context.pick_account()
    )
    limit = context.pick_item((MAX_UINT256, MAX_UINT256, price, max(price - 1, 0)))
    receiver = context.pick_item((taker, taker, context.pick_account()))
    amount = context.pick_item(
        (MAX_UINT256, context.draw_near_limit(lot.lot), context.draw_part(max(lot.lot, 1)))
    )
    yield context.build_action("SurplusAuction", "take", amount, limit, receiver, b"", by=taker)


@register_generator(weight=0.6)
def set_treasury(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call that sets the reserve's target, income shares, insurance, or cap of minted equity."""
    if not context.has_equity:
        return
    by = context.admin if context.draw_bool(0.93) else context.pick_account()
    kind = context.random.randrange(4)
    if kind == 0:
        target = context.pick_item(
            (0, 0, 1, 1_000, bounds.MAX_GLOBAL_DEBT_CEILING, bounds.MAX_GLOBAL_DEBT_CEILING + 1)
        )
        yield context.build_action("Treasury", "set_target", target, by=by)
    elif kind == 1:
        shares = [context.pick_item((0, 500, 2_500, 3_333)) for _ in context.savers]
        if context.draw_bool(0.1):
            shares[0] = context.pick_item((10_001, MAX_UINT256))
        if context.draw_bool(0.1):
            shares.append(0)
        yield context.build_action("Treasury", "set_shares", tuple(shares), by=by)
    elif kind == 2:
        share, most = context.pick_item((0, 500, 10_000, 10_001)), bounds.MAX_GLOBAL_DEBT_CEILING
        yield context.build_action(
            "Treasury", "set_insurance", share, context.pick_item((0, 1_000, most, most + 1)), by=by
        )
    else:
        cap = context.pick_item((0, 1_000, 10**5, bounds.MAX_MINT_CAP, bounds.MAX_MINT_CAP + 1))
        yield context.build_action("Equity", "set_mint_cap", cap, by=by)


@register_generator(weight=0.4)
def burn_equity(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a burn of a small amount of equity, the caller's own or another account's by allowance."""
    if context.has_equity:
        who, owner = context.pick_account(), context.pick_account()
        yield context.build_action(
            "Equity",
            "burn",
            context.pick_item((who, owner)),
            context.draw_part(max(context.get_balance("Equity", owner) // 100, 1)),
            by=who,
        )
