"""set_curve: how a price falls, and when that has gone far enough; for auctions that start later."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.auction_steps import WETH, XAU, start_auction, take_collateral
from tests.support.revert_setter_and_source_helpers import reverts

MONTH = 30 * 86_400
CURVE = (1, 90, 99 * RAY // 100, 8_400, 4_000)
NAMES = ("curve", "period", "cut", "tail", "cusp")
BOUNDS = [(0, 2), (1, MONTH), (RAY // 2, RAY - 1), (60, MONTH), (1, 10_000)]


def set_curve(protocol, *curve, c=WETH, sender="admin"):
    protocol.do("CollateralAuction.set_curve", c, *curve, sender=sender)


def price_after(steps):
    """Of a top of 1,800, by the curve of every type at first."""
    factor = RAY
    for _ in range(steps):
        factor = factor * 99 // 100
    return 1_800 * factor


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
    assert after[5:] == (*before[5:-1], before.version + 1)
    assert protocol.read("CollateralAuction.terms_of", XAU).curve == 0


@pytest.mark.parametrize("sender", ["stranger", "guardian"])
def test_is_for_the_admin(protocol, sender):
    with reverts("roles: not admin"):
        set_curve(protocol, *CURVE, sender=sender)


def test_an_auction_keeps_the_terms_that_it_began_with(protocol):
    """Through a reset too: only the level of the stop acts on running auctions."""
    protocol.give_stablecoin("taker", 40_000 * WAD)
    old = start_auction(protocol)
    protocol.do("VaultEngine.set_debt_floor", WETH, 9, sender="admin")
    set_curve(protocol, 2, 1, RAY // 2, 60, 5_000)
    protocol.do("CollateralAuction.set_buf", WETH, 20_000, sender="admin")
    protocol.advance(900)
    assert protocol.read("CollateralAuction.status", old)[:2] == (False, price_after(10))
    protocol.advance(CURVE[3])
    protocol.post_price("WETH", 1_500 * RAY)
    protocol.do("CollateralAuction.reset", old, "keeper", sender="keeper")
    assert protocol.read("CollateralAuction.auction_of", old).top == 1_800 * RAY
    protocol.advance(900)
    assert protocol.read("CollateralAuction.status", old)[:2] == (False, price_after(10))
    take_collateral(protocol, old, WAD)
    assert protocol.read("WETH.balanceOf", "taker") == WAD


def test_terms_change_so_often_and_no_more(new_protocol):
    """Each change keeps the terms before, under a number that a lot has room for."""
    protocol = new_protocol(check_every=0)
    for version in range(protocol.read("CollateralAuction.terms_of", WETH).version, 511):
        protocol.do("CollateralAuction.set_buf", WETH, 10_000 + version, sender="admin")
    with reverts("collateral_auction: no versions"):
        protocol.do("CollateralAuction.set_buf", WETH, 12_000, sender="admin")


def test_needs_terms(protocol):
    with reverts("collateral_auction: no terms"):
        set_curve(protocol, *CURVE, c=31)
