"""set_fee_curve: fees by utilisation; with a speed the rate at the kink moves."""

import pytest

from backstop.model.arithmetic import RAY
from tests.support.auction_steps import WBTC, WETH, get_only_event_values
from tests.support.guard_steps import CAUTION
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.vault_size_margin_and_call_steps import (
    DAY,
    NONE,
    YEAR,
    compute_ray_per_second,
    draw_debt,
    set_mode_as_circuit_breaker,
)

CURVE = (100, 300, 5_000, 9_000)


def set_curve(protocol, curve=CURVE, line=10_000, speed=0, sender="admin"):
    protocol.do("RiskPolicy.set_fee_curve", WETH, curve, line, speed, sender=sender)


@pytest.mark.parametrize("sender", ["stranger", "guardian", "borrower"])
def test_the_admin_alone(guarded, sender):
    with reverts("roles: not admin"):
        set_curve(guarded, sender=sender)


@pytest.mark.parametrize("curve", [(1, 0, 10_000, 1), (0, 1, 10_000, 1), (5_000, 5_001, 0, 1)])
def test_all_rates_together_are_bounded(guarded, curve):
    with reverts("risk_policy: curve bounds"):
        set_curve(guarded, curve)


@pytest.mark.parametrize("curve", [(2**256 - 1, 1, 0, 1), (0, 2**256 - 1, 1, 1)])
def test_their_sum_does_not_overflow(guarded, curve):
    with reverts(""):
        set_curve(guarded, curve)


@pytest.mark.parametrize("kink", [10_000, 2**256 - 1])
def test_the_kink_is_below_full_utilisation(guarded, kink):
    with reverts("risk_policy: kink bounds"):
        set_curve(guarded, (1, 2, 3, kink))


@pytest.mark.parametrize("line", [0, 10**9 + 1, 2**256 - 1])
def test_the_line_is_bounded(guarded, line):
    with reverts("risk_policy: line bounds"):
        set_curve(guarded, line=line)


@pytest.mark.parametrize("speed", [1_001, 2**256 - 1])
def test_the_speed_is_bounded(guarded, speed):
    with reverts("risk_policy: speed bounds"):
        set_curve(guarded, speed=speed)


def test_a_rate_that_moves_needs_a_base(guarded):
    """It moves by shares of itself: from nothing it would never move."""
    with reverts("risk_policy: no base to move"):
        set_curve(guarded, (0, 300, 0, 9_000), speed=1)
    set_curve(guarded, (0, 300, 0, 9_000), speed=0)


@pytest.mark.parametrize(
    ("curve", "line", "speed"),
    [
        ((10_000, 0, 0, 9_999), 10**9, 1_000),
        ((1, 9_999, 0, 1), 1, 1),
        ((0, 0, 10_000, 9_999), 10**9, 0),
        ((0, 0, 0, 0), 1, 0),
    ],
)
def test_takes_what_fits_and_logs_it(guarded, curve, line, speed):
    set_curve(guarded, curve, line, speed)
    assert get_only_event_values(guarded, "FeeCurveSet", "RiskPolicy") == (WETH, curve, line, speed)
    assert guarded.read("RiskPolicy.terms_of", WETH).curve == curve
    flow = guarded.read("RiskPolicy.flow_of", WETH)
    assert flow == (0, 0, 0, guarded.timestamp, line, speed, compute_ray_per_second(curve[0]))
    assert guarded.read("RiskPolicy.flow_of", WBTC) == (0, 0, 0, 0, 0, 0, 0)


def test_changes_nothing_else(guarded):
    brackets = ((1, 2), (3, 4)), ((5, 6), (7, 8))
    guarded.do("RiskPolicy.set_brackets", WETH, *brackets, sender="admin")
    guarded.do("RiskPolicy.set_growth_cap", WETH, RAY, 1, sender="admin")
    set_mode_as_circuit_breaker(guarded, CAUTION)
    set_curve(guarded)
    assert guarded.read("RiskPolicy.terms_of", WETH) == (*brackets, CURVE, 1, CAUTION)
    set_curve(guarded, (0, 0, 0, 0))
    assert guarded.read("RiskPolicy.terms_of", WETH) == (*brackets, (0, 0, 0, 0), 1, CAUTION)
    assert guarded.read("RiskPolicy.terms_of", WBTC).of_vaults == NONE


def test_what_has_flowed_out_leaks_on(guarded):
    guarded.do("RiskPolicy.set_flow_limit", WETH, 10_000, DAY, sender="admin")
    guarded.borrow("borrower", "WETH", 20 * 10**18, 8_000 * 10**18)
    guarded.advance(DAY // 10)
    set_curve(guarded)
    assert guarded.read("RiskPolicy.flow_of", WETH)[:4] == (10_000, DAY, 7_000 * 10**6, guarded.timestamp)


def test_setting_it_again_starts_the_rate_at_the_base(guarded):
    set_curve(guarded, line=5_000, speed=50)
    guarded.borrow("borrower", "WETH", 20 * 10**18, 5_000 * 10**18)
    guarded.advance(YEAR // 50)
    guarded.post_price("WETH", 2_000 * RAY)
    draw_debt(guarded, "borrower", 1)
    assert guarded.read("RiskPolicy.flow_of", WETH).rate_at_kink > compute_ray_per_second(100)
    set_curve(guarded, line=5_000, speed=50)
    assert guarded.read("RiskPolicy.flow_of", WETH).rate_at_kink == compute_ray_per_second(100)
