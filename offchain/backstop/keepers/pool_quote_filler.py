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
    """Yield purchases of the backstop pool's positions at its quoted price, where they are worth it.

    A lot is worth the outside market price, plus the group's premium if the keeper buys, minus it if it
    sells. All positions of the keeper are worth no more than its margin account holds, so it has no leverage.
    The keepers of a group divide the markets among each other. First of all the keeper deposits its
    stablecoins.
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
    """Yield the fill of the pool's quote in one market, after a request for a quote if none is open.

    Nothing is yielded if the gain does not exceed gas and minimum profit.
    """
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
    """Return the most lots that the keeper can buy without positions worth more than its money.

    Lots that close the keeper's own opposite position free money for more lots.
    """
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
    """Return the arguments of a trade that changes the buyer's position by `position_change` [lots]."""
    return market_id, pool.at, keeper.address, -position_change, price, True, False


def _is_trade_accepted(
    keeper: Keeper, view: KeeperView, pool: BackstopPoolView, market_id: int, delta: int, price: int
) -> bool:
    """Return True if the trading contract would accept a trade of `delta` lots with the pool."""
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
    """Return the value of lots to the keeper less their payment and the trading fee [wad]."""
    lots, way, c = abs(delta), 1 if delta > 0 else -1, cycles.feeds[market_id]
    # Without a market there is no better price than the mark: the feed's own is older.
    outside = pool.ahead.market.paths[market_id].price
    if view.find_constant_product_pool(c) is not None:
        outside = view.outside.prices[c] * cycles.terms.markets[market_id].lot // RAY
    worth = lots * outside * (BASIS_POINTS + way * keeper.group.premium) // BASIS_POINTS
    fee = div_up(lots * price * pool.ahead.trading.taker_fee, BASIS_POINTS)
    return way * (worth - lots * price) - fee
