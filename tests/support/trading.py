"""A perpetual market in the tests as a protocol: what is called by names of roles, with money in accounts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backstop.deployment.parameters import Parameters
from backstop.deployment.signing import trader
from backstop.model.arithmetic import RAY, WAD
from tests.support.margin import next_nonce, order, signed
from tests.support.perpetuals import HOUSE, Perpetuals, by_cycle
from tests.support.protocol import Protocol

DUST = 100
"""Wei: what roundings may move."""
DOLLARS = {"WETH": 2_000, "WBTC": 60_000}
"""What its markets begin at, for a whole coin."""


def trading(
    new_protocol: Callable[..., Protocol], parameters: Parameters | None = None, **deposits: int
) -> Protocol:
    """A protocol with marks of now, and whole stablecoins in accounts."""
    made = new_protocol(parameters or by_cycle())
    market = Perpetuals(made.lockstep)
    market.refresh()
    for name, amount in deposits.items():
        market.deposit(name, amount * WAD)
    return made


def deposit(protocol: Protocol, name: str, amount: int) -> None:
    """Wad, into an account."""
    protocol.do(f"{HOUSE}.deposit", trader(name), amount, sender=trader("rich"))


def marked(protocol: Protocol, **dollars: int) -> None:
    """Have both markets marked, at other prices of a whole coin or the last ones."""
    for market, (symbol, usual) in enumerate(DOLLARS.items()):
        said = protocol.read("PriceFeed.report_of", market, protocol.address("reporter_1")).price
        protocol.report(symbol, dollars.get(symbol, 0) * RAY or said or usual * RAY)
        protocol.do(f"{HOUSE}.accrue", market, sender="keeper")


def size(protocol: Protocol, name: str, market: int = 0) -> int:
    """Lots, above zero if they are long."""
    held = protocol.read(f"{HOUSE}.holdings_of", trader(name))
    return next((each.size for each in held if each.market == market), 0)


def equity(protocol: Protocol, *names: str) -> int:
    """What accounts of one person have at the marks, wad, with the haircuts that are known."""
    found = 0
    for name in names:
        protocol.do(f"{HOUSE}.wake", trader(name), sender="keeper")
        standing: Any = protocol.read(f"{HOUSE}.standing_of", trader(name))
        found += standing.own - standing.haircut
    return int(found)


def fill(protocol: Protocol, maker: str, taker: str, lots: int, market: int = 0, price: int = 0) -> None:
    """The maker buys lots (or sells, under zero) of the taker, at a price or the mark."""
    at = price or protocol.read(f"{HOUSE}.mark_of", market)
    nonce = next_nonce(protocol)
    one = signed(protocol, maker, order(maker, market, lots, at, nonce=nonce))
    other = signed(protocol, taker, order(taker, market, -lots, at, nonce=nonce))
    protocol.do("MarginOrders.fill", *one, *other, abs(lots), sender="matcher")
