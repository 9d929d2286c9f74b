"""The constructor: where it belongs, and the bounds of a sale."""

import pytest

from tests.support.revert_setter_and_source_helpers import check_contract_creation_refused

WEEK = 7 * 86_400


def wiring(protocol):
    return [protocol.address(name) for name in ("Treasury", "PriceFeed", "Equity")]


def test_belongs_to_its_deployment(offering):
    assert [offering.read(f"SurplusAuction.{n}") for n in ("TREASURY", "PRICE_FEED", "EQUITY")] == wiring(
        offering
    )
    sale = [offering.read(f"SurplusAuction.{name}") for name in ("LOT", "FLOOR", "BUF", "DURATION")]
    assert sale == [500, 8_000, 24_000, 36_000]


@pytest.mark.parametrize("sale", [(1, 1_000, 10_000, 600), (10**9, 10_000, 60_000, WEEK)])
def test_bounds_are_met(offering, sale):
    offering.lockstep.create_contract("SurplusAuction", "Other", *wiring(offering), *sale)


@pytest.mark.parametrize(
    ("sale", "reason"),
    [
        ((0, 1_000, 10_000, 600), "surplus_auction: lot bounds"),
        ((10**9 + 1, 1_000, 10_000, 600), "surplus_auction: lot bounds"),
        ((1, 999, 10_000, 600), "surplus_auction: floor bounds"),
        ((1, 10_001, 10_000, 600), "surplus_auction: floor bounds"),
        ((1, 1_000, 9_999, 600), "surplus_auction: buf bounds"),
        ((1, 1_000, 60_001, 600), "surplus_auction: buf bounds"),
        ((1, 1_000, 10_000, 599), "surplus_auction: duration bounds"),
        ((1, 1_000, 10_000, WEEK + 1), "surplus_auction: duration bounds"),
    ],
)
def test_out_of_bounds(offering, sale, reason):
    check_contract_creation_refused(offering, "SurplusAuction", *wiring(offering), *sale, reason=reason)
