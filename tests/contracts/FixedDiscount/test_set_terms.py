"""set_terms: one rule for the bonus, one for the amount, each within its bound."""

import pytest

from backstop.model.fixed_discount import Terms
from tests.support.discount_steps import WETH
from tests.support.revert_setter_and_source_helpers import reverts

TARGET = Terms(target_health=11_000)
ANY = Terms(close_factor=10_000)


def set_terms(protocol, terms, sender="admin", collateral_type=WETH):
    protocol.do("FixedDiscount.set_terms", collateral_type, tuple(terms), sender=sender)


@pytest.mark.parametrize(
    "terms",
    [
        TARGET,
        ANY,
        TARGET._replace(base_bonus=1, max_bonus=3_333, full_bonus_health=9_999, fee=10_000),
        ANY._replace(max_discount=3_333, whole_close_health=10_000, small_position=10_000_000),
        ANY._replace(max_bonus=1_500, cursor=9_999, close_factor=500),
        Terms(target_health=10_001),
        Terms(target_health=20_000),
    ],
)
def test_terms_are_stored_and_told(discounted, terms):
    set_terms(discounted, terms)
    assert tuple(discounted.read("FixedDiscount.terms_of", WETH)) == terms
    (log,) = discounted.last.logs
    assert (log.contract, log.event) == ("FixedDiscount", "TermsSet")
    assert log.values[0] == WETH and tuple(log.values[1]) == terms


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        (TARGET._replace(base_bonus=2, max_bonus=1), "bonus bounds"),
        (TARGET._replace(max_bonus=3_334), "bonus bounds"),
        (TARGET._replace(full_bonus_health=10_000), "health bounds"),
        (TARGET._replace(max_discount=3_334), "discount bounds"),
        (TARGET._replace(cursor=10_000), "cursor bounds"),
        (TARGET._replace(max_discount=1, max_bonus=1), "two bonuses"),
        (TARGET._replace(max_discount=1, full_bonus_health=1), "two bonuses"),
        (TARGET._replace(max_discount=1, cursor=1), "two bonuses"),
        (TARGET._replace(cursor=1, base_bonus=1, max_bonus=1), "two bonuses"),
        (TARGET._replace(cursor=1, full_bonus_health=1), "two bonuses"),
        (Terms(target_health=10_000), "target bounds"),
        (Terms(target_health=20_001), "target bounds"),
        (TARGET._replace(close_factor=1), "two amounts"),
        (TARGET._replace(whole_close_health=1), "two amounts"),
        (TARGET._replace(small_position=1), "two amounts"),
        (Terms(), "factor bounds"),
        (Terms(close_factor=499), "factor bounds"),
        (Terms(close_factor=10_001), "factor bounds"),
        (ANY._replace(whole_close_health=10_001), "close bounds"),
        (ANY._replace(small_position=10_000_001), "small bounds"),
        (TARGET._replace(fee=10_001), "fee bounds"),
    ],
)
def test_bounds(discounted, terms, reason):
    with reverts(f"fixed_discount: {reason}"):
        set_terms(discounted, terms)


def test_the_bonus_stays_under_the_liquidation_ratio(discounted):
    # The ratio of gold is 125%: that of ether allows every bonus within the bounds.
    gold, fits = 2, TARGET._replace(base_bonus=0, max_bonus=2_499)
    set_terms(discounted, fits, collateral_type=gold)
    with reverts("fixed_discount: high bonus"):
        set_terms(discounted, fits._replace(max_bonus=2_500), collateral_type=gold)


def test_a_discount_by_distance_has_no_bonus_at_health(discounted):
    """However large it may get, a vault that has just become unsafe is sold at the feed's price."""
    set_terms(discounted, TARGET._replace(max_discount=3_333), collateral_type=2)


def test_an_unknown_type(discounted):
    with reverts("terms: unknown type"):
        set_terms(discounted, TARGET, collateral_type=9)


@pytest.mark.parametrize("sender", ["stranger", "guardian", "buyer"])
def test_the_admin_only(discounted, sender):
    with reverts("roles: not admin"):
        set_terms(discounted, TARGET, sender)
