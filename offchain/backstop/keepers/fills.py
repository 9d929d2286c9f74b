"""Purchases from auctions of collateral: what a lot is worth to a keeper, and how much of it to take."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from functools import partial
from heapq import merge
from itertools import chain, groupby
from typing import NamedTuple

from backstop.keepers.keeper import UNLIMITED, Keeper
from backstop.keepers.seen import Auction, Priced
from backstop.keepers.strategy import AtMarket, Offer
from backstop.keepers.view import View
from backstop.model import dutch
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD, div_up
from backstop.model.state import Revert


class Plan(NamedTuple):
    """A take: what it would buy now, the amount to ask for, the profit in wad."""

    fill: dutch.Fill
    max_amount: int
    profit: int
    max_price: int  # ray


def best_fill(
    view: View, auction: Auction, amount: int, budget: int, value: Callable[[int], int]
) -> Plan | None:
    """Find the take of about `amount` that brings the largest profit, by the contract's own rules.

    Try the amount itself, as much as leaves a rest that is allowed, and the whole lot.
    """
    terms = view.terms_of_auction(auction)
    market_price = auction.top * BASIS_POINTS // terms.buf
    least = terms.minimum * WAD
    candidates = {min(amount, auction.lot), auction.lot}
    if auction.lot * market_price > least * RAY:
        candidates.add(min(amount, auction.lot - div_up(least * RAY, market_price) - terms.unit))
    if auction.price and auction.target > least:
        candidates.add(min(amount, (auction.target - least) * RAY // auction.price))
    best: Plan | None = None
    for candidate in sorted(candidates):
        if candidate <= 0:
            continue
        try:
            fill = dutch.fill(
                terms, auction.lot, auction.target, auction.top, auction.price, candidate, UNLIMITED
            )
        except Revert:
            continue
        profit = value(fill.collateral) - fill.paid
        if fill.paid <= budget and (best is None or profit > best.profit):
            # Until it is included the price falls: what ends an auction now would then leave a rest.
            limit = max(auction.price, fill.least_price)
            best = Plan(fill, auction.lot if fill.rest == 0 else fill.collateral, profit, limit)
    return best


def worth_at(price: int, amount: int) -> int:
    """Return the worth of an amount (wad) at a price (ray) [wad], rounded down."""
    return amount * price // RAY


def may_pay(auction: Auction, worth: int, budget: int, least: int) -> bool:
    """Tell whether a take could bring a profit (wad) at all, where 1e18 is worth at most `worth` (ray).

    A take pays at least the price, and no more than the target or the budget (wad): that bounds its profit.
    """
    return _may_pay(auction.price, auction.lot, auction.target, worth, budget, least)


def _may_pay(price: int, lot: int, target: int, worth: int, budget: int, least: int) -> bool:
    if least <= 0:
        return True
    gain = worth - price
    return lot * gain >= least * RAY and min(target, budget) * gain >= least * price


def considered(me: Keeper, view: View, worth: Mapping[int, int], budget: int, least: int) -> list[Auction]:
    """Return what can be bought of these types, where 1e18 is worth so much (ray), the oldest first.

    A strategy is asked about everything. Without one, what cannot bring a profit (see `may_pay`) is left out.
    """
    if not isinstance(me.strategy, AtMarket):
        return [each for each in view.takeable if each.collateral_type in worth]
    found = [_open(each, worth, 0, budget, least) for each in _cheap(me, view, worth, 0, budget, least)]
    return sorted(chain.from_iterable(found))


def cheapest_first(
    me: Keeper, view: View, sale: str, market: Mapping[int, int], least: int
) -> Iterator[Auction]:
    """Yield what can be bought and may bring a profit at a market price (ray, by type) that sales lower.

    The cheapest against the price outside comes first.
    """
    slack = 1  # `market` is rounded down
    if isinstance(me.strategy, AtMarket):
        batches = _cheap(me, view, market, slack, UNLIMITED, least)
        by_price = partial(_discount_of_batch, view)
        # The caller stops early, so nothing is made of the rest.
        for _, equal in groupby(sorted(batches, key=by_price), key=by_price):
            yield from merge(*(_open(each, market, slack, UNLIMITED, least) for each in equal))
        return
    open = considered(me, view, market, UNLIMITED, least)
    worth = worth_of(me, view, sale, open, market)
    for auction in sorted(open, key=lambda each: discount(view, each)):
        most = market[auction.collateral_type] + slack
        if auction.id in worth and may_pay(auction, most, UNLIMITED, least):
            yield auction


def _cheap(
    me: Keeper, view: View, worth: Mapping[int, int], slack: int, budget: int, least: int
) -> Iterator[Priced]:
    """Yield batches that may bring a profit: one with the largest lot and the largest target would."""
    for each in view.on_sale:
        c = each.batch.collateral_type
        if c not in worth or each.price * BASIS_POINTS > worth[c] * me.group.takes_at:
            continue
        if _may_pay(each.price, *each.batch.most, worth[c] + slack, budget, least):
            yield each


def _open(priced: Priced, worth: Mapping[int, int], slack: int, budget: int, least: int) -> Iterator[Auction]:
    """Yield the auctions of a batch that may bring a profit, the oldest first."""
    price, most = priced.price, worth[priced.batch.collateral_type] + slack
    for id, c, lot, target, top, started_at, principal, reward, version in priced.batch.lots:
        if _may_pay(price, lot, target, most, budget, least):
            yield Auction(id, c, lot, target, top, started_at, price, False, principal, reward, version)


def any_takeable(view: View) -> bool:
    """Tell whether any auction of collateral can be bought from."""
    return bool(view.on_sale)


def worth_of(
    me: Keeper, view: View, sale: str, auctions: Iterable[Auction], market: Mapping[int, int]
) -> dict[Hashable, int]:
    """Value auctions of collateral as `Keeper.worth` does, at `market` prices by collateral type (ray)."""
    if isinstance(me.strategy, AtMarket):  # nobody need be asked
        most = {c: price * me.group.takes_at for c, price in market.items()}
        return {
            each.id: market[each.collateral_type]
            for each in auctions
            if each.price * BASIS_POINTS <= most[each.collateral_type]
        }
    return me.worth([_offer(view, sale, each, market[each.collateral_type]) for each in auctions])


def _offer(view: View, sale: str, auction: Auction, market: int) -> Offer:
    """Describe an auction of collateral to a strategy."""
    symbol, left = view.symbols[auction.collateral_type], (auction.lot, auction.target)
    return Offer(sale, auction.id, symbol, *left, auction.price, market, view.timestamp)


def discount(view: View, auction: Auction) -> tuple[int, int]:
    """Return an auction's price as a share of the market's [wad], and its id to sort equal ones by."""
    return _discount(view, auction.collateral_type, auction.price), auction.id


def _discount_of_batch(view: View, priced: Priced) -> int:
    return _discount(view, priced.batch.collateral_type, priced.price)


def _discount(view: View, c: int, price: int) -> int:
    return price * WAD // max(1, view.outside.prices[c])
