"""Purchases from auctions of collateral: what a lot is worth to a keeper, and how much of it to take."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import NamedTuple

from backstop.keepers.keeper import Keeper
from backstop.keepers.seen import Auction
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


def best_fill(
    view: View, auction: Auction, amount: int, budget: int, value: Callable[[int], int]
) -> Plan | None:
    """Find the take of about `amount` that brings the largest profit, by the contract's own rules.

    Try the amount itself, as much as leaves a rest that is allowed, and the whole lot.
    """
    terms = view.auction_terms(auction.collateral_type)
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
                terms, auction.lot, auction.target, auction.top, auction.price, candidate, auction.price
            )
        except Revert:
            continue
        profit = value(fill.collateral) - fill.paid
        if fill.paid <= budget and (best is None or profit > best.profit):
            # Until it is included the price falls: what ends an auction now would then leave a rest.
            best = Plan(fill, auction.lot if fill.rest == 0 else fill.collateral, profit)
    return best


def worth_at(price: int, amount: int) -> int:
    """Return the worth of an amount (wad) at a price (ray) [wad], rounded down."""
    return amount * price // RAY


def may_pay(auction: Auction, worth: int, budget: int, least: int) -> bool:
    """Tell whether a take could bring a profit (wad) at all, where 1e18 is worth at most `worth` (ray).

    A take pays at least the price, and no more than the target or the budget (wad): that bounds its profit.
    """
    if least <= 0:
        return True
    gain = worth - auction.price
    most = auction.lot * gain >= least * RAY
    return most and min(auction.target, budget) * gain >= least * auction.price


def any_takeable(view: View) -> bool:
    """Tell whether any auction of collateral can be bought from."""
    return bool(view.takeable)


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
    market = view.outside.prices[auction.collateral_type]
    return auction.price * WAD // max(1, market), auction.id
