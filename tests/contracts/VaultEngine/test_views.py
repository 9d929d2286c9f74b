"""The views: other contracts' readings of the ledger, each figure in its own unit."""

import pytest

from tests.support.revert_setter_and_source_helpers import reverts

WIRING = {
    "VaultEngine": {
        "STABLECOIN": "Stablecoin",
        "LOSS_WATERFALL": "LossWaterfall",
        "PRICE_FEED": "PriceFeed",
        "LIQUIDATION_ENGINE": "LiquidationEngine",
        "COLLATERAL_AUCTION": "CollateralAuction",
    },
    "LiquidationEngine": {
        "VAULT_ENGINE": "VaultEngine",
        "PRICE_FEED": "PriceFeed",
        "COLLATERAL_AUCTION": "CollateralAuction",
    },
    "CollateralAuction": {
        "VAULT_ENGINE": "VaultEngine",
        "PRICE_FEED": "PriceFeed",
        "LIQUIDATION_ENGINE": "LiquidationEngine",
        "STABLECOIN": "Stablecoin",
    },
}


@pytest.mark.parametrize("contract", WIRING)
def test_the_contracts_know_each_other(protocol, contract):
    for view, other in WIRING[contract].items():
        assert protocol.read(f"{contract}.{view}") == protocol.address(other)


def test_the_unit_is_one_raw_unit_of_the_token_in_wad(protocol):
    assert [protocol.read("VaultEngine.unit_of", c) for c in range(3)] == [1, 10**10, 10**12]


def test_the_fee_and_the_limits_are_those_that_were_set(protocol):
    protocol.do("VaultEngine.set_stability_fee", 0, 7 * 10**19, sender="admin")
    assert protocol.read("VaultEngine.stability_fee_of", 0) == 7 * 10**19
    protocol.do("VaultEngine.set_global_auction_limit", 123_456, sender="admin")
    assert protocol.read("VaultEngine.global_auction_limit") == 123_456
    protocol.do("VaultEngine.set_auction_limit", 0, 54_321, sender="admin")
    assert protocol.read("VaultEngine.auction_limit_of", 0) == 54_321


def test_an_unknown_type_has_no_terms_and_no_money(protocol):
    for view in ("terms_of", "unit_of", "debt_floor_of"):
        with reverts("terms: unknown type"):
            protocol.read(f"VaultEngine.{view}", 31)
    for view in (
        *("stability_fee_of", "buffer_of", "in_auction_of", "auction_limit_of", "deficit_of"),
        "salvage_of",
    ):
        assert protocol.read(f"VaultEngine.{view}", 31) == 0
    assert tuple(protocol.read("VaultEngine.debts_of", 31)) == (0, 0, 0, 0, 0)
