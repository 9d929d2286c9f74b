"""The constructor: what a series can be made with."""

import pytest

from backstop.model.arithmetic import RAY
from tests.support.helpers import check_cannot_be_made
from tests.support.savings import make_claims


def test_is_wired_and_named(protocol):
    make_claims(protocol, "pool", price=4 * RAY, floor=6_000)
    for view, name in (("POOL", "pool"), ("STABLECOIN", "Stablecoin"), ("EQUITY", "BSE")):
        assert protocol.read(f"pool.Claims.{view}") == protocol.address(name)
    assert protocol.read("pool.Claims.PRICE_FEED") == protocol.address("PriceFeed")
    assert protocol.read("pool.Claims.CONVERSION_PRICE") == 4 * RAY
    assert protocol.read("pool.Claims.FLOOR") == 6_000
    assert protocol.read("pool.Claims.symbol") == "CLAIM"
    assert protocol.read("pool.Claims.tokens") == protocol.read("pool.Claims.outstanding") == 0


@pytest.mark.parametrize(
    ("price", "floor", "reason"),
    [(2**112, 0, "recovery_claims: price bounds"), (RAY, 10_001, "recovery_claims: floor bounds")],
)
def test_bounds(protocol, price, floor, reason):
    wiring = [protocol.address(name) for name in ("Stablecoin", "pool", "equity", "PriceFeed")]
    check_cannot_be_made(protocol, "RecoveryClaims", "Claims", "CLAIM", *wiring, price, floor, reason=reason)


def test_within_bounds(protocol):
    make_claims(protocol, "pool", price=2**112 - 1, floor=10_000)
    assert protocol.read("pool.Claims.conversion_price") == 2**112 - 1
