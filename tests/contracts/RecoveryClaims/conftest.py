"""Claims of an account in the place of a pool, with equity that anyone mints."""

from __future__ import annotations

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from tests.support.savings import give, make_claims


@pytest.fixture
def claims(protocol):
    """A series at 4 stablecoins for an equity; somebody has stablecoin to repay it."""
    make_claims(protocol, "pool", price=4 * RAY)
    give(protocol, "payer", 10_000 * WAD)
    protocol.do("Stablecoin.approve", "pool.Claims", MAX_UINT256, sender="payer")
    return protocol


@pytest.fixture
def owed(claims):
    """The same after a loss of 400, of which the saver bore 300 and the neighbour 100."""
    claims.do("pool.Claims.record", 400 * WAD, sender="pool")
    claims.do("pool.Claims.issue", "saver", 0, 300 * WAD, 0, sender="pool")
    claims.do("pool.Claims.issue", "neighbour", 0, 100 * WAD, 0, sender="pool")
    return claims
