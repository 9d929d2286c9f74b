"""Traders with several accounts in the margin market, and attempts to use accounts of other traders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from backstop.deployment.devnet_trader_signatures import sign_order
from backstop.model.account_owner import derive_account
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256
from backstop.model.margin_orders import MarginOrders, Order
from backstop.proof.fuzz.action_generators.cycle_trading_actions import (
    NAMES,
    OWNERS,
    TRADERS,
    MarketView,
    iter_order_fill_calls,
)
from backstop.proof.fuzz.generation_context import GenerationContext, Wait
from backstop.proof.fuzz.generator_registry import register_generator
from backstop.system import Action

_MARKET, _TRADING, _ORDERS = "PerpetualMarket", "PerpetualTrading", "MarginOrders"
_PAIRS = [
    (one, other) for one in TRADERS for other in TRADERS if OWNERS[one] == OWNERS[other] and one != other
]


@register_generator(weight=2, of_traders=True)
def trade_between_own_accounts(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a trade between two margin accounts of one trader, at times off the mark price.

    The trade moves a position to the other account, or opens opposite positions in the two accounts.
    """
    if _MARKET not in context.world.contracts:
        return
    books, (maker, taker) = MarketView(context), context.pick_item(_PAIRS)
    listed = [m for m in books.markets if not books.policy.underlyings[m].ends_at]
    if not listed or not books.is_new_risk_allowed():
        return
    m = context.pick_item(books.list_held_markets(maker) or listed)
    yield from books.iter_mark_refresh_actions(
        sorted({m, *books.list_held_markets(maker), *books.list_held_markets(taker)})
    )
    size, price = books.get_size(maker, m), books.get_mark(m)
    if not price:
        return
    if context.draw_bool(0.5):
        who = context.find_richest_account()
        yield context.build_action(
            _MARKET, "deposit", taker, context.get_balance("Stablecoin", who) // 10, by=who
        )
    lots = -size
    if not size or context.draw_bool(0.3):
        terms = books.policy.terms[m]
        needed = (terms.initial + terms.account_rate_1 + terms.market_rate_1) * price
        lots = context.draw_near_limit(
            min(books.get_spare_margin(maker), books.get_spare_margin(taker)) // needed
        ) * context.pick_item((1, -1))
    if context.draw_bool(0.3):
        band = books.trading.band
        price = max(1, price * (BASIS_POINTS + context.random.randint(-band, band)) // BASIS_POINTS)
    if lots:
        yield from iter_order_fill_calls(context, books, (maker, taker), m, lots, price)


@register_generator(weight=1, of_traders=True)
def act_for_sub_accounts(context: GenerationContext) -> Iterator[Action | Wait]:
    """Yield a call on behalf of a trader's sub-account, by the trader or an unauthorised account.

    The call cancels an order, raises a nonce floor, fills a wrongly signed order, withdraws, or liquidates.
    """
    if _MARKET not in context.world.contracts:
        return
    books, orders = MarketView(context), cast(MarginOrders, context.world.contracts[_ORDERS])
    account, other = context.pick_item(_PAIRS)
    stranger = context.pick_item([each for each in TRADERS if OWNERS[each] != OWNERS[account]])
    m, first = context.pick_item(books.markets), context.random.getrandbits(40)
    price, expiry, size = books.get_mark(m) or 1, context.now + 3_600, context.pick_item((1, -1))
    mine = Order(account, m, size, price, expiry, first)
    kind = context.random.randrange(5)
    if kind == 0:
        by = OWNERS[account] if context.draw_bool(0.8) else stranger
        yield context.build_action(_ORDERS, "cancel", mine, by=by)
    elif kind == 1:
        by = OWNERS[account] if context.draw_bool(0.8) else stranger
        yield context.build_action(_ORDERS, "raise_nonce", context.random.getrandbits(38), account, by=by)
    elif kind == 2:
        # The same order of another account has another hash; or a key signs for whom it may not.
        claims = context.pick_item((mine._replace(account=other), mine._replace(account=stranger)))
        signed_by = mine if claims.account == other else claims
        meets = Order(stranger if claims.account != stranger else other, m, -size, price, expiry, first + 1)
        chain, at = context.world.chain_id, orders.address
        signatures = (
            sign_order(NAMES[account], signed_by, chain, at),
            sign_order(NAMES[meets.account], meets, chain, at),
        )
        yield context.build_action(
            _ORDERS, "fill", claims, signatures[0], meets, signatures[1], 1, by=context.pick_account()
        )
    elif kind == 3:
        by, number = context.pick_item((OWNERS[account], stranger)), context.random.randrange(256)
        named = context.pick_item(
            (derive_account(account, number), context.engine.address, books.market.address)
        )
        yield context.build_action(
            _MARKET, "withdraw", context.pick_item((0, 1, MAX_UINT256)), context.pick_account(), named, by=by
        )
    else:
        by = context.pick_item((OWNERS[account], stranger))
        weak = context.pick_item(books.list_undermargined() or list(TRADERS))
        yield context.build_action(_TRADING, "take", m, context.pick_item((0, 1)), account, by=by)
        yield context.build_action(
            _TRADING, "liquidate", weak, m, 1, context.pick_item((account, weak)), by=by
        )
