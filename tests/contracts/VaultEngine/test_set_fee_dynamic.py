"""set_fee_dynamic: whether the risk policy sets a type's fee."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.auction_steps import ALL, WBTC, WETH, get_only_event_values
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.vault_size_margin_and_call_steps import DAY, compute_ray_per_second, draw_debt, repay_debt

CURVE = (100, 300, 5_000, 9_000)


def set_dynamic(protocol, dynamic, c=WETH, sender="admin"):
    protocol.do("VaultEngine.set_fee_dynamic", c, dynamic, sender=sender)


def set_curve(protocol, c=WETH, curve=CURVE):
    protocol.do("RiskPolicy.set_fee_curve", c, curve, 10_000, 0, sender="admin")


def fee(protocol, c=WETH):
    return protocol.read("VaultEngine.stability_fee_of", c)


@pytest.mark.parametrize("sender", ["stranger", "guardian", "borrower"])
def test_the_admin_alone(guarded, sender):
    with reverts("roles: not admin"):
        set_dynamic(guarded, True, sender=sender)


def test_needs_a_risk_policy(protocol):
    for dynamic in (True, False):
        with reverts("terms: no risk policy"):
            set_dynamic(protocol, dynamic)


def test_an_unknown_type_is_refused(guarded):
    with reverts("terms: unknown type"):
        set_dynamic(guarded, True, c=31)


def test_takes_the_curves_fee_at_once_and_logs_it(guarded):
    guarded.borrow("borrower", "WETH", 100 * WAD, 4_500 * WAD)
    set_curve(guarded)
    assert fee(guarded) == 0
    set_dynamic(guarded, True)
    assert get_only_event_values(guarded, "ParameterChanged", "VaultEngine") == (WETH, "fee_dynamic", 1)
    assert fee(guarded) == compute_ray_per_second(250)
    set_dynamic(guarded, False)
    assert get_only_event_values(guarded, "ParameterChanged", "VaultEngine") == (WETH, "fee_dynamic", 0)


def test_the_old_fee_is_charged_up_to_now(guarded):
    before = guarded.read("VaultEngine.debts_of", WBTC).accumulated_rate
    set_curve(guarded, WBTC)
    guarded.advance(DAY)
    set_dynamic(guarded, True, WBTC)
    debts = guarded.read("VaultEngine.debts_of", WBTC)
    assert debts.accumulated_rate > before
    assert debts.accrued_at == guarded.timestamp


def test_switched_off_the_fee_stays_where_it_is(guarded):
    set_curve(guarded)
    set_dynamic(guarded, True)
    guarded.borrow("borrower", "WETH", 100 * WAD, 9_000 * WAD)
    set_dynamic(guarded, False)
    repay_debt(guarded, "borrower", 5_000 * WAD)
    draw_debt(guarded, "borrower", WAD)
    assert fee(guarded) == compute_ray_per_second(400)


def test_without_a_curve_the_fee_is_none(guarded):
    set_dynamic(guarded, True, WBTC)
    assert fee(guarded, WBTC) == 0


def test_a_fee_set_by_hand_holds_until_the_debt_changes(guarded):
    set_curve(guarded)
    set_dynamic(guarded, True)
    guarded.borrow("borrower", "WETH", 100 * WAD, 4_500 * WAD)
    guarded.do("VaultEngine.set_stability_fee", WETH, 7, sender="admin")
    assert fee(guarded) == 7
    repay_debt(guarded, "borrower", WAD)
    assert fee(guarded) == a_second_at(guarded)


def a_second_at(protocol):
    performing = protocol.read("VaultEngine.debts_of", WETH).normalized_debt * RAY
    return protocol.read("RiskPolicy.fee_at", WETH, performing)


def test_the_buffer_stays_as_it_is(guarded):
    guarded.earn_fees("WBTC")
    set_curve(guarded, WBTC)
    guarded.do("VaultEngine.accrue", WBTC, sender="stranger")
    buffer = guarded.read("VaultEngine.buffer_of", WBTC)
    set_dynamic(guarded, True, WBTC)
    repay_debt(guarded, "fee_payer", WAD, collateral_type=WBTC)
    assert guarded.read("VaultEngine.buffer_of", WBTC) == buffer > 0


def test_nothing_else_of_the_type_changes(guarded):
    before = guarded.read("VaultEngine.terms_of", WBTC)
    set_dynamic(guarded, True, WBTC)
    after = guarded.read("VaultEngine.terms_of", WBTC)
    assert after == before._replace(dynamic=True)
    assert before.decimals == 8 and before.dynamic is False
    assert guarded.read("VaultEngine.unit_of", WBTC) == 10**10
    set_dynamic(guarded, True, WBTC)
    assert guarded.read("VaultEngine.terms_of", WBTC) == after
    set_dynamic(guarded, False, WBTC)
    assert guarded.read("VaultEngine.terms_of", WBTC) == before


def test_repaying_all_of_it_is_never_stopped(guarded):
    """Holds for every curve, and with no price at all."""
    set_curve(guarded, curve=(9_999, 1, 0, 1))
    set_dynamic(guarded, True)
    guarded.borrow("borrower", "WETH", 100 * WAD, 10_000 * WAD)
    guarded.borrow("saver", "WBTC", 10 * WAD, 50_000 * WAD)
    guarded.do("Stablecoin.transfer", "borrower", 50_000 * WAD, sender="saver")
    guarded.advance(200 * DAY)
    repay_debt(guarded, "borrower", ALL)
    assert guarded.read("VaultEngine.vault", WETH, "borrower").normalized_debt == 0


def test_not_in_settlement(guarded):
    guarded.do("Settlement.announce", sender="admin")
    guarded.advance(30 * DAY)
    guarded.do("Settlement.begin", sender="stranger")
    for dynamic in (True, False):
        with reverts("ledger: in settlement"):
            set_dynamic(guarded, dynamic)
