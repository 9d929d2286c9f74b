"""set_growth_cap: from which price, and how fast, a price may grow for new risk."""

import pytest

from backstop.model.arithmetic import RAY
from tests.support.auction_steps import WBTC, WETH, get_only_event_values
from tests.support.guard_steps import CAUTION
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.vault_size_margin_and_call_steps import YEAR, set_mode_as_circuit_breaker

HIGHEST = 2**112 - 1


@pytest.mark.parametrize("sender", ["stranger", "guardian", "borrower"])
def test_the_admin_alone(guarded, sender):
    with reverts("roles: not admin"):
        guarded.do("RiskPolicy.set_growth_cap", WETH, RAY, 0, sender=sender)


@pytest.mark.parametrize("anchor", [HIGHEST + 1, 2**256 - 1])
def test_the_anchor_is_bounded(guarded, anchor):
    with reverts("risk_policy: anchor bounds"):
        guarded.do("RiskPolicy.set_growth_cap", WETH, anchor, 0, sender="admin")


@pytest.mark.parametrize("growth", [50_001, 2**256 - 1])
def test_the_growth_is_bounded(guarded, growth):
    with reverts("risk_policy: growth bounds"):
        guarded.do("RiskPolicy.set_growth_cap", WETH, RAY, growth, sender="admin")


@pytest.mark.parametrize("cap", [(1, 0), (HIGHEST, 50_000), (1_900 * RAY, 500)])
def test_takes_what_fits_and_logs_it(guarded, cap):
    guarded.do("RiskPolicy.set_growth_cap", WETH, *cap, sender="admin")
    assert get_only_event_values(guarded, "GrowthCapSet", "RiskPolicy") == (WETH, *cap)
    assert guarded.read("RiskPolicy.growth_of", WETH) == (cap[0], guarded.timestamp, cap[1])
    assert guarded.read("RiskPolicy.terms_of", WETH).grows == 1
    assert guarded.read("RiskPolicy.terms_of", WBTC).grows == 0


def test_an_anchor_of_zero_lifts_it(guarded):
    set_mode_as_circuit_breaker(guarded, CAUTION)
    guarded.do("RiskPolicy.set_growth_cap", WETH, RAY, 0, sender="admin")
    assert guarded.read("RiskPolicy.risk_price", WETH) == RAY
    guarded.do("RiskPolicy.set_growth_cap", WETH, 0, 0, sender="admin")
    assert guarded.read("RiskPolicy.risk_price", WETH) == 2_000 * RAY
    assert guarded.read("RiskPolicy.terms_of", WETH)[3:] == (0, CAUTION)


def test_setting_it_again_anchors_it_anew(guarded):
    guarded.do("RiskPolicy.set_growth_cap", WETH, 1_000 * RAY, 10_000, sender="admin")
    guarded.advance(YEAR // 10)
    guarded.post_price("WETH", 2_000 * RAY)
    guarded.do("RiskPolicy.set_growth_cap", WETH, 1_000 * RAY, 10_000, sender="admin")
    assert guarded.read("RiskPolicy.risk_price", WETH) == 1_000 * RAY
