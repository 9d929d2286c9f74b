"""Trades of the margin market during a run: two people sign an order each, and somebody matches them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.deployment.signing import sign_order, trader
from backstop.model.arithmetic import MAX_UINT256
from backstop.model.margin_orders import NANOSECONDS, Order
from backstop.simulation.scenario.schema import MarginTrade
from backstop.system import Action

if TYPE_CHECKING:
    from backstop.simulation.blocks import Blocks


def trade_margin(run: Blocks) -> None:
    """Have those trade whose time has come, at the mark; who is refused tries again."""
    for number, each in enumerate(list(run.trading)):
        if each.at <= run.now and run.apply(_fill(run, each, number)).ok:
            run.trading.remove(each)


def _fill(run: Blocks, trade: MarginTrade, number: int) -> Action:
    m, model = run.scenario.margin_symbols.index(trade.symbol), run.session.model
    run.bring_marks(trader(trade.long))
    run.must("PerpetualMarket", "accrue", m, sender=trader(trade.long))
    price = model.view("PerpetualMarket", "path_of", m)[0].price
    orders: list[Any] = []
    for name, size in ((trade.long, trade.lots), (trade.short, -trade.lots)):
        nonce = run.system.timestamp * NANOSECONDS + number
        order = Order(trader(name), m, size, price, MAX_UINT256, nonce)
        orders += [order, sign_order(name, order, model.world.chain_id, run.at["MarginOrders"])]
    return Action("MarginOrders", "fill", (*orders, trade.lots), trader(trade.long))
