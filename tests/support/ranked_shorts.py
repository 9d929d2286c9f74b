"""Shorts of very different leverage, on a devnet, that have gained in the open cycle."""

from __future__ import annotations

from typing import Any

from backstop.deployment.devnet_trader_signatures import get_trader_account, sign_order
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.margin_orders import Order
from tests.support.many_vaults_devnet import ManyVaultsDevnet

SHORTS = {"small": (1_500, 300), "large": (20_000, 500), "other": (1_000, 200)}
"""Deposits in stablecoins, and lots at 20; `long` has the other side."""


def open_shorts_and_drop(town: ManyVaultsDevnet) -> None:
    """Open the positions, and have the price fall to 16 a lot."""
    at = town.deployment.addresses

    def do(sender: str, call: str, *args: Any) -> None:
        assert town.call_and_return_revert_reason(call, *args, sender=sender) is None, call

    def mark(dollars: int) -> None:
        for i in range(3):
            do(f"reporter_{i + 1}", "PriceFeed.report_range", 0, *(dollars * RAY,) * 3, 0)
        do("saver", "PerpetualMarket.accrue", 0)

    town.post_prices(2_000, 30_000, 3_000)
    town.open_vault("saver", 100, 50_000)
    do("saver", "Stablecoin.approve", at["PerpetualMarket"], MAX_UINT256)
    do("saver", "PerpetualMarket.deposit", get_trader_account("long"), 10_000 * WAD)
    mark(2_000)
    for nonce, (name, (coins, lots)) in enumerate(SHORTS.items()):
        do("saver", "PerpetualMarket.deposit", get_trader_account(name), coins * WAD)
        orders: list[Any] = []
        for who, size in (("long", lots), (name, -lots)):
            order = Order(get_trader_account(who), 0, size, 20 * WAD, MAX_UINT256, nonce)
            orders += [order, sign_order(who, order, town.deployment.chain_id, at["MarginOrders"])]
        do("matcher", "MarginOrders.fill", *orders, lots)
    mark(1_600)
