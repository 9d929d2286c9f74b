"""set_mode: the circuit breaker's alone; every listed type takes it on."""

import pytest

from tests.support.auction_steps import get_only_event_values, list_token
from tests.support.guard_steps import CAUTION, EMERGENCY, NORMAL
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.vault_size_margin_and_call_steps import set_mode_as_circuit_breaker


@pytest.mark.parametrize("sender", ["stranger", "admin", "guardian", "borrower"])
def test_the_circuit_breaker_alone(guarded, sender):
    with reverts("risk_policy: not circuit breaker"):
        guarded.do("RiskPolicy.set_mode", CAUTION, sender=sender)


@pytest.mark.parametrize("mode", [3, 2**256 - 1])
def test_there_are_three(guarded, mode):
    with reverts("risk_policy: no such mode"):
        set_mode_as_circuit_breaker(guarded, mode)


@pytest.mark.parametrize("mode", [NORMAL, CAUTION, EMERGENCY])
def test_every_type_takes_it_on(guarded, mode):
    brackets = ((1, 2), (3, 4))
    guarded.do("RiskPolicy.set_brackets", 1, brackets, brackets, sender="admin")
    guarded.do("RiskPolicy.set_growth_cap", 1, 10**27, 5, sender="admin")
    effects = guarded.read("RiskPolicy.mode_effects")
    for each in (EMERGENCY, mode):
        set_mode_as_circuit_breaker(guarded, each)
        assert get_only_event_values(guarded, "ModeSet", "RiskPolicy") == (each,)
    assert guarded.read("RiskPolicy.mode") == mode
    assert [guarded.read("RiskPolicy.terms_of", c).mode for c in range(3)] == [mode] * 3
    # And nothing else changes.
    assert guarded.read("RiskPolicy.terms_of", 1)[:4] == (brackets, brackets, (0, 0, 0, 0), 1)
    assert guarded.read("RiskPolicy.mode_effects") == effects


def test_a_type_that_is_listed_later_adopts_it(guarded):
    set_mode_as_circuit_breaker(guarded, EMERGENCY)
    c = list_token(guarded, "NEW", 18, 10**30)
    assert guarded.read("RiskPolicy.terms_of", c).mode == NORMAL
    guarded.do("RiskPolicy.sync_mode", c, sender="stranger")
    assert guarded.read("RiskPolicy.terms_of", c).mode == EMERGENCY
    set_mode_as_circuit_breaker(guarded, NORMAL)
    assert guarded.read("RiskPolicy.terms_of", c).mode == NORMAL
