"""A perpetual market that ends: announced, priced by its feed over a window, closed account by account."""

from __future__ import annotations

from collections.abc import Sequence

from backstop.model.arithmetic import RAY
from backstop.model.bounds import MIN_NOTICE
from tests.support.perpetuals import ETH, HOUSE, START, Perpetuals

HOUR = 3_600


def delist(market: Perpetuals, m: int = ETH, after: int = MIN_NOTICE) -> int:
    """Announce that a market ends; when it begins to be settled."""
    at = market.world.timestamp + after
    market.do("MarginPolicy.delist", m, at, sender="admin")
    return at


def go_on(market: Perpetuals, dollars: Sequence[int], feed: int = ETH) -> None:
    """Have the feeds step once an hour, the one through these prices, the others as they were."""
    for each in dollars:
        market.advance(HOUR)
        for other, price in START.items():
            market.report(other, (each if other == feed else price) * RAY)
            market.do("PriceFeed.poke", other, sender="keeper")


def wait_for(market: Perpetuals, at: int, dollars: int) -> None:
    """Let time pass until a moment, with a feed that is at a price by then."""
    market.advance(at - market.world.timestamp - 2 * HOUR)
    go_on(market, [dollars] * 2)


def settle(market: Perpetuals, dollars: Sequence[int], m: int = ETH) -> None:
    """Make the price of hours at these prices, and end the market."""
    go_on(market, dollars, m)
    market.do(f"{HOUSE}.end_market", m, sender="keeper")


def leave(market: Perpetuals, name: str) -> int:
    """Take out all that is one's own; what was paid, profit with it [wad]."""
    standing = market.standing(name)
    return int(market.do(f"{HOUSE}.withdraw", standing.own - standing.haircut, market.at(name), sender=name))
