"""set_stop: 1 stops starts, 2 resets as well; takes and closes go on. The admin's alone."""

import pytest

from tests.support.auction_steps import WBTC, WETH
from tests.support.revert_setter_and_source_helpers import GUARDIAN, reverts


def set_stop(protocol, level, sender, c=WETH):
    protocol.do("CollateralAuction.set_stop", c, level, sender=sender)


def test_the_admin_sets_any(protocol):
    before = protocol.read("CollateralAuction.terms_of", WETH)
    for level in (2, 1, 1, 0):
        set_stop(protocol, level, "admin")
        assert protocol.last.logs[0].values == (WETH, "stop", level)
        assert protocol.read("CollateralAuction.terms_of", WETH) == before._replace(stop=level)
    assert protocol.read("CollateralAuction.terms_of", WBTC).stop == 0


@pytest.mark.parametrize("sender", ["stranger", "liquidator", "guardian"])
def test_nobody_else(protocol, sender):
    """A guardian least of all: it could stop liquidations without an end."""
    protocol.do("CollateralAuction.grant_role", GUARDIAN, "guardian", sender="admin")
    with reverts("roles: not admin"):
        set_stop(protocol, 2, sender)


@pytest.mark.parametrize("level", [3, 2**256 - 1])
def test_bounds(protocol, level):
    with reverts("collateral_auction: bad stop"):
        set_stop(protocol, level, "admin")


def test_needs_terms(protocol):
    with reverts("collateral_auction: no terms"):
        set_stop(protocol, 1, "admin", c=31)
