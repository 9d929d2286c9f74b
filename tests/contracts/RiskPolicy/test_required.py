"""required: the collateral value for new risk: ratio, own brackets or the type's, and the mode."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backstop.model.arithmetic import RAD
from tests.support.auction_steps import WETH
from tests.support.guard_steps import CAUTION, EMERGENCY, NORMAL
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.vault_size_margin_and_call_steps import (
    INITIAL,
    NONE,
    compute_size_margin,
    set_mode_as_circuit_breaker,
)

OF_VAULTS, OF_TYPE = ((1_000_000, 500), (5_000_000, 1_000)), ((25_000_000, 500), (40_000_000, 1_500))
many = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def bracketed(guarded):
    """Brackets of both kinds, and a caution that asks for 10% more."""
    guarded.do("RiskPolicy.set_brackets", WETH, OF_VAULTS, OF_TYPE, sender="admin")
    guarded.do("RiskPolicy.set_effects", 1_000, 10_000, sender="admin")
    return guarded


def required(protocol, debt, type_debt, ratio=INITIAL):
    return protocol.read("RiskPolicy.required", WETH, debt, type_debt, ratio)


@pytest.mark.parametrize(
    ("debt", "type_debt", "more"),
    [
        (1_000_000, 1_000_000, 0),
        (1_000_000, 25_000_000, 0),
        # The first million above a bound, half a million above it, a million above both.
        (1_000_000, 26_000_000, 1_000_000 * 500),
        (1_000_000, 25_500_000, 500_000 * 500),
        (1_000_000, 50_000_000, 1_000_000 * (500 + 1_500)),
        (5_000_000, 5_000_000, 4_000_000 * 500),
        # Its own brackets ask for more, then the type's.
        (5_000_000, 25_000_000, 4_000_000 * 500),
        (5_000_000, 50_000_000, 5_000_000 * (500 + 1_500)),
        (20_000_000, 50_000_000, 20_000_000 * 500 + 10_000_000 * 1_500),
        # What is more than the type's debt counts from zero; its own brackets ask for more by far.
        (30_000_000, 26_000_000, 29_000_000 * 500 + 25_000_000 * 1_000),
    ],
)
def test_the_higher_of_both_kinds(bracketed, debt, type_debt, more):
    assert required(bracketed, debt * RAD, type_debt * RAD) == (debt * INITIAL + more) * RAD


@pytest.mark.parametrize(("mode", "points"), [(NORMAL, 0), (CAUTION, 1_000), (EMERGENCY, 1_000)])
def test_caution_asks_for_more(bracketed, mode, points):
    set_mode_as_circuit_breaker(bracketed, mode)
    assert required(bracketed, RAD, RAD) == (INITIAL + points) * RAD


def test_a_type_adopts_caution_before_it_counts(bracketed):
    set_mode_as_circuit_breaker(bracketed, CAUTION)
    assert bracketed.read("RiskPolicy.required", 31, RAD, RAD, INITIAL) == INITIAL * RAD
    bracketed.do("RiskPolicy.sync_mode", 31, sender="stranger")
    assert bracketed.read("RiskPolicy.required", 31, RAD, RAD, INITIAL) == (INITIAL + 1_000) * RAD


def test_a_type_without_debt_asks_for_nothing(bracketed):
    assert required(bracketed, 0, 0) == 0


def test_absurd_figures_overflow_instead_of_passing(bracketed):
    with reverts(""):
        required(bracketed, 2**181, 2**181, 2**76)
    set_mode_as_circuit_breaker(bracketed, CAUTION)
    with reverts(""):
        required(bracketed, 0, 0, 2**256 - 1)


above = st.integers(0, 10**6)
brackets = st.tuples(*[st.tuples(above, st.integers(0, 5_000)) for _ in range(2)])
sizes = st.lists(st.integers(1, 10**6 * RAD), min_size=1, max_size=6)


@many
@given(brackets=brackets, sizes=sizes, others=st.integers(0, 10**6 * RAD))
def test_a_debt_in_parts_needs_no_less_by_the_types_brackets(guarded, brackets, sizes, others):
    """Drawn one after the other, as much in all to the wei; at one total of the type, never less."""
    guarded.do("RiskPolicy.set_brackets", WETH, NONE, brackets, sender="admin")
    whole, total = sum(sizes), sum(sizes) + others
    asked = required(guarded, whole, total, 0)
    assert asked == compute_size_margin(brackets, total) - compute_size_margin(brackets, others)
    owed, in_turn = others, 0
    for debt in sizes:
        owed += debt
        in_turn += required(guarded, debt, owed, 0)
    assert in_turn == asked
    assert sum(required(guarded, debt, total, 0) for debt in sizes) >= asked


@many
@given(brackets=brackets, debt=st.integers(1, 10**6 * RAD), others=st.integers(0, 10**6 * RAD))
def test_no_less_than_the_average(guarded, brackets, debt, others):
    """The newest debt bears the dearest part; and its share grows with the debts of others."""
    guarded.do("RiskPolicy.set_brackets", WETH, NONE, brackets, sender="admin")
    total = debt + others
    asked = required(guarded, debt, total, 0)
    assert asked * total >= debt * compute_size_margin(brackets, total)
    assert required(guarded, debt, total + RAD, 0) >= asked


def test_what_an_average_would_let_pass(guarded):
    """The example of docs/reference/guards/margin.md: fifty vaults of a million, by either rule in turn."""
    brackets, million = ((25_000_000, 500), (0, 0)), 10**6 * RAD
    guarded.do("RiskPolicy.set_brackets", WETH, NONE, brackets, sender="admin")
    in_turn = sum(required(guarded, million, n * million, 0) for n in range(1, 51))
    average = sum(compute_size_margin(brackets, n * million) // n for n in range(1, 51))
    assert in_turn == required(guarded, 50 * million, 50 * million, 0) == 1_250_000 * 10_000 * RAD
    assert 390_000 * 10_000 * RAD < average < 400_000 * 10_000 * RAD
