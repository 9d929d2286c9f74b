"""set_call_terms: between which ratios vaults are called, and the times of a call."""

import pytest

from tests.auctions import WBTC, WETH, event
from tests.helpers import reverts
from tests.policy import DAY, HOUR

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
    assert event(guarded, "CallTermsSet", "RiskPolicy") == (WETH, *terms)
    assert guarded.read("RiskPolicy.call_terms", WETH) == terms
    assert guarded.read("RiskPolicy.call_terms", WBTC) == (0, 0, 0)


def test_an_unknown_type_has_no_ratios(guarded):
    with reverts("vault_engine: unknown type"):
        guarded.do("RiskPolicy.set_call_terms", 31, 0, HOUR, DAY, sender="admin")
