"""set_call_terms: between which ratios vaults are called, and the times of a call."""

import pytest

from backstop.model.arithmetic import RAD, WAD
from tests.support.auction_steps import WBTC, WETH, get_only_event_values, liquidate_vault
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.vault_size_margin_and_call_steps import (
    DAY,
    HOUR,
    allow_calls,
    compute_collateral,
    margin_call_ether_vault_as_stranger,
    open_vault_below_call_ratio,
    read_call_time,
)

LONGEST = 90 * DAY


@pytest.mark.parametrize("sender", ["stranger", "guardian", "borrower"])
def test_the_admin_alone(guarded, sender):
    with reverts("roles: not admin"):
        guarded.do("RiskPolicy.set_call_terms", WETH, 14_800, HOUR, DAY, sender=sender)


@pytest.mark.parametrize("ratio", [1, 14_499, 15_001, 2**256 - 1])
def test_the_ratio_is_between_those_of_the_type(guarded, ratio):
    with reverts("risk_policy: call ratio"):
        guarded.do("RiskPolicy.set_call_terms", WETH, ratio, HOUR, DAY, sender="admin")


@pytest.mark.parametrize("time", [0, 59, LONGEST + 1, 2**256 - 1])
def test_times_are_bounded_even_without_calls(guarded, time):
    for ratio in (0, 14_800):
        with reverts("risk_policy: grace bounds"):
            guarded.do("RiskPolicy.set_call_terms", WETH, ratio, time, DAY, sender="admin")
        with reverts("risk_policy: valid bounds"):
            guarded.do("RiskPolicy.set_call_terms", WETH, ratio, HOUR, time, sender="admin")


@pytest.mark.parametrize("terms", [(0, 60, 60), (14_500, LONGEST, 60), (15_000, 60, LONGEST)])
def test_takes_what_fits_and_logs_it(guarded, terms):
    guarded.do("RiskPolicy.set_call_terms", WETH, *terms, sender="admin")
    assert get_only_event_values(guarded, "CallTermsSet", "RiskPolicy") == (WETH, *terms)
    assert guarded.read("RiskPolicy.call_terms", WETH) == terms
    assert guarded.read("RiskPolicy.call_terms", WBTC) == (0, 0, 0)


def test_an_unknown_type_has_no_ratios(guarded):
    with reverts("terms: unknown type"):
        guarded.do("RiskPolicy.set_call_terms", 31, 0, HOUR, DAY, sender="admin")


def test_a_liquidation_ratio_over_the_call_ratio_makes_calls_pointless(guarded):
    """The engine sets its ratios without asking: a callable vault is liquidated at once, called or not."""
    allow_calls(guarded)
    open_vault_below_call_ratio(guarded)
    margin_call_ether_vault_as_stranger(guarded)
    guarded.do("VaultEngine.set_ratios", WETH, 14_900, 15_000, sender="admin")
    assert guarded.read("RiskPolicy.call_terms", WETH).ratio == 14_800
    liquidate_vault(guarded)
    with reverts("risk_policy: call ratio"):
        allow_calls(guarded)
    allow_calls(guarded, 14_950)


def test_no_vault_at_its_initial_ratio_is_called(guarded):
    """An initial ratio that falls under the call ratio takes the calls down with it."""
    allow_calls(guarded)
    guarded.do("VaultEngine.set_ratios", WETH, 14_500, 14_600, sender="admin")
    collateral = compute_collateral(10_000 * RAD * 14_600)
    guarded.borrow("borrower", "WETH", collateral, 10_000 * WAD)
    with reverts("liquidation_engine: margin met"):
        margin_call_ether_vault_as_stranger(guarded)
    guarded.post_price("WETH", 10_000 * RAD * 14_600 // (collateral * 10_000) - 1)
    margin_call_ether_vault_as_stranger(guarded)
    assert read_call_time(guarded) == guarded.timestamp
