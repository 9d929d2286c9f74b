"""The constructor: the valid arguments of a series."""

from backstop.model.arithmetic import RAY
from tests.support.revert_setter_and_source_helpers import check_contract_creation_refused
from tests.support.saver_steps import create_recovery_claims_contract


def test_is_wired_and_named(protocol):
    create_recovery_claims_contract(protocol, "pool", conversion_price=4 * RAY)
    for view, name in (("POOL", "pool"), ("STABLECOIN", "Stablecoin"), ("EQUITY", "BSE")):
        assert protocol.read(f"pool.Claims.{view}") == protocol.address(name)
    assert protocol.read("pool.Claims.PRICE_FEED") == protocol.address("PriceFeed")
    assert protocol.read("pool.Claims.CONVERSION_PRICE") == 4 * RAY
    assert protocol.read("pool.Claims.symbol") == "CLAIM"
    assert protocol.read("pool.Claims.tokens") == protocol.read("pool.Claims.outstanding") == 0


def test_bounds(protocol):
    wiring = [protocol.address(name) for name in ("Stablecoin", "pool", "equity", "PriceFeed")]
    arguments = ("RecoveryClaims", "Claims", "CLAIM", *wiring, 2**112)
    check_contract_creation_refused(protocol, *arguments, reason="recovery_claims: price bounds")


def test_within_bounds(protocol):
    create_recovery_claims_contract(protocol, "pool", conversion_price=2**112 - 1)
    assert protocol.read("pool.Claims.CONVERSION_PRICE") == 2**112 - 1
