"""A perpetual market in the tests as a protocol: calls by names of roles, with money in accounts."""

from __future__ import annotations

from collections.abc import Callable

from backstop.deployment.devnet_trader_signatures import get_trader_account
from backstop.deployment.parameter_dataclasses import Parameters
from backstop.model.arithmetic import RAY, WAD
from backstop.proof.local_protocol import LocalProtocol
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
    return sum(protocol.get_equity(get_trader_account(name)) for name in names)
