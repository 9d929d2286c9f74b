"""set_ratios: liquidation and initial ratio, basis points, the second never under the first."""

import pytest

from tests.support.revert_setter_and_source_helpers import reverts


def test_changes_both(protocol):
    protocol.do("VaultEngine.set_ratios", 0, 15_000, 16_000, sender="admin")
    assert tuple(protocol.read("VaultEngine.terms_of", 0)[3:5]) == (15_000, 16_000)


def test_is_for_the_admin_and_known_types(protocol):
    with reverts("roles: not admin"):
        protocol.do("VaultEngine.set_ratios", 0, 15_000, 16_000, sender="guardian")
    with reverts("terms: unknown type"):
        protocol.do("VaultEngine.set_ratios", 31, 15_000, 16_000, sender="admin")


@pytest.mark.parametrize(
    ("liquidation_ratio", "initial_ratio"), [(9_999, 17_000), (15_000, 14_999), (15_000, 60_001)]
)
def test_is_bounded(protocol, liquidation_ratio, initial_ratio):
    with reverts("terms: ratio bounds"):
        protocol.do("VaultEngine.set_ratios", 0, liquidation_ratio, initial_ratio, sender="admin")


def test_the_liquidation_ratio_stays_above_the_penalty(protocol):
    with reverts("collateral_auction: high penalty"):
        protocol.do("VaultEngine.set_ratios", 0, 11_300, 15_000, sender="admin")
    protocol.do("VaultEngine.set_ratios", 0, 11_301, 15_000, sender="admin")


def test_the_bounds_themselves_are_allowed(protocol):
    protocol.do("CollateralAuction.set_penalty", 0, 10_000, sender="admin")
    protocol.do("VaultEngine.set_ratios", 0, 10_000, 60_000, sender="admin")
    protocol.do("VaultEngine.set_ratios", 0, 10_000, 10_000, sender="admin")
