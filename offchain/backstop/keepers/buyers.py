"""Keepers that buy for a profit: collateral, equity, surplus."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial

from backstop.keepers.fills import (
    any_takeable,
    best_fill,
    cheapest_first,
    considered,
    may_pay,
    worth_at,
    worth_of,
)
from backstop.keepers.keeper import UNLIMITED, Decisions, Intent, Keeper, Memory, role
from backstop.keepers.strategy import Offer
from backstop.keepers.view import View
from backstop.model.arithmetic import RAY, WAD, div_up


@role("flash_taker", occasion=any_takeable)
def flash_taker(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Take what sells at once for more than it costs, after fee, price impact and gas."""
    cost = view.cost("FlashTaker", "take_and_sell", gas_price)
    least = cost + me.group.minimum_profit
    pools = {c: pool for c in range(len(view.symbols)) if (pool := view.pool(c)) is not None}
    market = {c: pool.price for c, pool in pools.items()}
    # The cheapest against its market first: each sale moves the price for the next.
    for auction in cheapest_first(me, view, "flash", market, least):
        c = auction.collateral_type
        pool = pools[c]
        if not memory.may(("take_and_sell", auction.id), view.timestamp):
            continue
        plan = best_fill(view, auction, pool.best_amount(auction.price), UNLIMITED, pool.proceeds)
        if plan is None or plan.profit < least:
            continue
        pools[c] = pool.after(plan.fill.collateral)
        yield me.intent(
            "FlashTaker",
            "take_and_sell",
            auction.id,
            plan.max_amount,
            plan.max_price,
            pool.address,
            # Somebody may sell first: it still must not lose by it.
            max(plan.profit // 2, cost),
            about=auction.id,
            gain=plan.profit,
        )


@role("bidder", occasion=any_takeable)
def bidder(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Buy collateral that is cheap against the market with its own stablecoins, and keep it."""
    least = view.cost("CollateralAuction", "take", gas_price) + me.group.minimum_profit
    budget = view.stablecoins(me.address)
    # What is sent has its money set aside already.
    market = dict(enumerate(view.outside.prices))
    open = [
        each
        for each in considered(me, view, market, budget, least)
        if me.mine(each.id) and ("take", each.id) not in memory.under_way
    ]
    worth = worth_of(me, view, "collateral", open, market)
    for auction in open:
        if auction.id not in worth or not may_pay(auction, worth[auction.id], budget, least):
            continue
        affordable = min(auction.lot, budget * RAY // max(1, auction.price))
        plan = best_fill(view, auction, affordable, budget, partial(worth_at, worth[auction.id]))
        if plan is None or plan.profit < least:
            continue
        budget -= plan.fill.paid
        yield me.intent(
            "CollateralAuction",
            "take",
            auction.id,
            plan.max_amount,
            plan.max_price,
            me.address,
            b"",
            about=auction.id,
            spends=plan.fill.paid,
            gain=plan.profit,
            of=auction.collateral_type,
        )


def _sells_equity(view: View) -> bool:
    return bool(view.equity_auctions)


@role("recap_bidder", occasion=_sells_equity)
def recap_bidder(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Buy slashed or new equity below the market with its own stablecoins, and keep it."""
    budget = view.stablecoins(me.address)
    # One contract after the other: their sales have the same ids.
    for contract in dict.fromkeys(sale.contract for sale in view.equity_auctions):
        budget -= yield from _recapitalise(me, view, memory, gas_price, contract, budget)


def _recapitalise(
    me: Keeper, view: View, memory: Memory, gas_price: int, contract: str, budget: int
) -> Generator[Intent, None, int]:
    """Yield the takes from one contract's sales; return what they cost [wad]."""
    before = budget
    open = [
        sale
        for sale in view.equity_auctions
        if sale.contract == contract
        and not sale.over
        and ("take", (contract, sale.collateral_type)) not in memory.under_way
    ]
    offers = [
        Offer(
            "equity",
            sale.collateral_type,
            "Equity",
            sale.lot,
            sale.target,
            sale.price,
            view.outside.equity_price,
            view.timestamp,
        )
        for sale in open
    ]
    worth = me.worth(offers)
    for sale in open:
        if sale.collateral_type not in worth:
            continue
        amount = min(sale.lot, budget * RAY // sale.price)
        paid = min(div_up(amount * sale.price, RAY), sale.target)
        if paid > sale.target - WAD and amount < sale.lot:
            # A rest of less than a coin is refused.
            amount = max(0, sale.target - WAD) * RAY // sale.price
            paid = div_up(amount * sale.price, RAY)
        profit = worth_at(worth[sale.collateral_type], amount) - paid
        if profit < view.cost(sale.contract, "take", gas_price) + max(1, me.group.minimum_profit):
            continue
        budget -= paid
        args = (sale.collateral_type, amount, sale.price, me.address, b"")
        about = (sale.contract, sale.collateral_type)
        yield me.intent(sale.contract, "take", *args, about=about, spends=paid, gain=profit)
    return before - budget


def _sells_surplus(view: View) -> bool:
    return view.has_equity and view.surplus_auction is not None


@role("surplus_bidder", occasion=_sells_surplus)
def surplus_bidder(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Buy surplus with its own equity, which is burned, when the sale gives more than the equity is worth."""
    if not view.has_equity or view.surplus_auction is None or view.pending_losses():
        return
    if view.timestamp < view.look_until:
        return
    sale, market = view.surplus_auction, view.outside.equity_price
    amount = min(sale.lot, view.equity(me.address) * RAY // sale.price)
    paid = div_up(amount * sale.price, RAY)
    profit = amount - paid * market // RAY
    cost = view.cost("SurplusAuction", "take", gas_price)
    if profit >= cost + max(1, me.group.minimum_profit):
        args = (amount, sale.price, me.address, b"")
        yield me.intent("SurplusAuction", "take", *args, about="surplus", spends=paid, gain=profit)
