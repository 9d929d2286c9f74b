"""reprice: the fee after debt is gone, and how the rate at the kink moves: with time alone."""

from fractions import Fraction

import pytest

from backstop.model import bounds
from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.auction_steps import WETH, liquidate_vault
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.vault_size_margin_and_call_steps import (
    DAY,
    YEAR,
    compute_ray_per_second,
    draw_debt,
    repay_debt,
)

LEAST, MOST = compute_ray_per_second(100), compute_ray_per_second(1_100)
SPEED = 50


@pytest.mark.parametrize("sender", ["stranger", "admin", "guardian", "borrower"])
def test_the_vault_engine_alone(guarded, sender):
    with reverts("risk_policy: not vault engine"):
        guarded.do("RiskPolicy.reprice", WETH, 0, 0, sender=sender)


def fee(protocol):
    return protocol.read("VaultEngine.stability_fee_of", WETH)


def rate_at_kink(protocol):
    return protocol.read("RiskPolicy.flow_of", WETH).rate_at_kink


def set_curve(protocol, curve, speed):
    protocol.do("RiskPolicy.set_fee_curve", WETH, curve, 10_000, speed, sender="admin")
    protocol.do("VaultEngine.set_fee_dynamic", WETH, True, sender="admin")
    protocol.borrow("borrower", "WETH", 100 * WAD, 0)


@pytest.fixture
def curved(guarded):
    """1% without debt, 4% at 90% of 10,000, 54% at all of it."""
    set_curve(guarded, (100, 300, 5_000, 9_000), 0)
    return guarded


@pytest.fixture
def adaptive(guarded):
    """Between 1% and 11% at 90% of 10,000, 50 times a year."""
    set_curve(guarded, (100, 1_000, 0, 9_000), SPEED)
    return guarded


def test_the_fee_follows_a_repayment(curved):
    """A repayment takes back a draw's increase at once."""
    draw_debt(curved, "borrower", 10_000 * WAD)
    assert fee(curved) == compute_ray_per_second(100) + bounds.FEE_MOVE
    for repaid, points in ((1_000, 400), (4_500, 250), (4_500, 100)):
        repay_debt(curved, "borrower", repaid * WAD)
        assert fee(curved) == compute_ray_per_second(points)


def test_and_a_liquidation(curved):
    draw_debt(curved, "borrower", 10_000 * WAD)
    repay_debt(curved, "borrower", 0, 92 * WAD)
    curved.post_price("WETH", 1_500 * RAY)
    liquidate_vault(curved)
    assert fee(curved) == compute_ray_per_second(100)


def test_a_part_that_leaves_moves_both_at_once(curved):
    draw_debt(curved, "borrower", 10_000 * WAD)
    repay_debt(curved, "borrower", 1_000 * WAD, WAD)
    assert fee(curved) == compute_ray_per_second(400)


def test_topping_up_moves_nothing(curved):
    draw_debt(curved, "borrower", 9_000 * WAD)
    curved.mint_and_approve_collateral("WETH", "borrower", WAD)
    draw_debt(curved, "borrower", 0, WAD)
    assert fee(curved) == compute_ray_per_second(400)


def moved(before, seconds, performing):
    """The rate at the kink after some time at a performing debt, ray a second, each way rounded down."""
    used, kink = min(Fraction(performing * WAD // (10_000 * RAD), WAD), Fraction(1)), Fraction(9, 10)
    error = (used - kink) / (1 - kink) if used > kink else (used - kink) / kink
    by = before * SPEED * min(seconds, YEAR) * abs(error) / YEAR
    if error > 0:
        return min(before + by.numerator // by.denominator, MOST)
    return max(before - by.numerator // by.denominator, LEAST)


@pytest.mark.parametrize("performing", [9_500, 10_000, 20_000])
def test_above_the_kink_it_rises_with_time(adaptive, performing):
    draw_debt(adaptive, "borrower", performing * WAD)
    assert rate_at_kink(adaptive) == LEAST
    adaptive.advance(3 * DAY)
    owed = adaptive.do("VaultEngine.accrue", WETH, sender="stranger") * performing * WAD
    repay_debt(adaptive, "borrower", WAD)
    assert rate_at_kink(adaptive) == moved(LEAST, 3 * DAY, owed) > LEAST


def test_it_ends_at_its_bounds(adaptive):
    draw_debt(adaptive, "borrower", 10_000 * WAD)
    adaptive.advance(YEAR // 4)
    repay_debt(adaptive, "borrower", WAD)
    assert rate_at_kink(adaptive) == MOST
    repay_debt(adaptive, "borrower", 8_000 * WAD)
    adaptive.advance(2 * YEAR)
    repay_debt(adaptive, "borrower", WAD)
    assert rate_at_kink(adaptive) == LEAST


def test_below_the_kink_it_falls_with_time(adaptive):
    draw_debt(adaptive, "borrower", 10_000 * WAD)
    adaptive.advance(YEAR // 10)
    repay_debt(adaptive, "borrower", 7_500 * WAD)
    high = rate_at_kink(adaptive)
    assert high > LEAST
    adaptive.advance(DAY)
    vault = adaptive.read("VaultEngine.vault", WETH, "borrower")
    owed = adaptive.do("VaultEngine.accrue", WETH, sender="stranger") * vault.normalized_debt
    repay_debt(adaptive, "borrower", WAD)
    assert rate_at_kink(adaptive) == moved(high, DAY, owed) < high


def test_nothing_within_a_second_moves_it(adaptive):
    """Draw everything and repay it: the fee and the rate end as they were, and the time before counted."""
    draw_debt(adaptive, "borrower", 9_500 * WAD)
    adaptive.advance(DAY)
    adaptive.post_price("WETH", 2_000 * RAY)
    repay_debt(adaptive, "borrower", WAD)
    before, charged = rate_at_kink(adaptive), fee(adaptive)
    for _ in range(3):
        draw_debt(adaptive, "borrower", 50_000 * WAD)
        assert rate_at_kink(adaptive) == before
        assert fee(adaptive) > charged
        repay_debt(adaptive, "borrower", 50_000 * WAD)
        assert rate_at_kink(adaptive) == before
    # A repayment takes off a debt that is rounded down.
    assert fee(adaptive) - charged in (0, 1)


def test_what_flowed_out_leaks_on_beside_it(adaptive):
    adaptive.do("RiskPolicy.set_flow_limit", WETH, 10_000, DAY, sender="admin")
    draw_debt(adaptive, "borrower", 10_000 * WAD)
    adaptive.advance(DAY // 10)
    repay_debt(adaptive, "borrower", WAD)
    flow = adaptive.read("RiskPolicy.flow_of", WETH)
    assert (flow.used, flow.updated) == (9_000 * 10**6, adaptive.timestamp)
