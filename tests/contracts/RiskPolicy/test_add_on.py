"""add_on: a vault's extra requirement beyond its ratio because of its own size, to the rad."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backstop.model.arithmetic import RAD
from tests.support.auction_steps import WBTC, WETH
from tests.support.vault_size_margin_and_call_steps import NONE, compute_size_margin

OF_VAULTS, OF_TYPE = ((1_000_000, 500), (5_000_000, 1_000)), ((0, 10_000), (0, 0))


@pytest.fixture
def bracketed(guarded):
    """Brackets by size, and others of the type that are no part of it."""
    guarded.do("RiskPolicy.set_brackets", WETH, OF_VAULTS, OF_TYPE, sender="admin")
    return guarded


@pytest.mark.parametrize(
    ("debt", "expected"),
    [
        (0, 0),
        (1_000_000 * RAD, 0),
        (1_000_000 * RAD + 1, 500),
        (5_000_000 * RAD - 1, 500 * (4_000_000 * RAD - 1)),
        (5_000_000 * RAD, 500 * 4_000_000 * RAD),
        (5_000_000 * RAD + 1, 500 * 4_000_000 * RAD + 1_500),
        (10_000_000 * RAD, (500 * 9_000_000 + 1_000 * 5_000_000) * RAD),
    ],
)
def test_below_at_and_above_each_bound(bracketed, debt, expected):
    assert bracketed.read("RiskPolicy.add_on", WETH, debt) == expected


def test_only_of_its_type(bracketed):
    assert bracketed.read("RiskPolicy.add_on", WBTC, 10**9 * RAD) == 0


brackets = st.tuples(
    *[st.tuples(st.one_of(st.integers(0, 10**9), st.just(0)), st.integers(0, 5_000)) for _ in range(2)]
)
debts = st.integers(0, 2**181 - 1)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(brackets=brackets, pair=st.tuples(debts, debts))
def test_larger_debts_never_need_a_smaller_share_and_parts_never_more(guarded, brackets, pair):
    guarded.do("RiskPolicy.set_brackets", WETH, brackets, NONE, sender="admin")
    lower, higher = sorted(pair)
    needs = {debt: guarded.read("RiskPolicy.add_on", WETH, debt) for debt in (lower, higher)}
    assert all(needs[debt] == compute_size_margin(brackets, debt) for debt in needs)
    assert needs[lower] * higher <= needs[higher] * lower
    whole = guarded.read("RiskPolicy.add_on", WETH, min(lower + higher, 2**181 - 1))
    assert lower + higher >= 2**181 or whole >= needs[lower] + needs[higher]
