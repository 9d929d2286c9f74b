"""A perpetual market in the tests as a protocol: calls by names of roles, with money in accounts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backstop.deployment.devnet_trader_signatures import get_trader_account
from backstop.deployment.parameter_dataclasses import Parameters
from backstop.model.arithmetic import RAY, WAD
from backstop.proof.local_protocol import LocalProtocol
from tests.support.margin_order_steps import build_order, build_signed_order, next_nonce
from tests.support.perpetual_test_market import HOUSE, Perpetuals, build_cycle_market_parameters

DUST = 100
"""Wei: the effect of roundings."""
DOLLARS = {"WETH": 2_000, "WBTC": 60_000}
"""The start prices of its markets, for a whole coin."""


def deploy_with_margin(
    new_protocol: Callable[..., LocalProtocol], parameters: Parameters | None = None, **deposits: int
) -> LocalProtocol:
    """A protocol with marks of now, and whole stablecoins in accounts."""
    made = new_protocol(parameters or build_cycle_market_parameters())
    market = Perpetuals(made.lockstep)
    market.report_current_prices_again()
    for name, amount in deposits.items():
        market.deposit(name, amount * WAD)
    return made


def deposit_margin(protocol: LocalProtocol, name: str, amount: int) -> None:
    """Wad, into an account."""
    protocol.do(f"{HOUSE}.deposit", get_trader_account(name), amount, sender=get_trader_account("rich"))


def mark_markets(protocol: LocalProtocol, **dollars: int) -> None:
    """Update both markets' marks, to other prices of a whole coin or the last ones."""
    for market, (symbol, usual) in enumerate(DOLLARS.items()):
        said = protocol.read("PriceFeed.report_of", market, protocol.address("reporter_1")).price
        protocol.report(symbol, dollars.get(symbol, 0) * RAY or said or usual * RAY)
        protocol.do(f"{HOUSE}.accrue", market, sender="keeper")


def read_size(protocol: LocalProtocol, name: str, market: int = 0) -> int:
    """Lots, above zero if they are long."""
    held = protocol.read(f"{HOUSE}.holdings_of", get_trader_account(name))
    return next((each.size for each in held if each.market == market), 0)


def sum_margin_equity_of_named_accounts(protocol: LocalProtocol, *names: str) -> int:
    """Return the equity of one owner's accounts at the marks [wad], with the haircuts that are known."""
    found = 0
    for name in names:
        protocol.do(f"{HOUSE}.update_account", get_trader_account(name), sender="keeper")
        standing: Any = protocol.read(f"{HOUSE}.standing_of", get_trader_account(name))
        found += standing.own - standing.haircut
    return int(found)


def fill_orders(
    protocol: LocalProtocol, maker: str, taker: str, lots: int, market: int = 0, price: int = 0
) -> None:
    """The maker buys lots (or sells, under zero) of the taker, at a price or the mark."""
    at = price or protocol.read(f"{HOUSE}.mark_of", market)
    nonce = next_nonce(protocol)
    one = build_signed_order(protocol, maker, build_order(maker, market, lots, at, nonce=nonce))
    other = build_signed_order(protocol, taker, build_order(taker, market, -lots, at, nonce=nonce))
    protocol.do("MarginOrders.fill", *one, *other, abs(lots), sender="matcher")
