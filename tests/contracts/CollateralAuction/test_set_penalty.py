"""set_penalty: the surcharge that an auction raises, basis points of the principal."""

import pytest

from tests.support.auction_steps import WETH, start_auction
from tests.support.revert_setter_and_source_helpers import reverts

LOWEST, HIGHEST = 10_000, 20_000


def test_bounds(protocol):
    protocol.do("VaultEngine.set_ratios", WETH, HIGHEST + 1, HIGHEST + 1, sender="admin")
    for refused in (LOWEST - 1, HIGHEST + 1, 2**256 - 1, 0):
        with reverts("collateral_auction: bad penalty"):
            protocol.do("CollateralAuction.set_penalty", WETH, refused, sender="admin")
    for accepted in (LOWEST, HIGHEST):
        before = protocol.read("CollateralAuction.terms_of", WETH)
        protocol.do("CollateralAuction.set_penalty", WETH, accepted, sender="admin")
        assert protocol.last.logs[0].values == (WETH, "penalty", accepted)
        after = protocol.read("CollateralAuction.terms_of", WETH)
        same = {"minimum": before.minimum, "version": before.version}
        assert after._replace(penalty=before.penalty, **same) == before
        assert after.penalty == accepted


@pytest.mark.parametrize("sender", ["stranger", "guardian"])
def test_is_for_the_admin(protocol, sender):
    with reverts("roles: not admin"):
        protocol.do("CollateralAuction.set_penalty", WETH, LOWEST, sender=sender)


def test_needs_terms(protocol):
    with reverts("collateral_auction: no terms"):
        protocol.do("CollateralAuction.set_penalty", 31, LOWEST, sender="admin")


def test_it_stays_under_the_liquidation_ratio(protocol):
    for refused in (14_500, 14_501):
        with reverts("collateral_auction: high penalty"):
            protocol.do("CollateralAuction.set_penalty", WETH, refused, sender="admin")
    protocol.do("CollateralAuction.set_penalty", WETH, 14_499, sender="admin")


def test_without_a_penalty_any_ratio_will_do(protocol):
    protocol.do("CollateralAuction.set_penalty", WETH, LOWEST, sender="admin")
    protocol.do("VaultEngine.set_ratios", WETH, LOWEST, LOWEST, sender="admin")
    protocol.do("CollateralAuction.set_penalty", WETH, LOWEST, sender="admin")


@pytest.mark.parametrize(("penalty", "minimum"), [(10_000, 2_000), (10_001, 2_001), (14_000, 2_800)])
def test_the_smallest_rest_of_a_target_follows(protocol, penalty, minimum):
    protocol.do("CollateralAuction.set_penalty", WETH, penalty, sender="admin")
    assert protocol.last.logs[1].values == (WETH, "minimum", minimum)
    assert protocol.read("CollateralAuction.terms_of", WETH).minimum == minimum


def test_the_least_remainder_is_rounded_up_as_well(protocol):
    protocol.do("VaultEngine.set_debt_floor", WETH, 1, sender="admin")
    protocol.do("CollateralAuction.set_penalty", WETH, 10_001, sender="admin")
    assert protocol.read("CollateralAuction.terms_of", WETH).minimum == 2


def test_auctions_under_way_keep_theirs(protocol):
    id = start_auction(protocol)
    before = protocol.read("CollateralAuction.auction_of", id)
    protocol.do("CollateralAuction.set_penalty", WETH, 10_000, sender="admin")
    assert protocol.read("CollateralAuction.auction_of", id) == before
