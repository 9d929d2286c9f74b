"""fee_at: the curve, point by point, against exact fractions; it never reverts and never falls."""

from fractions import Fraction

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from backstop.model import bounds
from backstop.model.arithmetic import RAD
from tests.support.auction_steps import WETH
from tests.support.vault_size_margin_and_call_steps import compute_ray_per_second

MAX_FEE = compute_ray_per_second(10_000)
"""The highest fee that a policy may set: 100% a year."""
parts = st.integers(0, 10_000)
curves = st.tuples(parts, parts, parts, st.integers(1, 9_999))
debts = st.one_of(st.integers(0, 2**181 - 1), st.integers(0, 2 * 10**9).map(lambda coins: coins * RAD))
lines = st.one_of(st.integers(1, 10**9), st.just(10**9), st.just(1))
# One deployment for all examples: each sets the curve anew.
many = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def set_curve(protocol, curve, line, speed=0):
    protocol.do("RiskPolicy.set_fee_curve", WETH, curve, line, speed, sender="admin")


def fee(protocol, performing):
    return protocol.read("RiskPolicy.fee_at", WETH, performing)


@pytest.mark.parametrize(
    ("used", "points"),
    [(0, 100), (4_500, 250), (9_000, 400), (9_500, 2_900), (10_000, 5_400), (20_000, 5_400)],
)
def test_without_debt_at_the_kink_and_at_full_use(guarded, used, points):
    set_curve(guarded, (100, 300, 5_000, 9_000), 10_000)
    assert fee(guarded, used * RAD) == compute_ray_per_second(points)


@pytest.mark.parametrize(("used", "quarters"), [(0, 1), (4_500, Fraction(5, 2)), (9_000, 4), (10_000, 16)])
def test_with_a_speed_from_a_quarter_to_four_times(guarded, used, quarters):
    set_curve(guarded, (400, 0, 0, 9_000), 10_000, speed=50)
    exact = Fraction(compute_ray_per_second(400)) * quarters / 4
    assert 0 <= fee(guarded, used * RAD) - exact < 1


def test_the_highest_curve_is_at_the_highest_fee(guarded):
    for curve, speed in (((9_999, 1, 0, 1), 1), ((0, 0, 10_000, 9_999), 0)):
        set_curve(guarded, curve, 1, speed)
        assert fee(guarded, RAD) == MAX_FEE == bounds.MAX_POLICY_FEE


def test_without_a_curve_there_is_none(guarded):
    set_curve(guarded, (100, 300, 5_000, 0), 10_000, speed=50)
    assert fee(guarded, 10_000 * RAD) == 0


@many
@given(curve=curves, line=lines, performing=debts)
def test_is_the_exact_curve_rounded_up(guarded, curve, line, performing):
    assume(sum(curve[:3]) <= 10_000)
    set_curve(guarded, curve, line)
    base, slope_1, slope_2, kink = curve
    used, kink = min(Fraction(1), Fraction(performing, line * RAD)), Fraction(kink, 10_000)
    exact = base + slope_1 * min(used, kink) / kink + slope_2 * max(Fraction(0), used - kink) / (1 - kink)
    # Utilisation is counted in wad, and each share is floored before the fee is rounded up.
    loss = Fraction(slope_1 / kink + slope_2 / (1 - kink) + 2, 10**18)
    assert (
        compute_ray_per_second(max(Fraction(0), exact - loss))
        <= fee(guarded, performing)
        <= compute_ray_per_second(exact)
    )


@many
@given(curve=curves, line=lines, speed=st.sampled_from((0, 1, 50, 1_000)), pair=st.tuples(debts, debts))
def test_never_falls_as_debt_grows_and_never_reverts(guarded, curve, line, speed, pair):
    assume(sum(curve[:3]) <= 10_000 and (curve[0] or not speed))
    set_curve(guarded, curve, line, speed)
    lower, higher = sorted(pair)
    assert 0 <= fee(guarded, lower) <= fee(guarded, higher) <= MAX_FEE
