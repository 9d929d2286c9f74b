"""set_flow_limit: how much may flow out at once, and again in each window."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.auction_steps import WBTC, WETH, get_only_event_values
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.vault_size_margin_and_call_steps import DAY, draw_debt

COIN = 10**6
"""In millionths, as flows are counted."""


@pytest.mark.parametrize("sender", ["stranger", "guardian", "borrower"])
def test_the_admin_alone(guarded, sender):
    with reverts("roles: not admin"):
        guarded.do("RiskPolicy.set_flow_limit", WETH, 1, DAY, sender=sender)


@pytest.mark.parametrize("cap", [10**9 + 1, 2**32, 2**256 - 1])
def test_the_cap_is_bounded(guarded, cap):
    with reverts("risk_policy: cap bounds"):
        guarded.do("RiskPolicy.set_flow_limit", WETH, cap, DAY, sender="admin")


@pytest.mark.parametrize("window", [0, 59, 90 * DAY + 1, 2**256 - 1])
def test_the_window_is_bounded_even_without_a_limit(guarded, window):
    for cap in (0, 1):
        with reverts("risk_policy: window bounds"):
            guarded.do("RiskPolicy.set_flow_limit", WETH, cap, window, sender="admin")


@pytest.mark.parametrize("limit", [(0, 60), (1, 60), (10**9, 90 * DAY)])
def test_takes_what_fits_and_logs_it(guarded, limit):
    guarded.do("RiskPolicy.set_flow_limit", WETH, *limit, sender="admin")
    assert get_only_event_values(guarded, "FlowLimitSet", "RiskPolicy") == (WETH, *limit)
    assert guarded.read("RiskPolicy.flow_of", WETH) == (*limit, 0, guarded.timestamp, 0, 0, 0)
    assert guarded.read("RiskPolicy.flow_of", WBTC) == (0, 0, 0, 0, 0, 0, 0)


@pytest.fixture
def flowed(guarded):
    """10,000 a day may flow out, 8,000 have."""
    guarded.do("RiskPolicy.set_flow_limit", WETH, 10_000, DAY, sender="admin")
    guarded.borrow("borrower", "WETH", 20 * WAD, 8_000 * WAD)
    return guarded


@pytest.mark.parametrize(
    ("cap", "used"), [(20_000, 8_000), (10_000, 8_000), (8_000, 8_000), (5_000, 5_000), (0, 0)]
)
def test_what_has_flowed_counts_on_up_to_the_new_cap(flowed, cap, used):
    flowed.do("RiskPolicy.set_flow_limit", WETH, cap, DAY, sender="admin")
    assert flowed.read("RiskPolicy.flow_of", WETH).used == used * COIN


def test_what_has_leaked_does_not_come_back(flowed):
    flowed.advance(DAY // 10)
    flowed.do("RiskPolicy.set_flow_limit", WETH, 20_000, 2 * DAY, sender="admin")
    flow = flowed.read("RiskPolicy.flow_of", WETH)
    assert (flow.used, flow.updated) == (7_000 * COIN, flowed.timestamp)
    # From now on it leaks as the new limit says.
    flowed.advance(DAY // 10)
    assert flowed.read("RiskPolicy.flow_of", WETH).used == 6_000 * COIN


def test_a_limit_that_is_lifted_stops_nothing(flowed):
    flowed.do("RiskPolicy.set_flow_limit", WETH, 0, 60, sender="admin")
    draw_debt(flowed, "borrower", 5_000 * WAD)
    assert flowed.read("RiskPolicy.flow_of", WETH).used == 0


def test_the_fee_curve_stays(guarded):
    guarded.do("RiskPolicy.set_fee_curve", WETH, (100, 200, 300, 9_000), 123, 50, sender="admin")
    before = guarded.read("RiskPolicy.flow_of", WETH)
    guarded.do("RiskPolicy.set_flow_limit", WETH, 10**9, 90 * DAY, sender="admin")
    assert guarded.read("RiskPolicy.flow_of", WETH) == (10**9, 90 * DAY, 0, *before[3:])
