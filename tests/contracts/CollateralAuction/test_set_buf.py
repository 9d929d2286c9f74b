"""set_buf: the price an auction starts at, basis points of the market price."""

import pytest

from tests.support.auction_steps import WETH
from tests.support.revert_setter_and_source_helpers import reverts

LOWEST, HIGHEST = 10_000, 60_000


def test_bounds(protocol):
    for refused in (LOWEST - 1, HIGHEST + 1, 2**256 - 1, 0):
        with reverts("collateral_auction: bad buf"):
            protocol.do("CollateralAuction.set_buf", WETH, refused, sender="admin")
    for accepted in (LOWEST, HIGHEST):
        before = protocol.read("CollateralAuction.terms_of", WETH)
        protocol.do("CollateralAuction.set_buf", WETH, accepted, sender="admin")
        assert protocol.last.logs[0].values == (WETH, "buf", accepted)
        after = protocol.read("CollateralAuction.terms_of", WETH)
        assert after._replace(buf=before.buf, version=before.version) == before
        assert after.version == before.version + 1
        assert after.buf == accepted


@pytest.mark.parametrize("sender", ["stranger", "guardian"])
def test_is_for_the_admin(protocol, sender):
    with reverts("roles: not admin"):
        protocol.do("CollateralAuction.set_buf", WETH, LOWEST, sender=sender)


def test_needs_terms(protocol):
    with reverts("collateral_auction: no terms"):
        protocol.do("CollateralAuction.set_buf", 31, LOWEST, sender="admin")
