"""Purchases from unsafe vaults at a fixed discount: how much of a vault to buy, within which limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from backstop.keepers.keeper_role_register import UNLIMITED, Keeper
from backstop.keepers.keeper_view import KeeperView
from backstop.keepers.strategy import MarketPriceStrategy, Offer
from backstop.keepers.view_records import Vault
from backstop.model.arithmetic import BASIS_POINTS, RAY, WAD, div_up
from backstop.model.interfaces import Sale

_ACCRUAL = 10
"""Basis points by which a debt may grow until a sale of all of it is mined: hours, at any fee."""
_ROUNDED_UNITS = 3
"""Units of the token by which a sale's collateral may be rounded down, its fee included."""


class DiscountPurchase(NamedTuple):
    """Purchase of an unsafe vault's collateral at a fixed discount, with the limits to send along."""

    collateral: int  # wad that the buyer gets
    paid: int  # wad
    profit: int  # wad, before gas
    max_collateral: int  # wad
    max_repay: int  # wad
    max_price: int  # ray

    @property
    def price(self) -> int:
        """Payment for 1e18 of the collateral that the buyer receives [ray], rounded up."""
        return div_up(self.paid * RAY, self.collateral)


def find_best_purchase(
    view: KeeperView,
    collateral_type: int,
    vault: Vault,
    budget: int,
    compute_worth: Callable[[int], int],
    compute_best_amount: Callable[[int], int],
) -> DiscountPurchase | None:
    """Return the most profitable purchase from an unsafe vault; None if no purchase brings a profit.

    `compute_worth` maps an amount of collateral to its value [wad]. `compute_best_amount` maps a price [ray]
    to the largest amount worth buying. The candidates are the whole sale, the best amount and the amount that
    `budget` [wad] pays, each also reduced to leave the debt floor.
    """
    whole = view.plan_discount_sale(collateral_type, vault, UNLIMITED, UNLIMITED)
    if whole is None:
        return None
    wanted = compute_best_amount(_compute_unit_price(whole))
    gross = wanted * whole.collateral // (whole.collateral - whole.fee)
    # A wei less than the debt above the floor: normalized debt is rounded down.
    above_floor = max(0, vault.debt - view.get_terms(collateral_type).debt_floor * RAY * WAD) // RAY - 1
    best: DiscountPurchase | None = None
    # A limit beyond all that is for sale is none.
    for max_collateral in (UNLIMITED, gross) if gross < whole.collateral else (UNLIMITED,):
        for max_repay in dict.fromkeys((budget, min(budget, above_floor))):
            if max_collateral <= 0 or max_repay <= 0:
                continue
            sale = view.plan_discount_sale(collateral_type, vault, max_collateral, max_repay)
            if sale is None:
                continue
            profit = compute_worth(sale.collateral - sale.fee) - sale.paid
            if profit > 0 and (best is None or profit > best.profit):
                best = _build_purchase(view, collateral_type, vault, sale, budget, profit)
    return best


def _build_purchase(
    view: KeeperView, collateral_type: int, vault: Vault, sale: Sale, budget: int, profit: int
) -> DiscountPurchase:
    """Return a purchase with limits that make the call revert if its price rises before it is mined.

    If all debt is repaid, the limits also allow for the stability fee until then.
    """
    sent, unit = sale.collateral - sale.fee, view.get_terms(collateral_type).unit
    max_price = div_up(sale.paid * RAY, max(1, sent - _ROUNDED_UNITS * unit))
    max_collateral, max_repay = sale.collateral, sale.paid
    if sale.normalized_debt == vault.normalized_debt:
        # The debt grows by its fee until then, and a part of it would be left.
        max_collateral = vault.locked
        max_repay = min(budget, sale.paid + div_up(sale.paid * _ACCRUAL, BASIS_POINTS))
    return DiscountPurchase(sent, sale.paid, profit, max_collateral, max_repay, max_price)


def _compute_unit_price(sale: Sale) -> int:
    """Return the payment for 1e18 of the collateral that the buyer receives [ray], rounded up."""
    return div_up(sale.paid * RAY, sale.collateral - sale.fee)


def iter_unsafe_vaults_worth_buying(
    keeper: Keeper, view: KeeperView, collateral_type: int, worth: int, least: int
) -> Iterator[Vault]:
    """Yield unsafe vaults of the keeper's share that may be bought at a profit, the largest debt first.

    `worth` is the highest value of 1e18 of collateral [ray], `least` the smallest profit [wad]. The test uses
    the vault's full debt and the price at the largest bonus, so it excludes no profitable vault.
    """
    lowest = view.compute_lowest_discount_price(collateral_type)

    def may_pay(debt: int) -> bool:
        """Return True if a sale of this whole debt [rad] could bring the smallest profit."""
        return can_bring_profit(debt // RAY, worth, lowest, least)

    share = keeper.group.count, keeper.index
    yield from view.iter_unsafe_vaults(collateral_type, may_pay, keeper_share=share)


def can_bring_profit(most_paid: int, worth: int, price: int, least: int) -> bool:
    """Return True if spending up to `most_paid` [wad] at `price` [ray] could bring `least` [wad] of profit.

    `worth` is the value of 1e18 of the collateral [ray].
    """
    return worth > price and most_paid * (worth - price) >= max(1, least) * price


def value_discount_types(
    keeper: Keeper, view: KeeperView, sale_kind: str, market: Mapping[int, int]
) -> dict[int, int]:
    """Return the value of 1e18 of collateral to the keeper [ray], by collateral type.

    Only types with sales of unsafe vaults at a fixed discount are included. A custom strategy values each
    type once, by the type's largest unsafe vault; otherwise the price in `market` [ray] is the value.
    """
    types = [c for c in view.list_types_with_discount() if c in market]
    if isinstance(keeper.strategy, MarketPriceStrategy):
        return {c: market[c] for c in types}
    offers = []
    for c in types:
        vault = next(view.iter_unsafe_vaults(c), None)
        sale = vault and view.plan_discount_sale(c, vault, UNLIMITED, UNLIMITED)
        if sale:
            sent, price = sale.collateral - sale.fee, _compute_unit_price(sale)
            offers.append(
                Offer(sale_kind, c, view.symbols[c], sent, sale.paid, price, market[c], view.timestamp)
            )
    found = keeper.build_worth_by_acceptable_offer(offers)
    return {c: found[c] for c in types if c in found}
