"""set_brackets: which debts need how much more, by a vault's own size and by the type's."""

import pytest

from tests.support.auction_steps import WBTC, WETH, get_only_event_values
from tests.support.guard_steps import CAUTION
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.vault_size_margin_and_call_steps import NONE, set_mode_as_circuit_breaker

HIGHEST = ((10**9, 4_000), (10**9, 6_000))


@pytest.mark.parametrize("sender", ["stranger", "guardian", "borrower"])
def test_the_admin_alone(guarded, sender):
    with reverts("roles: not admin"):
        guarded.do("RiskPolicy.set_brackets", WETH, NONE, NONE, sender=sender)


@pytest.mark.parametrize("above", [10**9 + 1, 2**32, 2**256 - 1])
@pytest.mark.parametrize("which", range(4))
def test_where_a_bracket_begins_is_bounded(guarded, which, above):
    four = [(0, 0)] * 4
    four[which] = (above, 1)
    with reverts("risk_policy: bracket bounds"):
        guarded.do("RiskPolicy.set_brackets", WETH, tuple(four[:2]), tuple(four[2:]), sender="admin")


@pytest.mark.parametrize("rates", [(10_001, 0), (0, 10_001), (5_000, 5_001), (2**255, 0)])
def test_two_brackets_ask_for_100_percent_together_at_most(guarded, rates):
    too_much = tuple((0, rate) for rate in rates)
    for brackets in ((too_much, NONE), (NONE, too_much)):
        with reverts("risk_policy: add-on bounds"):
            guarded.do("RiskPolicy.set_brackets", WETH, *brackets, sender="admin")


def test_their_sum_does_not_overflow(guarded):
    with reverts(""):
        brackets = ((0, 2**256 - 1), (0, 1))
        guarded.do("RiskPolicy.set_brackets", WETH, brackets, NONE, sender="admin")


@pytest.mark.parametrize("brackets", [(HIGHEST, HIGHEST), (NONE, NONE), (((1, 2), (3, 4)), ((5, 6), (7, 8)))])
def test_takes_what_fits_and_logs_it(guarded, brackets):
    guarded.do("RiskPolicy.set_brackets", WETH, *brackets, sender="admin")
    assert get_only_event_values(guarded, "BracketsSet", "RiskPolicy") == (WETH, *brackets)
    assert guarded.read("RiskPolicy.terms_of", WETH)[:2] == brackets


def test_changes_nothing_else(guarded):
    curve = (100, 200, 300, 9_999)
    guarded.do("RiskPolicy.set_fee_curve", WETH, curve, 10**9, 0, sender="admin")
    guarded.do("RiskPolicy.set_growth_cap", WETH, 10**27, 1, sender="admin")
    set_mode_as_circuit_breaker(guarded, CAUTION)
    guarded.do("RiskPolicy.set_brackets", WETH, HIGHEST, HIGHEST, sender="admin")
    assert guarded.read("RiskPolicy.terms_of", WETH) == (HIGHEST, HIGHEST, curve, 1, CAUTION)
    guarded.do("RiskPolicy.set_brackets", WETH, NONE, NONE, sender="admin")
    assert guarded.read("RiskPolicy.terms_of", WETH) == (NONE, NONE, curve, 1, CAUTION)
    assert guarded.read("RiskPolicy.terms_of", WBTC)[:2] == (NONE, NONE)
