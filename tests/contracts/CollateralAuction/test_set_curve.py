"""set_curve: how a price falls, and when that has gone far enough."""

import pytest

from backstop.model.arithmetic import RAY
from tests.support.auctions import WETH, XAU
from tests.support.helpers import reverts

MONTH = 30 * 86_400
CURVE = (1, 90, 99 * RAY // 100, 8_400, 4_000)
NAMES = ("curve", "period", "cut", "tail", "cusp")
BOUNDS = [(0, 2), (1, MONTH), (RAY // 2, RAY - 1), (60, MONTH), (1, 10_000)]


def set_curve(protocol, *curve, c=WETH, sender="admin"):
    protocol.do("CollateralAuction.set_curve", c, *curve, sender=sender)


def changed(field, value):
    return (*CURVE[:field], value, *CURVE[field + 1 :])


@pytest.mark.parametrize("field", range(5), ids=NAMES)
def test_bounds(protocol, field):
    lowest, highest = BOUNDS[field]
    for refused in {highest + 1, 2**256 - 1, lowest - 1} - {-1}:
        with reverts(f"collateral_auction: bad {NAMES[field]}"):
            set_curve(protocol, *changed(field, refused))
    for accepted in (lowest, highest):
        set_curve(protocol, *changed(field, accepted))
        assert protocol.read("CollateralAuction.terms_of", WETH)[field] == accepted
        assert [log.values for log in protocol.last.logs] == [
            (WETH, name, value) for name, value in zip(NAMES, changed(field, accepted), strict=True)
        ]


def test_changes_nothing_else(protocol):
    before = protocol.read("CollateralAuction.terms_of", WETH)
    set_curve(protocol, 2, 1, 999 * RAY // 1_000, 6_000, 5_000)
    after = protocol.read("CollateralAuction.terms_of", WETH)
    assert after[:5] == (2, 1, 999 * RAY // 1_000, 6_000, 5_000)
    assert after[5:] == before[5:]
    assert protocol.read("CollateralAuction.terms_of", XAU).curve == 0


@pytest.mark.parametrize("sender", ["stranger", "guardian"])
def test_is_for_the_admin(protocol, sender):
    with reverts("roles: not admin"):
        set_curve(protocol, *CURVE, sender=sender)


def test_needs_terms(protocol):
    with reverts("collateral_auction: no terms"):
        set_curve(protocol, *CURVE, c=31)
