"""A perpetual market that ends: announced, priced by its feed over a window, closed account by account."""

from __future__ import annotations

from collections.abc import Sequence

from backstop.model.arithmetic import RAY
from backstop.model.bounds import MIN_NOTICE
from tests.support.perpetual_test_market import ETH, HOUSE, START, Perpetuals

HOUR = 3_600


def announce_delisting(market: Perpetuals, market_id: int = ETH, after: int = MIN_NOTICE) -> int:
    """Announce that a market ends; when it begins to be settled."""
    at = market.world.timestamp + after
    market.do("MarginPolicy.delist", market_id, at, sender="admin")
    return at


def step_feeds_through_prices(market: Perpetuals, dollar_prices: Sequence[int], feed: int = ETH) -> None:
    """Step the feeds once an hour, one through these prices, the others at unchanged prices."""
    for each in dollar_prices:
        market.advance_clock(HOUR)
        for other, price in START.items():
            market.report(other, (each if other == feed else price) * RAY)
            market.do("PriceFeed.poke", other, sender="keeper")


def advance_to_moment(market: Perpetuals, at: int, dollars: int) -> None:
    """Let time pass until a moment, with a feed that is at a price by then."""
    market.advance_clock(at - market.world.timestamp - 2 * HOUR)
    step_feeds_through_prices(market, [dollars] * 2)


def end_market_at_prices(market: Perpetuals, dollars: Sequence[int], market_id: int = ETH) -> None:
    """Make the price of hours at these prices, and end the market."""
    step_feeds_through_prices(market, dollars, market_id)
    market.do(f"{HOUSE}.end_market", market_id, sender="keeper")


def withdraw_own_balance(market: Perpetuals, name: str) -> int:
    """Withdraw the account's whole balance; return the payment, profit with it [wad]."""
    standing = market.standing(name)
    return int(
        market.do(
            f"{HOUSE}.withdraw",
            standing.own - standing.haircut,
            market.get_contract_or_account_address(name),
            sender=name,
        )
    )
