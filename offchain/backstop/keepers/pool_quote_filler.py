"""The keeper that buys from the pool what it quotes, or sells to it what the pool is short of.

The pool signs at the mark and its spread; the buyer asks for a quote, writes both orders, and signs its own.
"""

from __future__ import annotations

from backstop.keepers.cycle_view import ORDERS, TRADING, CycleView, find_largest_accepted
from backstop.keepers.keeper_role_register import Decisions, Keeper, KeeperMemory, register_role
from backstop.keepers.keeper_view import KeeperView
from backstop.keepers.margin_keepers import (
    compute_affordable_margin_deposit,
    get_submittable_reports,
    submit_reports,
)
from backstop.keepers.perpetual_vault_keeper import POOL, BackstopPoolView
from backstop.model.arithmetic import BASIS_POINTS, RAY, div_up
from backstop.model.margin_orders import NANOSECONDS, Order
from backstop.model.perpetual_liquidity_vault import encode_offer
from backstop.system import Action


@register_role("pool_buyer")
def plan_pool_quote_fill_calls(
    keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int
) -> Decisions:
    """Take the pool's positions over at the price that it quotes, where they are worth that; hold them.

    A lot is worth the outside market's price, plus the group's premium for a long buyer, minus it for a short
    one. All its positions together are never more than the money in its account, so it borrows nothing. A
    group shares the markets out.
    """
    cycles = view.cycles
    if (
        cycles is None
        or POOL not in view.addresses
        or cycles.has_every_market_ended
        or keeper.sign_order is None
    ):
        return
    amount = compute_affordable_margin_deposit(keeper, view, cycles)
    if amount:
        yield keeper.build_intent(
            "PerpetualMarket", "deposit", keeper.address, amount, about="capital", spends=amount
        )
        return
    signed = get_submittable_reports(keeper, view, cycles)
    ahead = cycles.simulate_reports(signed)
    pool = BackstopPoolView(ahead, dict(view.addresses), cycles.snapshot, cycles.parameters)
    with ahead.revert_changes_on_exit():
        wanted = [
            each
            for m in cycles.running_market_ids
            if keeper.is_assigned(m)
            for each in _plan_quote_fill(keeper, view, cycles, pool, m, gas_price)
        ]
    if wanted:
        yield from submit_reports(keeper, signed)
        yield from wanted


def _plan_quote_fill(
    keeper: Keeper,
    view: KeeperView,
    cycles: CycleView,
    pool: BackstopPoolView,
    market_id: int,
    gas_price: int,
) -> Decisions:
    """Fill the quote of a market, as far as money and quote go; request a quote first if none runs."""
    size = pool.ahead.get_position_sizes(pool.at).get(market_id, 0)
    if not size or not pool.ahead.fresh[market_id]:
        return
    asks = view.timestamp >= pool.pool.quotes[market_id].until
    if asks and not pool.ahead.apply_call_and_report_success(POOL, "quote", market_id, sender=keeper.address):
        return
    way = 1 if size > 0 else -1  # what the buyer does with its own position
    price, quoted = pool.get_quote_price(market_id), abs(size) - pool.pool.quotes[market_id].down_to
    lots = find_largest_accepted(
        lambda lots: _is_trade_accepted(keeper, view, pool, market_id, way * lots, price),
        min(quoted, _compute_affordable_lots(keeper, pool, market_id, way, price)) if price else 0,
    )
    gain = _compute_gain(keeper, view, cycles, pool, market_id, way * lots, price)
    if not lots or gain < view.estimate_call_cost(ORDERS, "fill", gas_price) + keeper.group.minimum_profit:
        return
    expiry, nonce = view.timestamp + pool.pool.mark_age, view.timestamp * NANOSECONDS + keeper.index
    offer = Order(pool.at, market_id, -way * lots, price, expiry, nonce, True)
    mine = Order(keeper.address, market_id, way * lots, price, expiry, nonce)
    # What it takes in one market it has not in the next.
    trade = _build_unsigned_trade_arguments(keeper, pool, market_id, way * lots, price)
    if pool.can_sign_order(offer) and pool.ahead.apply_call_and_report_success(
        TRADING, "trade", *trade, sender=view.addresses[ORDERS]
    ):
        assert keeper.sign_order is not None
        if asks:
            # Without the purchase it would be gas for nothing: what stops one stops both.
            yield keeper.build_intent(
                "PerpetualLiquidityVault", "quote", market_id, about=market_id, at_risk=True
            )
        both = offer, encode_offer(*offer[1:6]), mine, keeper.sign_order(mine)
        yield keeper.build_intent(
            "MarginOrders", "fill", *both, lots, about=market_id, gain=gain, at_risk=True
        )


def _compute_affordable_lots(
    keeper: Keeper, pool: BackstopPoolView, market_id: int, way: int, price: int
) -> int:
    """Return the lots after which all positions are still worth no more than the account's money."""
    ahead = pool.ahead
    standing, sizes = ahead.get_standing(keeper.address), ahead.get_position_sizes(keeper.address)
    free = standing.own - standing.haircut - standing.unfinal
    free -= sum(abs(size) * ahead.market.paths[each].price for each, size in sizes.items())
    closes = max(0, -way * sizes.get(market_id, 0))
    # Lots that it closes make room for as many of the other side.
    return int(closes + max(0, free + closes * price) // price)


def _build_unsigned_trade_arguments(
    keeper: Keeper, pool: BackstopPoolView, market_id: int, position_change: int, price: int
) -> tuple[int | str | bool, ...]:
    """Return the arguments of a trade with the pool that moves the buyer's position by delta."""
    return market_id, pool.at, keeper.address, -position_change, price, True, False


def _is_trade_accepted(
    keeper: Keeper, view: KeeperView, pool: BackstopPoolView, market_id: int, delta: int, price: int
) -> bool:
    """Return whether the trading contract would book a trade with the pool."""
    action = Action(
        TRADING,
        "trade",
        _build_unsigned_trade_arguments(keeper, pool, market_id, delta, price),
        view.addresses[ORDERS],
    )
    return pool.ahead.system.dry_run(action).ok


def _compute_gain(
    keeper: Keeper,
    view: KeeperView,
    cycles: CycleView,
    pool: BackstopPoolView,
    market_id: int,
    delta: int,
    price: int,
) -> int:
    """Return the buyer's value of lots less their cost and the trading fee [wad]."""
    lots, way, c = abs(delta), 1 if delta > 0 else -1, cycles.feeds[market_id]
    # Without a market there is no better price than the mark: the feed's own is older.
    outside = pool.ahead.market.paths[market_id].price
    if view.find_constant_product_pool(c) is not None:
        outside = view.outside.prices[c] * cycles.terms.markets[market_id].lot // RAY
    worth = lots * outside * (BASIS_POINTS + way * keeper.group.premium) // BASIS_POINTS
    fee = div_up(lots * price * pool.ahead.trading.taker_fee, BASIS_POINTS)
    return way * (worth - lots * price) - fee
