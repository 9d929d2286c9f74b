"""The constructor: where it belongs, and the bounds of a sale."""

import pytest

from tests.support.revert_setter_and_source_helpers import check_contract_creation_refused

NOBODY = "0x" + "00" * 20
WEEK = 7 * 86_400


def wiring(protocol):
    return [protocol.address(name) for name in ("VaultEngine", "LossWaterfall", "PriceFeed", "Equity")]


def test_belongs_to_its_deployment(priced):
    names = ("VAULT_ENGINE", "LOSS_WATERFALL", "PRICE_FEED", "EQUITY")
    assert [priced.read(f"MintAuction.{name}") for name in names] == wiring(priced)
    assert priced.read("MintAuction.SOURCE") == NOBODY
    assert [priced.read(f"MintAuction.{name}") for name in ("FLOOR", "BUF", "DURATION")] == [
        8_000,
        24_000,
        36_000,
    ]


@pytest.mark.parametrize("sale", [(1_000, 10_000, 600), (10_000, 60_000, WEEK)])
def test_bounds_are_met(priced, sale):
    priced.lockstep.create_contract("EquityAuction", "Other", *wiring(priced), NOBODY, *sale)


@pytest.mark.parametrize(
    ("sale", "reason"),
    [
        ((999, 10_000, 600), "equity_auction: floor bounds"),
        ((10_001, 10_000, 600), "equity_auction: floor bounds"),
        ((1_000, 9_999, 600), "equity_auction: buf bounds"),
        ((1_000, 60_001, 600), "equity_auction: buf bounds"),
        ((1_000, 10_000, 599), "equity_auction: duration bounds"),
        ((1_000, 10_000, WEEK + 1), "equity_auction: duration bounds"),
    ],
)
def test_out_of_bounds(priced, sale, reason):
    check_contract_creation_refused(priced, "EquityAuction", *wiring(priced), NOBODY, *sale, reason=reason)
