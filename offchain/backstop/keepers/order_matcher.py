"""The keeper that matches signed orders of the margin market."""

from __future__ import annotations

from collections.abc import Hashable
from typing import cast

from backstop.keepers.cycle_view import CycleView
from backstop.keepers.keeper_role_register import Decisions, Intent, Keeper, KeeperMemory, register_role
from backstop.keepers.keeper_view import KeeperView
from backstop.keepers.margin_keepers import get_submittable_reports, submit_reports
from backstop.keepers.signed_order_file import SignedOrder


@register_role("matcher")
def plan_matcher_calls(keeper: Keeper, view: KeeperView, memory: KeeperMemory, gas_price: int) -> Decisions:
    """Yield fills of crossing signed orders of the margin market, the best price first, then the oldest.

    The order with the lower nonce is the maker. Orders with equal nonces match only at equal limit prices.
    The matcher gets no reward. A refused pair is retried after a pause.
    """
    margin = view.cycles
    if margin is None or margin.has_every_market_ended or keeper.orders is None:
        return
    sent = {name for about in memory.under_way if about[0] == "fill" for name in _get_order_pair(about)}
    open_orders = [
        each
        for each in keeper.orders.read_all_known_orders()
        if view.timestamp <= each.order.expiry
        and each.order.nonce >= margin.get_nonce_floor(each.order.account)
        and each.hex_digest not in sent
    ]
    book, fills = _UnfilledOrderLots(margin), list[Intent]()
    for buy in sorted(
        (each for each in open_orders if each.buys), key=lambda each: (-each.order.price, each.place)
    ):
        sells = [each for each in open_orders if not each.buys and each.order.market == buy.order.market]
        for sell in sorted(sells, key=lambda each: (each.order.price, each.place)):
            if sell.order.price > buy.order.price or book.get_fillable_lots(buy) == 0:
                break
            lots, about = (
                min(book.get_fillable_lots(buy), book.get_fillable_lots(sell)),
                (buy.hex_digest, sell.hex_digest),
            )
            apart = buy.order.account != sell.order.account
            maker, taker = sorted((buy, sell), key=lambda each: (each.order.nonce, each.place))
            ordered = maker.order.nonce < taker.order.nonce or maker.order.price == taker.order.price
            if lots and apart and ordered and memory.can_retry(("fill", about), view.timestamp):
                book.record_fill(buy, sell, lots)
                args = (maker.order, maker.signature, taker.order, taker.signature, lots)
                fills.append(keeper.build_intent("MarginOrders", "fill", *args, about=about))
    if fills:
        yield from submit_reports(keeper, get_submittable_reports(keeper, view, margin))
    yield from fills


def _get_order_pair(about: tuple[Hashable, ...]) -> tuple[Hashable, Hashable]:
    """Return the digests of the two orders of a pending fill, from the purpose of its call."""
    return cast("tuple[Hashable, Hashable]", about[1])


class _UnfilledOrderLots:
    """Unfilled lots of orders at this block, less the lots matched in the current decision."""

    def __init__(self, margin: CycleView) -> None:
        self._margin = margin
        self._used: dict[str, int] = {}
        self._moved: dict[tuple[str, int], int] = {}

    def get_fillable_lots(self, signed_order: SignedOrder) -> int:
        """Return the lots of an order that can still be filled.

        A reduce-only order is limited by the account's position in the opposite direction.
        """
        order = signed_order.order
        left = max(
            0,
            abs(order.size)
            - self._margin.get_filled_lots(signed_order.digest)
            - self._used.get(signed_order.hex_digest, 0),
        )
        if not order.reduce_only:
            return left
        key = order.account, order.market
        size = self._margin.get_position(*key).size + self._moved.get(key, 0)
        return min(left, abs(size)) if size * order.size < 0 else 0

    def record_fill(self, buy: SignedOrder, sell: SignedOrder, lots: int) -> None:
        """Record that lots of a buy order and a sell order were matched with each other."""
        for each, delta in ((buy, lots), (sell, -lots)):
            key = each.order.account, each.order.market
            self._used[each.hex_digest] = self._used.get(each.hex_digest, 0) + lots
            self._moved[key] = self._moved.get(key, 0) + delta
