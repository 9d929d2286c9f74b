"""Keepers that buy for a profit: collateral of auctions and of unsafe vaults, equity, surplus."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial

from backstop.keepers.auction_purchases import (
    can_be_profitable,
    compute_value,
    compute_values_by_auction_id,
    find_best_take,
    has_takeable_auction,
    iter_cheapest_auctions,
    list_candidate_auctions_by_age,
)
from backstop.keepers.discount_purchases import (
    can_bring_profit,
    find_best_purchase,
    iter_unsafe_vaults_worth_buying,
    value_discount_types,
)
from backstop.keepers.keeper_role_register import (
    UNLIMITED,
    Decisions,
    Intent,
    Keeper,
    KeeperMemory,
    register_role,
)
from backstop.keepers.keeper_view import KeeperView
from backstop.keepers.strategy import Offer
from backstop.keepers.view_records import ConstantProductPool
from backstop.model.arithmetic import RAY, WAD, div_up


def _has_collateral_for_sale(view: KeeperView) -> bool:
    return has_takeable_auction(view) or view.has_unsafe_vault_at_discount()


@register_role("flash_taker", occasion=_has_collateral_for_sale)
def plan_flash_taker_calls(
    keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int
) -> Decisions:
    """Yield flash takes: purchases of collateral that is sold on the market in the same transaction.

    A purchase is made only if its proceeds exceed payment, pool fee, price impact, gas and minimum profit.
    Auctions come first, ordered by price relative to the market; then unsafe vaults at a fixed discount.
    """
    cost = view.estimate_call_cost("FlashTaker", "take_and_sell", gas_price)
    least = cost + keeper.group.minimum_profit
    pools = {
        c: pool for c in range(len(view.symbols)) if (pool := view.find_constant_product_pool(c)) is not None
    }
    market = {c: pool.price for c, pool in pools.items()}
    # The cheapest against its market first: each sale moves the price for the next.
    for auction in iter_cheapest_auctions(keeper, view, "flash", market, least):
        c = auction.collateral_type
        pool = pools[c]
        if not memory.can_retry(("take_and_sell", auction.id), view.timestamp):
            continue
        plan = find_best_take(
            view, auction, pool.compute_best_amount(auction.price), UNLIMITED, pool.compute_proceeds
        )
        if plan is None or plan.profit < least:
            continue
        pools[c] = pool.build_pool_after_sale(plan.fill.collateral)
        yield keeper.build_intent(
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
    yield from _plan_flash_purchases(keeper, view, memory, gas_price, pools)


def _plan_flash_purchases(
    keeper: Keeper,
    view: KeeperView,
    memory: KeeperMemory,
    gas_price: int,
    pools: dict[int, ConstantProductPool],
) -> Decisions:
    """Yield flash purchases from unsafe vaults at a fixed discount, the largest debt first.

    Each purchase must be profitable after its collateral is sold to `pools`, which the function updates.
    """
    cost = view.estimate_call_cost("FlashTaker", "liquidate_and_sell", gas_price)
    least = cost + keeper.group.minimum_profit
    for c, worth in value_discount_types(
        keeper, view, "flash_vault", {c: pool.price for c, pool in pools.items()}
    ).items():
        lowest = max(1, view.compute_lowest_discount_price(c))
        for vault in iter_unsafe_vaults_worth_buying(keeper, view, c, worth + 1, least):
            if pools[c].compute_largest_profit(lowest) < least:
                break  # each sale lowers the price for the next: no further one pays
            if not memory.can_retry(("liquidate_and_sell", (c, vault.owner)), view.timestamp):
                continue
            pool = pools[c]
            plan = find_best_purchase(
                view, c, vault, UNLIMITED, pool.compute_proceeds, pool.compute_best_amount
            )
            if plan is None or plan.profit < least or not keeper.accepts_price(plan.price, worth):
                continue
            pools[c] = pool.build_pool_after_sale(plan.collateral)
            yield keeper.build_intent(
                "FlashTaker",
                "liquidate_and_sell",
                c,
                vault.owner,
                plan.max_collateral,
                plan.max_repay,
                plan.max_price,
                pool.address,
                # Somebody may sell first: it still must not lose by it.
                max(plan.profit // 2, cost),
                about=(c, vault.owner),
                gain=plan.profit,
            )


@register_role("bidder", occasion=_has_collateral_for_sale)
def plan_bidder_calls(keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int) -> Decisions:
    """Yield purchases of collateral below the market price, which the keeper pays and keeps itself.

    Auctions come before unsafe vaults that are sold at a fixed discount. The keeper's free stablecoins limit
    all purchases together.
    """
    least = view.estimate_call_cost("CollateralAuction", "take", gas_price) + keeper.group.minimum_profit
    budget = view.get_unreserved_stablecoins(keeper.address)
    # What is sent has its money set aside already.
    market = dict(enumerate(view.outside.prices))
    open_auctions = [
        each
        for each in list_candidate_auctions_by_age(keeper, view, market, budget, least)
        if keeper.is_assigned(each.id) and ("take", each.id) not in memory.under_way
    ]
    worth = compute_values_by_auction_id(keeper, view, "collateral", open_auctions, market)
    if keeper.buys_best_first:
        open_auctions = [each for each in open_auctions if worth.get(each.id)]
        open_auctions.sort(key=lambda each: (each.price * WAD // worth[each.id], -each.lot, each.id))
    for auction in open_auctions:
        if auction.id not in worth or not can_be_profitable(auction, worth[auction.id], budget, least):
            continue
        affordable = min(auction.lot, budget * RAY // max(1, auction.price))
        plan = find_best_take(view, auction, affordable, budget, partial(compute_value, worth[auction.id]))
        if plan is None or plan.profit < least:
            continue
        budget -= plan.fill.paid
        yield keeper.build_intent(
            "CollateralAuction",
            "take",
            auction.id,
            plan.max_amount,
            plan.max_price,
            keeper.address,
            b"",
            about=auction.id,
            spends=plan.fill.paid,
            gain=plan.profit,
            of=auction.collateral_type,
        )
    yield from _plan_bidder_purchases(keeper, view, memory, gas_price, market, budget)


def _plan_bidder_purchases(
    keeper: Keeper,
    view: KeeperView,
    memory: KeeperMemory,
    gas_price: int,
    market: dict[int, int],
    budget: int,
) -> Decisions:
    """Yield purchases from unsafe vaults at a fixed discount, the largest debt first.

    The keeper pays with its own stablecoins, at most `budget` [wad].
    """
    least = (
        view.estimate_call_cost("LiquidationEngine", "liquidate_and_buy", gas_price)
        + keeper.group.minimum_profit
    )
    for c, worth in value_discount_types(keeper, view, "vault", market).items():
        lowest = view.compute_lowest_discount_price(c)
        for vault in iter_unsafe_vaults_worth_buying(keeper, view, c, worth, least):
            if not can_bring_profit(budget, worth, lowest, least):
                break
            about = c, vault.owner
            # What is sent has its money set aside already.
            if ("liquidate_and_buy", about) in memory.under_way:
                continue
            plan = find_best_purchase(
                view, c, vault, budget, partial(compute_value, worth), lambda price: UNLIMITED
            )
            if plan is None or plan.profit < least or not keeper.accepts_price(plan.price, worth):
                continue
            budget -= plan.max_repay
            amounts = plan.max_collateral, plan.max_repay, plan.max_price
            yield keeper.build_intent(
                "LiquidationEngine",
                "liquidate_and_buy",
                c,
                vault.owner,
                *amounts,
                keeper.address,
                b"",
                about=about,
                spends=plan.max_repay,
                gain=plan.profit,
                of=c,
            )


def _has_running_equity_auction(view: KeeperView) -> bool:
    return bool(view.equity_auctions)


@register_role("recap_bidder", occasion=_has_running_equity_auction)
def plan_recap_bidder_calls(
    keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int
) -> Decisions:
    """Yield purchases of slashed or newly minted equity below the market price.

    The keeper pays with its own stablecoins and keeps the equity.
    """
    budget = view.get_unreserved_stablecoins(keeper.address)
    # One contract after the other: their sales have the same ids.
    for contract in dict.fromkeys(sale.contract for sale in view.equity_auctions):
        budget -= yield from _plan_equity_takes(keeper, view, memory, gas_price, contract, budget)


def _plan_equity_takes(
    keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int, contract: str, budget: int
) -> Generator[Intent, None, int]:
    """Yield purchases from one contract's equity auctions, and return their total cost [wad]."""
    before = budget
    open_auctions = [
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
        for sale in open_auctions
    ]
    worth = keeper.build_worth_by_acceptable_offer(offers)
    for sale in open_auctions:
        if sale.collateral_type not in worth:
            continue
        amount = min(sale.lot, budget * RAY // sale.price)
        paid = min(div_up(amount * sale.price, RAY), sale.target)
        if paid > sale.target - WAD and amount < sale.lot:
            # A rest of less than a coin is refused.
            amount = max(0, sale.target - WAD) * RAY // sale.price
            paid = div_up(amount * sale.price, RAY)
        profit = compute_value(worth[sale.collateral_type], amount) - paid
        if profit < view.estimate_call_cost(sale.contract, "take", gas_price) + max(
            1, keeper.group.minimum_profit
        ):
            continue
        budget -= paid
        args = (sale.collateral_type, amount, sale.price, keeper.address, b"")
        about = (sale.contract, sale.collateral_type)
        yield keeper.build_intent(sale.contract, "take", *args, about=about, spends=paid, gain=profit)
    return before - budget


def _has_surplus_auction(view: KeeperView) -> bool:
    return view.has_equity and view.surplus_auction is not None


@register_role("surplus_bidder", occasion=_has_surplus_auction)
def plan_surplus_bidder_calls(
    keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int
) -> Decisions:
    """Yield a purchase of surplus stablecoin, paid with the keeper's equity, if it brings a profit.

    The contract burns the equity that it receives. Nothing is yielded while losses are unresolved or
    withdrawals are paused after a price drop.
    """
    if not view.has_equity or view.surplus_auction is None or view.compute_unresolved_losses():
        return
    if view.timestamp < view.withdrawals_paused_until:
        return
    sale, market = view.surplus_auction, view.outside.equity_price
    amount = min(sale.lot, view.get_unreserved_equity(keeper.address) * RAY // sale.price)
    paid = div_up(amount * sale.price, RAY)
    profit = amount - paid * market // RAY
    cost = view.estimate_call_cost("SurplusAuction", "take", gas_price)
    if profit >= cost + max(1, keeper.group.minimum_profit):
        args = (amount, sale.price, keeper.address, b"")
        yield keeper.build_intent("SurplusAuction", "take", *args, about="surplus", spends=paid, gain=profit)
