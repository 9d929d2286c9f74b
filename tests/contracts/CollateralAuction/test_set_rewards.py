"""set_rewards: the rewards for liquidating a vault and for resetting an auction."""

import pytest

from tests.support.auction_steps import WETH
from tests.support.revert_setter_and_source_helpers import reverts


@pytest.mark.parametrize(("tip", "chip"), [(0, 0), (10_000, 1_000)])
def test_at_the_bounds(protocol, tip, chip):
    before = protocol.read("CollateralAuction.terms_of", WETH)
    protocol.do("CollateralAuction.set_rewards", WETH, tip, chip, sender="admin")
    assert [log.values for log in protocol.last.logs] == [(WETH, "tip", tip), (WETH, "chip", chip)]
    assert protocol.read("CollateralAuction.terms_of", WETH) == before._replace(
        tip=tip, chip=chip, version=before.version + 1
    )


@pytest.mark.parametrize(
    ("tip", "chip", "reason"),
    [
        (10_001, 0, "collateral_auction: bad tip"),
        (2**256 - 1, 0, "collateral_auction: bad tip"),
        (0, 1_001, "collateral_auction: bad chip"),
        (0, 2**256 - 1, "collateral_auction: bad chip"),
    ],
)
def test_out_of_bounds(protocol, tip, chip, reason):
    with reverts(reason):
        protocol.do("CollateralAuction.set_rewards", WETH, tip, chip, sender="admin")


@pytest.mark.parametrize("sender", ["stranger", "guardian"])
def test_is_for_the_admin(protocol, sender):
    with reverts("roles: not admin"):
        protocol.do("CollateralAuction.set_rewards", WETH, 0, 0, sender=sender)


def test_needs_terms(protocol):
    with reverts("collateral_auction: no terms"):
        protocol.do("CollateralAuction.set_rewards", 31, 0, 0, sender="admin")
