"""A margin market in the tests: its deployment, and orders in it."""

from __future__ import annotations

from dataclasses import astuple, replace
from typing import Any

from backstop.deployment.devnet_trader_signatures import get_trader_account, sign_order
from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import (
    FacilitatorParameters,
    MarginParameters,
    Parameters,
    PerpetualParameters,
)
from backstop.hosts.host_interface import CHAIN_ID
from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.model.margin_orders import Order
from backstop.proof.local_protocol import LocalProtocol

ETH, BTC = 0, 1
"""The markets: a lot is a hundredth of an ether, a thousandth of a bitcoin."""
LINE = 50_000
PERPETUALS = FacilitatorParameters("Perpetuals", LINE, 3_600, minter="nobody")
TERMS = PerpetualParameters("WETH", WAD // 100, 1_000, 500, of_market=((0, 0), (0, 0)))
MARGIN = MarginParameters(
    (TERMS, replace(TERMS, symbol="WBTC", lot=WAD // 1_000)), facilitator="Perpetuals", cap=2_000
)


def with_margin(parameters: Parameters | None = None, **changes: Any) -> Parameters:
    """The standard deployment, or another one, with two perpetual markets and a facilitator for them."""
    base = parameters or build_standard_parameters()
    return replace(base, facilitators=(*base.facilitators, PERPETUALS), margin=replace(MARGIN, **changes))


def build_perpetual_market_terms(**changes: Any) -> tuple[Any, ...]:
    """A market's terms as the policy takes them."""
    return astuple(replace(TERMS, **changes))[2:]


def build_order(name: str, market: int, size: int, price: int, **more: Any) -> Order:
    """An order that never expires."""
    values = {"expiry": MAX_UINT256, "nonce": 0, "reduce_only": False} | more
    return Order(get_trader_account(name), market, size, price, **values)


def build_signed_order(protocol: LocalProtocol, name: str, order: Order) -> tuple[Order, bytes]:
    """An order and its signature."""
    return order, sign_order(name, order, CHAIN_ID, protocol.address("MarginOrders"))
