"""The constructor: the valid arguments of settlement, and the contracts that it knows."""

import pytest

from tests.support.revert_setter_and_source_helpers import check_contract_creation_refused

HOUR, YEAR = 3_600, 365 * 86_400
WIRING = {
    "VAULT_ENGINE": "VaultEngine",
    "PRICE_FEED": "PriceFeed",
    "COLLATERAL_AUCTION": "CollateralAuction",
    "LOSS_WATERFALL": "LossWaterfall",
}


def arguments(protocol, delay, bound, epochs):
    return *(protocol.address(name) for name in (*WIRING.values(), "admin")), delay, bound, epochs


def test_is_wired(protocol):
    for view, other in WIRING.items():
        assert protocol.read(f"Settlement.{view}") == protocol.address(other)
    assert protocol.read("VaultEngine.SETTLEMENT") == protocol.address("Settlement")
    assert protocol.read("Settlement.admin") == protocol.address("admin")
    assert not protocol.read("VaultEngine.in_settlement")


@pytest.mark.parametrize(
    ("delay", "bound", "epochs"), [(HOUR, 0, 1), (YEAR, 8_000_000_000, 1_000)], ids=["least", "most"]
)
def test_within_bounds(protocol, delay, bound, epochs):
    protocol.lockstep.create_contract("Settlement", "Other", *arguments(protocol, delay, bound, epochs))
    assert [protocol.read(f"Other.{view}") for view in ("DELAY", "BOUND", "EPOCHS")] == [delay, bound, epochs]


@pytest.mark.parametrize(
    ("delay", "bound", "epochs", "reason"),
    [
        (HOUR - 1, 0, 1, "settlement: short delay"),
        (YEAR + 1, 0, 1, "settlement: long delay"),
        (HOUR, 8_000_000_001, 1, "settlement: bound bounds"),
        (HOUR, 0, 0, "settlement: epochs bounds"),
        (HOUR, 0, 1_001, "settlement: epochs bounds"),
    ],
)
def test_out_of_bounds(protocol, delay, bound, epochs, reason):
    check_contract_creation_refused(
        protocol, "Settlement", *arguments(protocol, delay, bound, epochs), reason=reason
    )
