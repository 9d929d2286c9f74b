"""Purchases from auctions of collateral: the value of a lot to a keeper, and the amount to take."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from functools import partial
from heapq import merge
from itertools import chain, groupby
from typing import NamedTuple

from backstop.contract_base import RevertError
from backstop.keepers.keeper_role_register import UNLIMITED, Keeper
from backstop.keepers.keeper_view import KeeperView
from backstop.keepers.strategy import MarketPriceStrategy, Offer
from backstop.keepers.view_records import Auction, PricedBatch
from backstop.model import dutch_auction
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD, div_up


class TakePlan(NamedTuple):
    """Planned purchase from a collateral auction: fill at the current price, limits, profit [wad]."""

    fill: dutch_auction.Fill
    max_amount: int
    profit: int
    max_price: int  # ray


def find_best_take(
    view: KeeperView, auction: Auction, amount: int, budget: int, value: Callable[[int], int]
) -> TakePlan | None:
    """Return the most profitable purchase of about `amount` [wad] from an auction; None if none is possible.

    The candidates are `amount` itself, the largest amounts that leave an allowed remainder, and the whole
    lot. `value` maps collateral [wad] to its worth [wad]; a purchase that costs more than `budget` [wad] is
    left out.
    """
    terms = view.get_terms_at_start(auction)
    market_price = auction.top * BASIS_POINTS // terms.buf
    least = terms.minimum * WAD
    candidates = {min(amount, auction.lot), auction.lot}
    if auction.lot * market_price > least * RAY:
        candidates.add(min(amount, auction.lot - div_up(least * RAY, market_price) - terms.unit))
    if auction.price and auction.target > least:
        candidates.add(min(amount, (auction.target - least) * RAY // auction.price))
    best: TakePlan | None = None
    for candidate in sorted(candidates):
        if candidate <= 0:
            continue
        try:
            fill = dutch_auction.compute_take_fill(
                terms, auction.lot, auction.target, auction.top, auction.price, candidate, UNLIMITED
            )
        except RevertError:
            continue
        profit = value(fill.collateral) - fill.paid
        if fill.paid <= budget and (best is None or profit > best.profit):
            # Until it is included the price falls: what ends an auction now would then leave a rest.
            limit = max(auction.price, fill.least_price)
            best = TakePlan(fill, auction.lot if fill.rest == 0 else fill.collateral, profit, limit)
    return best


def compute_value(ray_price: int, amount: int) -> int:
    """Return the worth of an amount [wad] at a price [ray], in stablecoin [wad], rounded down."""
    return amount * ray_price // RAY


def can_be_profitable(auction: Auction, worth: int, budget: int, least: int) -> bool:
    """Return True if a purchase from this auction could bring a profit of at least `least` [wad].

    `worth` is the highest value of 1e18 of the collateral [ray]. The buyer pays at least the current price,
    and at most the target or `budget` [wad]; these bounds limit the profit.
    """
    return _can_reach_minimum_profit(auction.price, auction.lot, auction.target, worth, budget, least)


def _can_reach_minimum_profit(
    price: int, lot: int, target: int, unit_value: int, budget: int, minimum_profit: int
) -> bool:
    if minimum_profit <= 0:
        return True
    gain = unit_value - price
    return lot * gain >= minimum_profit * RAY and min(target, budget) * gain >= minimum_profit * price


def list_candidate_auctions_by_age(
    keeper: Keeper, view: KeeperView, worth: Mapping[int, int], budget: int, least: int
) -> list[Auction]:
    """Return the auctions that a keeper may buy from, the oldest first.

    `worth` is the value of 1e18 of each collateral type [ray]; types without a value are left out. With the
    market price strategy, auctions that cannot bring `least` [wad] within `budget` [wad] are left out too.
    Any other strategy gets all auctions to value.
    """
    if not isinstance(keeper.strategy, MarketPriceStrategy):
        return [each for each in view.takeable if each.collateral_type in worth]
    found = [
        _iter_profitable_auctions(each, worth, 0, budget, least)
        for each in _iter_profitable_auction_batches(keeper, view, worth, 0, budget, least)
    ]
    return sorted(chain.from_iterable(found))


def iter_cheapest_auctions(
    keeper: Keeper, view: KeeperView, sale: str, market: Mapping[int, int], least: int
) -> Iterator[Auction]:
    """Yield auctions that may bring a profit of `least` [wad], the lowest price relative to the market first.

    `market` is the price of each collateral type [ray], which sales by the caller then lower.
    """
    slack = 1  # `market` is rounded down
    if isinstance(keeper.strategy, MarketPriceStrategy):
        batches = _iter_profitable_auction_batches(keeper, view, market, slack, UNLIMITED, least)
        by_price = partial(_compute_batch_price_ratio, view)
        # The caller stops early, so nothing is made of the rest.
        for _, equal in groupby(sorted(batches, key=by_price), key=by_price):
            yield from merge(
                *(_iter_profitable_auctions(each, market, slack, UNLIMITED, least) for each in equal)
            )
        return
    open_auctions = list_candidate_auctions_by_age(keeper, view, market, UNLIMITED, least)
    worth = compute_values_by_auction_id(keeper, view, sale, open_auctions, market)
    for auction in sorted(open_auctions, key=lambda each: compute_discount_key(view, each)):
        most = market[auction.collateral_type] + slack
        if auction.id in worth and can_be_profitable(auction, most, UNLIMITED, least):
            yield auction


def _iter_profitable_auction_batches(
    keeper: Keeper,
    view: KeeperView,
    value_by_type: Mapping[int, int],
    slack: int,
    budget: int,
    minimum_profit: int,
) -> Iterator[PricedBatch]:
    """Yield batches of equally priced auctions that may contain a profitable one.

    The test combines the largest lot and the largest target of the batch, so it never excludes a profitable
    auction.
    """
    for each in view.purchasable_auction_batches:
        c = each.batch.collateral_type
        if c not in value_by_type or each.price * BASIS_POINTS > value_by_type[c] * keeper.group.takes_at:
            continue
        if _can_reach_minimum_profit(
            each.price,
            *each.batch.largest_lot_and_largest_target,
            value_by_type[c] + slack,
            budget,
            minimum_profit,
        ):
            yield each


def _iter_profitable_auctions(
    priced: PricedBatch, worth: Mapping[int, int], slack: int, budget: int, least: int
) -> Iterator[Auction]:
    """Yield the auctions of a batch that may bring a profit of at least `least` [wad], the oldest first."""
    price, most = priced.price, worth[priced.batch.collateral_type] + slack
    for auction_id, c, lot, target, top, started_at, principal, reward, version in priced.batch.lots:
        if _can_reach_minimum_profit(price, lot, target, most, budget, least):
            yield Auction(
                auction_id, c, lot, target, top, started_at, price, False, principal, reward, version
            )


def has_takeable_auction(view: KeeperView) -> bool:
    """Return True if at least one collateral auction is open for purchases."""
    return bool(view.purchasable_auction_batches)


def compute_values_by_auction_id(
    keeper: Keeper,
    view: KeeperView,
    sale_kind: str,
    auctions: Iterable[Auction],
    market_prices: Mapping[int, int],
) -> dict[Hashable, int]:
    """Return the value of 1e18 of each auction's collateral [ray], by auction id.

    The keeper's strategy values the auctions. Auctions that cost more than the keeper's share `takes_at` of
    this value are left out. `market_prices` is by collateral type [ray].
    """
    if isinstance(keeper.strategy, MarketPriceStrategy):  # nobody need be asked
        most = {c: price * keeper.group.takes_at for c, price in market_prices.items()}
        return {
            each.id: market_prices[each.collateral_type]
            for each in auctions
            if each.price * BASIS_POINTS <= most[each.collateral_type]
        }
    return keeper.build_worth_by_acceptable_offer(
        [
            _describe_auction_to_strategy(view, sale_kind, each, market_prices[each.collateral_type])
            for each in auctions
        ]
    )


def _describe_auction_to_strategy(
    view: KeeperView, sale_kind: str, auction: Auction, market_price: int
) -> Offer:
    """Return the offer that describes a collateral auction to a strategy."""
    symbol, left = view.symbols[auction.collateral_type], (auction.lot, auction.target)
    return Offer(sale_kind, auction.id, symbol, *left, auction.price, market_price, view.timestamp)


def compute_discount_key(view: KeeperView, auction: Auction) -> tuple[int, int]:
    """Return an auction's price divided by the market price [wad], and its id to order equal ratios."""
    return _compute_price_ratio_to_market(view, auction.collateral_type, auction.price), auction.id


def _compute_batch_price_ratio(view: KeeperView, priced_batch: PricedBatch) -> int:
    return _compute_price_ratio_to_market(view, priced_batch.batch.collateral_type, priced_batch.price)


def _compute_price_ratio_to_market(view: KeeperView, collateral_type: int, price: int) -> int:
    return price * WAD // max(1, view.outside.prices[collateral_type])
