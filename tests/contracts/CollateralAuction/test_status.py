"""status: whether a reset is due, the price, the lot and the target, on each curve to the last digit."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.auction_steps import WETH, start_auction, take_collateral
from tests.support.revert_setter_and_source_helpers import reverts

TOP = 1_800 * RAY


def set_curve(protocol, curve, period, cut, tail=86_400, cusp=1):
    protocol.do("CollateralAuction.set_curve", WETH, curve, period, cut, tail, cusp, sender="admin")


def prices(protocol, id, times):
    found, passed = [], 0
    for time in times:
        protocol.advance(time - passed)
        passed = time
        found.append(protocol.read("CollateralAuction.status", id)[1])
    return found


def power(cut, n):
    """cut**n in ray by squaring, each product rounded half up."""
    result = RAY
    while n:
        if n & 1:
            result = (result * cut + RAY // 2) // RAY
        cut = (cut * cut + RAY // 2) // RAY
        n >>= 1
    return result


def test_of_an_unknown_auction(protocol):
    with reverts("collateral_auction: no auction"):
        protocol.read("CollateralAuction.status", 1)


def test_lot_and_target_follow_the_takes(funded, auction):
    target = funded.read("CollateralAuction.status", auction)[3]
    take_collateral(funded, auction, WAD)
    assert funded.read("CollateralAuction.status", auction)[2:] == (9 * WAD, target - 1_800 * WAD * RAY)


def test_linear(protocol):
    set_curve(protocol, 0, 7_000, RAY // 2)
    id = start_auction(protocol)
    times = [0, 1, 2_333, 6_999, 7_000, 7_001, 50_000]
    expected = [TOP * (max(0, 7_000 - t) * RAY // 7_000) // RAY for t in times]
    assert prices(protocol, id, times) == expected
    assert expected[-3:] == [0, 0, 0]


def test_stairstep(protocol):
    cut = 987_654_321 * 10**18
    set_curve(protocol, 1, 77, cut)
    id = start_auction(protocol)
    times = [0, 76, 77, 153, 154, 77 * 1_000, 77 * 1_001]
    assert prices(protocol, id, times) == [TOP * power(cut, t // 77) // RAY for t in times]


def test_exponential(protocol):
    cut = 999_888_336_665_764_108_012_000_000
    set_curve(protocol, 2, 1, cut)
    id = start_auction(protocol)
    times = [0, 1, 2, 3, 599, 4_000, 86_399]
    assert prices(protocol, id, times) == [TOP * power(cut, t) // RAY for t in times]


@pytest.mark.parametrize("curve", [0, 1, 2])
def test_a_reset_is_due_after_the_tail(protocol, curve):
    set_curve(protocol, curve, 86_400, RAY - 1, tail=600)
    id = start_auction(protocol)
    protocol.advance(600)
    assert not protocol.read("CollateralAuction.status", id)[0]
    protocol.advance(1)
    assert protocol.read("CollateralAuction.status", id)[0]


def test_a_reset_is_due_under_the_cusp(protocol):
    """At exactly the cusp it is not."""
    set_curve(protocol, 0, 1_000, RAY // 2, cusp=4_000)
    id = start_auction(protocol)
    protocol.advance(600)
    assert protocol.read("CollateralAuction.status", id)[:2] == (False, 720 * RAY)
    protocol.advance(1)
    assert protocol.read("CollateralAuction.status", id)[0]


@pytest.mark.parametrize("curve", [0, 1, 2])
def test_after_a_year_nothing_breaks(protocol, curve):
    set_curve(protocol, curve, 1, RAY - 1)
    id = start_auction(protocol)
    protocol.advance(365 * 86_400)
    assert protocol.read("CollateralAuction.status", id)[0]
