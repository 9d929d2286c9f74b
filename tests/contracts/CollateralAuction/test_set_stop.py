"""set_stop: 1 stops starts, 2 resets as well; takes and closes go on. Guardians only tighten."""

import pytest

from tests.support.auctions import WBTC, WETH
from tests.support.helpers import reverts


def set_stop(protocol, level, sender, c=WETH):
    protocol.do("CollateralAuction.set_stop", c, level, sender=sender)


def test_the_admin_sets_any(protocol):
    before = protocol.read("CollateralAuction.terms_of", WETH)
    for level in (2, 1, 1, 0):
        set_stop(protocol, level, "admin")
        assert protocol.last.logs[0].values == (WETH, "stop", level)
        assert protocol.read("CollateralAuction.terms_of", WETH) == before._replace(stop=level)


def test_a_guardian_raises(protocol):
    set_stop(protocol, 1, "guardian")
    set_stop(protocol, 2, "guardian")
    assert protocol.read("CollateralAuction.terms_of", WETH).stop == 2
    assert protocol.read("CollateralAuction.terms_of", WBTC).stop == 0


@pytest.mark.parametrize("level", [0, 1])
def test_a_guardian_never_lowers(protocol, level):
    set_stop(protocol, 1, "guardian")
    with reverts("collateral_auction: only raise"):
        set_stop(protocol, level, "guardian")


@pytest.mark.parametrize("sender", ["stranger", "liquidator"])
def test_nobody_else(protocol, sender):
    with reverts("roles: missing role"):
        set_stop(protocol, 2, sender)


@pytest.mark.parametrize("sender", ["admin", "guardian"])
@pytest.mark.parametrize("level", [3, 2**256 - 1])
def test_bounds(protocol, sender, level):
    with reverts("collateral_auction: bad stop"):
        set_stop(protocol, level, sender)


def test_needs_terms(protocol):
    with reverts("collateral_auction: no terms"):
        set_stop(protocol, 1, "admin", c=31)
