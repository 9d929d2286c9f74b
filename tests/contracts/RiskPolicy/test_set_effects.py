"""set_effects: the effects of modes, in basis points."""

import pytest

from tests.support.auction_steps import get_only_event_values
from tests.support.guard_steps import CAUTION, EMERGENCY, NORMAL
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.vault_size_margin_and_call_steps import set_mode_as_circuit_breaker


@pytest.mark.parametrize("sender", ["stranger", "guardian", "borrower"])
def test_the_admin_alone(guarded, sender):
    with reverts("roles: not admin"):
        guarded.do("RiskPolicy.set_effects", 0, 10_000, sender=sender)


@pytest.mark.parametrize("margin", [10_001, 2**256 - 1])
def test_a_margin_is_bounded(guarded, margin):
    with reverts("risk_policy: margin bounds"):
        guarded.do("RiskPolicy.set_effects", margin, 10_000, sender="admin")


@pytest.mark.parametrize("factor", [0, 99, 50_001, 2**256 - 1])
def test_a_factor_is_bounded(guarded, factor):
    """Never 0: an emergency slows auctions down or speeds them up, it does not end them."""
    with reverts("risk_policy: factor bounds"):
        guarded.do("RiskPolicy.set_effects", 0, factor, sender="admin")


@pytest.mark.parametrize("mode", [NORMAL, CAUTION, EMERGENCY])
@pytest.mark.parametrize("effects", [(0, 100), (10_000, 50_000), (1_000, 10_000)])
def test_both_are_kept_beside_the_mode(guarded, effects, mode):
    set_mode_as_circuit_breaker(guarded, mode)
    guarded.do("RiskPolicy.set_effects", *effects, sender="admin")
    assert get_only_event_values(guarded, "EffectsSet", "RiskPolicy") == effects
    assert guarded.read("RiskPolicy.mode_effects") == effects
    assert guarded.read("RiskPolicy.mode") == mode
    assert guarded.read("RiskPolicy.auction_limit_factor") == (effects[1] if mode == EMERGENCY else 10_000)
