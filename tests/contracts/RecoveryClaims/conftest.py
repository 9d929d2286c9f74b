"""Claims of an account in the place of a pool, with equity that anyone mints."""

from __future__ import annotations

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.bounds import EQUITY_MARKET
from tests.support.saver_steps import create_recovery_claims_contract, give_stablecoin

# Shares that nobody owns, of every pool; those of two members, a million for each wei.
VIRTUAL = 10**6
SAVER, NEIGHBOUR = 300 * WAD * 10**6, 100 * WAD * 10**6
MEMBERS = SAVER + NEIGHBOUR


def lose(protocol, lost, generation=0, members=MEMBERS):
    """Have a loss recorded of which members bear an amount, and virtual shares their part; the mark."""
    amount = -(-lost * (members + VIRTUAL) // members)
    return protocol.do("pool.Claims.record", generation, members + VIRTUAL, amount, sender="pool")


def move_to_workout(protocol, who, shares, *, since=(0, 0), until):
    """Have a member get the claims of shares from a checkpoint to another: (generation, mark)."""
    protocol.do("pool.Claims.issue", who, shares, *since, *until, sender="pool")


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
    """A series at 4 stablecoins for an equity at least; equity is at 1; an account has coins to repay it."""
    create_recovery_claims_contract(protocol, "pool", conversion_price=4 * RAY)
    give_stablecoin(protocol, "payer", 10_000 * WAD)
    protocol.do("Stablecoin.approve", "pool.Claims", MAX_UINT256, sender="payer")
    post_equity(protocol, RAY)
    return protocol


@pytest.fixture
def owed(claims):
    """The same after a loss of 400, of which the saver bore 300 and the neighbour 100."""
    assert lose(claims, 400 * WAD) == 1
    move_to_workout(claims, "saver", SAVER, until=(0, 1))
    move_to_workout(claims, "neighbour", NEIGHBOUR, until=(0, 1))
    return claims
