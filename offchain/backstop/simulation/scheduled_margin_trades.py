"""Scheduled events of the margin market in a run: trades, withdrawals, and delistings by the admin.

Of a trade two accounts sign an order each, and a third matches them.
"""

from __future__ import annotations

from typing import Any

from backstop.deployment.devnet_trader_signatures import get_trader_account, sign_order
from backstop.model.arithmetic import MAX_UINT256
from backstop.model.margin_orders import NANOSECONDS, Order
from backstop.simulation.scenario.scenario_records import MarginAccount, MarginTrade
from backstop.simulation.scenario_run_state import ScenarioRun
from backstop.system import Action


def run_due_margin_trades(run: ScenarioRun) -> None:
    """Execute the scheduled trades that are due, at the mark price; a reverted trade is retried."""
    for number, each in enumerate(list(run.trading)):
        if each.at <= run.now and run.apply(_build_order_fill_action(run, each, number)).ok:
            run.trading.remove(each)


def announce_delistings(run: ScenarioRun) -> None:
    """Announce the scheduled delistings that are due, as the admin."""
    for each in list(run.delisting):
        if each.at <= run.now:
            m, ends = run.scenario.margin_symbols.index(each.symbol), run.scenario.start + each.ends
            run.apply_or_raise("MarginPolicy", "delist", m, ends, sender=run.register_account("admin"))
            run.delisting.remove(each)


def list_planned_withdrawals(run: ScenarioRun) -> list[MarginAccount]:
    """Return the planned withdrawals of margin accounts.

    If the book has a common time to leave, every account without its own plan leaves at that time.
    """
    book = run.scenario.margin_book
    found = [each for each in book.accounts if each.takes_out is not None]
    if book.leaves is not None:
        named = {each.name for each in found}
        others = [name for name in run.margin_book.deposits if name not in named]
        found += [MarginAccount(name, 0, takes_out=book.leaves) for name in others]
    return found


def _build_order_fill_action(run: ScenarioRun, trade: MarginTrade, trade_number: int) -> Action:
    m, model = run.scenario.margin_symbols.index(trade.symbol), run.session.model
    run.submit_marks(get_trader_account(trade.long))
    run.apply_or_raise("PerpetualMarket", "accrue", m, sender=get_trader_account(trade.long))
    price = model.view("PerpetualMarket", "mark_of", m)
    orders: list[Any] = []
    for name, size in ((trade.long, trade.lots), (trade.short, -trade.lots)):
        nonce = run.system.timestamp * NANOSECONDS + trade_number
        order = Order(get_trader_account(name), m, size, price, MAX_UINT256, nonce)
        orders += [order, sign_order(name, order, model.world.chain_id, run.at["MarginOrders"])]
    return Action("MarginOrders", "fill", (*orders, trade.lots), get_trader_account(trade.long))
