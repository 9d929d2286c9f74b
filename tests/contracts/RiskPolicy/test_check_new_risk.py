"""check_new_risk: the requirements for a draw, or for a withdrawal that leaves debt, to the wei."""

import pytest

from backstop.model import bounds
from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.auction_steps import WBTC, WETH, liquidate_vault
from tests.support.guard_steps import CAUTION, EMERGENCY, NORMAL
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.vault_size_margin_and_call_steps import (
    DAY,
    INITIAL,
    NONE,
    YEAR,
    compute_collateral,
    compute_ray_per_second,
    compute_size_margin,
    draw_debt,
    repay_debt,
    set_mode_as_circuit_breaker,
)

OF_VAULTS = ((10_000, 500), (50_000, 1_000))
OF_TYPE = ((100_000, 500), (150_000, 1_500))
COIN = 10**6
"""In millionths, as flows are counted."""


def set_brackets(protocol, of_vaults=NONE, of_type=NONE):
    protocol.do("RiskPolicy.set_brackets", WETH, of_vaults, of_type, sender="admin")


def check_to_the_wei(protocol, who, debt, required, price=2_000 * RAY):
    """Check that a vault needs the required amount to open, to the wei, and cannot withdraw a wei then."""
    collateral = compute_collateral(required, price)
    protocol.mint_and_approve_collateral("WETH", who, collateral)
    with reverts("risk_policy: unsafe"):
        draw_debt(protocol, who, debt, collateral - 1)
    draw_debt(protocol, who, debt, collateral)
    with reverts("risk_policy: unsafe"):
        repay_debt(protocol, who, 0, 1)


@pytest.mark.parametrize("sender", ["stranger", "admin", "guardian", "borrower"])
def test_the_vault_engine_alone(guarded, sender):
    risk = (WETH, 10**20, 0, 0, 0, 0, 0, 0, 0)
    with reverts("risk_policy: not vault engine"):
        guarded.do("RiskPolicy.check_new_risk", risk, sender=sender)


# -------------------------------------------------------------------- margin


def test_the_initial_ratio_alone_where_nothing_is_set(guarded):
    check_to_the_wei(guarded, "borrower", 12_345 * WAD, 12_345 * RAD * INITIAL)


@pytest.mark.parametrize(
    "debt",
    [
        10_000 * WAD - 1,
        10_000 * WAD,
        10_000 * WAD + 1,
        50_000 * WAD - 1,
        50_000 * WAD,
        50_000 * WAD + 1,
        500_000 * WAD,
    ],
)
def test_a_vaults_own_brackets(guarded, debt):
    set_brackets(guarded, OF_VAULTS)
    required = debt * RAY * INITIAL + compute_size_margin(OF_VAULTS, debt * RAY)
    assert guarded.read("RiskPolicy.required", WETH, debt * RAY, debt * RAY, INITIAL) == required
    check_to_the_wei(guarded, "borrower", debt, required)


@pytest.mark.parametrize("total", [100_000 * WAD, 100_000 * WAD + 1, 150_000 * WAD, 400_000 * WAD])
def test_the_types_brackets(guarded, total):
    """A small vault bears its share of the requirement on the type's debt; it is the last to come."""
    debt = 5_000 * WAD
    guarded.borrow("saver", "WETH", 10**6 * WAD, total - debt)
    set_brackets(guarded, of_type=OF_TYPE)
    required = guarded.read("RiskPolicy.required", WETH, debt * RAY, total * RAY, INITIAL)
    assert required >= debt * RAY * INITIAL + debt * compute_size_margin(OF_TYPE, total * RAY) // total
    check_to_the_wei(guarded, "borrower", debt, required)


def test_the_types_debt_is_what_performs_what_is_sold_and_what_is_lost(guarded):
    guarded.borrow("defaulter", "WETH", 100 * WAD, 120_000 * WAD)
    guarded.post_price("WETH", 1_500 * RAY)
    liquidate_vault(guarded, "defaulter")
    guarded.post_price("WETH", 2_000 * RAY)
    set_brackets(guarded, of_type=OF_TYPE)
    lost = guarded.read("VaultEngine.in_auction_of", WETH) + guarded.read("VaultEngine.deficit_of", WETH)
    assert lost > 120_000 * RAD
    debt = 5_000 * WAD
    required = guarded.read("RiskPolicy.required", WETH, debt * RAY, debt * RAY + lost, INITIAL)
    assert required > debt * RAY * INITIAL
    check_to_the_wei(guarded, "borrower", debt, required)


def test_one_types_debt_is_nothing_to_another(guarded):
    set_brackets(guarded, OF_VAULTS, OF_TYPE)
    guarded.borrow("borrower", "WBTC", 8 * WAD, 300_000 * WAD)


def test_brackets_that_are_set_later_bind_new_risk_only(guarded):
    guarded.borrow("borrower", "WETH", 75 * WAD, 100_000 * WAD)
    set_brackets(guarded, OF_VAULTS)
    with reverts("risk_policy: unsafe"):
        draw_debt(guarded, "borrower", 1)
    repay_debt(guarded, "borrower", 10_000 * WAD)
    guarded.mint_and_approve_collateral("WETH", "borrower", WAD)
    draw_debt(guarded, "borrower", 0, WAD)


# --------------------------------------------------------------------- price


def test_needs_a_fresh_price(guarded):
    guarded.borrow("borrower", "WETH", 100 * WAD, 10_000 * WAD)
    guarded.advance(14_401)
    for again in ("draw", "withdraw"):
        with reverts("risk_policy: no price"):
            draw_debt(guarded, "borrower", 1) if again == "draw" else repay_debt(guarded, "borrower", 0, 1)


def test_counts_at_the_lower_of_both_prices(guarded):
    guarded.post_next("WETH", 1_600 * RAY)
    check_to_the_wei(guarded, "borrower", 10_000 * WAD, 10_000 * RAD * INITIAL, 1_600 * RAY)


def test_counts_at_what_a_price_may_have_grown_to(guarded):
    guarded.do("RiskPolicy.set_growth_cap", WETH, 1_000 * RAY, 10_000, sender="admin")
    guarded.advance(YEAR // 4)
    guarded.post_price("WETH", 2_000 * RAY)
    price = guarded.read("RiskPolicy.risk_price", WETH)
    assert 1_250 * RAY <= price < 1_251 * RAY
    check_to_the_wei(guarded, "borrower", 10_000 * WAD, 10_000 * RAD * INITIAL, price)


# --------------------------------------------------------------------- modes


def test_caution_asks_for_more(guarded):
    guarded.do("RiskPolicy.set_effects", 1_234, 10_000, sender="admin")
    set_mode_as_circuit_breaker(guarded, CAUTION)
    check_to_the_wei(guarded, "borrower", 10_000 * WAD, 10_000 * RAD * (INITIAL + 1_234))
    set_mode_as_circuit_breaker(guarded, NORMAL)
    check_to_the_wei(guarded, "saver", 10_000 * WAD, 10_000 * RAD * INITIAL)


def test_an_emergency_takes_no_new_risk_and_stops_nothing_else(guarded):
    guarded.borrow("borrower", "WETH", 100 * WAD, 10_000 * WAD)
    set_mode_as_circuit_breaker(guarded, EMERGENCY)
    with reverts("risk_policy: emergency"):
        draw_debt(guarded, "borrower", 1)
    with reverts("risk_policy: emergency"):
        repay_debt(guarded, "borrower", 0, 1)
    repay_debt(guarded, "borrower", 5_000 * WAD)
    guarded.mint_and_approve_collateral("WETH", "borrower", WAD)
    draw_debt(guarded, "borrower", 0, WAD)
    repay_debt(guarded, "borrower", 5_000 * WAD, 101 * WAD)


# --------------------------------------------------------------------- flows


@pytest.fixture
def limited(guarded):
    """10,000 a day may flow out of WETH; the borrower has collateral for much more."""
    guarded.do("RiskPolicy.set_flow_limit", WETH, 10_000, DAY, sender="admin")
    guarded.borrow("borrower", "WETH", 100 * WAD, 0)
    return guarded


def used(protocol):
    return protocol.read("RiskPolicy.flow_of", WETH).used


def test_draws_flow_out_up_to_the_wei(limited):
    draw_debt(limited, "borrower", 4_000 * WAD)
    assert used(limited) == 4_000 * COIN
    with reverts("risk_policy: flows out too fast"):
        draw_debt(limited, "borrower", 6_000 * WAD + 1)
    draw_debt(limited, "borrower", 6_000 * WAD)
    assert used(limited) == 10_000 * COIN
    with reverts("risk_policy: flows out too fast"):
        draw_debt(limited, "borrower", 1)


def test_a_part_of_a_millionth_counts_as_one(limited):
    draw_debt(limited, "borrower", 4_000 * WAD + 1)
    assert used(limited) == 4_000 * COIN + 1
    draw_debt(limited, "borrower", 10**12 + 1)
    assert used(limited) == 4_000 * COIN + 3


def test_withdrawals_flow_out_at_the_price_of_new_risk(limited):
    draw_debt(limited, "borrower", 4_000 * WAD)
    limited.post_next("WETH", 1_500 * RAY)
    before = used(limited)
    repay_debt(limited, "borrower", 0, WAD + 1)
    assert used(limited) == before + 1_500 * COIN + 1
    left = (10_000 * COIN - used(limited)) * 10**12 // 1_500
    with reverts("risk_policy: flows out too fast"):
        repay_debt(limited, "borrower", 0, left + 1)
    repay_debt(limited, "borrower", 0, left)


def test_leaving_without_debt_is_not_limited(limited):
    draw_debt(limited, "borrower", 10_000 * WAD)
    repay_debt(limited, "borrower", 10_000 * WAD, 100 * WAD)
    assert used(limited) == 10_000 * COIN


def test_repaying_brings_nothing_back(limited):
    draw_debt(limited, "borrower", 10_000 * WAD)
    repay_debt(limited, "borrower", 5_000 * WAD)
    with reverts("risk_policy: flows out too fast"):
        draw_debt(limited, "borrower", 1)


@pytest.mark.parametrize("elapsed", [0, 1, 8_640, DAY - 1, DAY, 2 * DAY])
def test_leaks_in_a_straight_line_to_the_millionth(limited, elapsed):
    draw_debt(limited, "borrower", 10_000 * WAD)
    limited.advance(elapsed)
    leaked = 10_000 * COIN * elapsed // DAY
    assert used(limited) == max(0, 10_000 * COIN - leaked)
    if elapsed > 3_600:
        limited.post_price("WETH", 2_000 * RAY)
    room = 10_000 * COIN - used(limited)
    with reverts("risk_policy: flows out too fast"):
        draw_debt(limited, "borrower", room * 10**12 + 1)
    if room:
        draw_debt(limited, "borrower", room * 10**12)
        assert used(limited) == 10_000 * COIN


def test_each_type_has_its_own(limited):
    draw_debt(limited, "borrower", 10_000 * WAD)
    limited.borrow("borrower", "WBTC", WAD, 20_000 * WAD)
    assert limited.read("RiskPolicy.flow_of", WBTC).used == 0


# ---------------------------------------------------------------------- fees


@pytest.fixture
def curved(guarded):
    """1% without debt, 4% at 90% of 10,000, 54% at all of it."""
    curve = (100, 300, 5_000, 9_000)
    guarded.do("RiskPolicy.set_fee_curve", WETH, curve, 10_000, 0, sender="admin")
    guarded.do("VaultEngine.set_fee_dynamic", WETH, True, sender="admin")
    guarded.borrow("borrower", "WETH", 100 * WAD, 0)
    return guarded


def fee(protocol):
    return protocol.read("VaultEngine.stability_fee_of", WETH)


def test_the_fee_follows_each_draw(curved):
    """At once up to 20% a year; above by no more than that in a day."""
    for drawn, points in ((4_500, 250), (4_500, 400), (100, 900)):
        draw_debt(curved, "borrower", drawn * WAD)
        assert fee(curved) == compute_ray_per_second(points)
    for drawn in (900, 10_000):
        draw_debt(curved, "borrower", drawn * WAD)
        assert fee(curved) == compute_ray_per_second(900) + bounds.FEE_MOVE


def test_a_withdrawal_leaves_it_as_it_is(curved):
    draw_debt(curved, "borrower", 4_500 * WAD)
    repay_debt(curved, "borrower", 0, WAD)
    assert fee(curved) == compute_ray_per_second(250)


def test_a_plain_fee_stays_as_it_is(curved):
    curved.do("VaultEngine.set_fee_dynamic", WETH, False, sender="admin")
    draw_debt(curved, "borrower", 9_000 * WAD)
    assert fee(curved) == compute_ray_per_second(100)


def test_a_fee_on_a_limited_flow_without_a_curve_is_none(limited):
    limited.do("VaultEngine.set_fee_dynamic", WETH, True, sender="admin")
    draw_debt(limited, "borrower", 5_000 * WAD)
    assert fee(limited) == 0
