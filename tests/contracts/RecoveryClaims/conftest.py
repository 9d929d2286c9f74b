"""Claims of an account in the place of a pool, with equity that anyone mints."""

from __future__ import annotations

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.bounds import EQUITY_MARKET
from tests.support.savings import give, make_claims


def post_equity(protocol, *prices):
    """Make each the next price of equity, a step after the one before."""
    if protocol.read("PriceFeed.time_weighted", EQUITY_MARKET) == 0:
        reporters = [protocol.address(f"reporter_{i + 1}") for i in range(3)]
        times = (3_600, 7_200, 14_400, 3_600)
        protocol.do("PriceFeed.set_market", EQUITY_MARKET, reporters, 3, *times, sender="admin")
    for price in prices:
        protocol.advance(3_600)
        for i in range(3):
            protocol.do("PriceFeed.report", EQUITY_MARKET, price, sender=f"reporter_{i + 1}")
        protocol.do("PriceFeed.poke", EQUITY_MARKET, sender="stranger")


@pytest.fixture
def claims(protocol):
    """A series at 4 stablecoins for an equity at least; it is at 1; somebody has stablecoin to repay it."""
    make_claims(protocol, "pool", price=4 * RAY)
    give(protocol, "payer", 10_000 * WAD)
    protocol.do("Stablecoin.approve", "pool.Claims", MAX_UINT256, sender="payer")
    post_equity(protocol, RAY)
    return protocol


@pytest.fixture
def owed(claims):
    """The same after a loss of 400, of which the saver bore 300 and the neighbour 100."""
    claims.do("pool.Claims.record", 400 * WAD, sender="pool")
    claims.do("pool.Claims.issue", "saver", 0, 300 * WAD, 0, sender="pool")
    claims.do("pool.Claims.issue", "neighbour", 0, 100 * WAD, 0, sender="pool")
    return claims
