"""reward: a liquidator's payment, and how much of an account it may take over for that."""

import pytest

from backstop.model.arithmetic import WAD
from backstop.model.interfaces import Takeover
from backstop.model.margin_policy import _compute_liquidator_reward
from tests.support.margin_order_steps import ETH, build_perpetual_market_terms
from tests.support.revert_setter_and_source_helpers import reverts

PRICE = 178 * WAD // 10
# 1,000 lots with 800 of equity: 890 are asked for, and 1,780 for new risk.
WHOLE = Takeover(ETH, 1_000, 100, PRICE, 800 * WAD, 1_000 * PRICE * 1_000, 1_000 * PRICE * 500)


def reward(margin, **changes):
    """How many lots go, and the reward."""
    return tuple(margin.read("MarginPolicy.reward", WHOLE._replace(**changes)))


def test_a_part_of_the_shortage_by_the_margin_that_is_relieved(margin):
    margin.do("MarginPolicy.set_terms", ETH, build_perpetual_market_terms(discount=10_000), sender="admin")
    shortage = (890 - 800) * WAD
    assert reward(margin) == (100, shortage // 10)
    assert reward(margin, lots=500) == (500, shortage // 2)
    # No more than all it has.
    margin.do("MarginPolicy.set_terms", ETH, build_perpetual_market_terms(discount=50_000), sender="admin")
    assert reward(margin, equity=200 * WAD) == (100, 20 * WAD)


def test_no_more_than_brings_it_back_to_its_initial_margin(margin):
    """Of 800 a discount of nothing takes nothing: 449 lots need 799, and 450 need 801."""
    margin.do("MarginPolicy.set_terms", ETH, build_perpetual_market_terms(discount=0, dust=0), sender="admin")
    for asked, goes in ((1, 1), (550, 550), (551, 551), (552, 551), (1_000, 551)):
        assert reward(margin, lots=asked) == (goes, 0)
    # With 801 to the wei the 450 that are left need no more to go.
    assert reward(margin, lots=551, equity=801 * WAD - 1) == (551, 0)
    assert reward(margin, lots=551, equity=801 * WAD) == (550, 0)


def test_an_account_that_is_not_short_loses_nothing(margin):
    margin.do("MarginPolicy.set_terms", ETH, build_perpetual_market_terms(discount=0, dust=0), sender="admin")
    with reverts("margin_policy: more than needed"):
        reward(margin, equity=1_780 * WAD)


def test_all_goes_where_the_rest_would_be_dust(margin):
    """Under 8,000 of notional, 450 lots: the remainder is as much or nothing."""
    margin.do(
        "MarginPolicy.set_terms", ETH, build_perpetual_market_terms(discount=0, dust=8_000), sender="admin"
    )
    for asked, goes in ((550, 550), (551, 1_000), (700, 1_000), (1_000, 1_000)):
        assert reward(margin, lots=asked) == (goes, 0)
    # It needs no more than 550 to go.
    assert reward(margin, lots=1_000, equity=801 * WAD) == (550, 0)


def test_the_search_is_exact_with_brackets(margin):
    """One lot more, or one less, would be wrong, at each of many sizes of the position."""
    above = ((5_000, 300), (12_000, 700))
    margin.do(
        "MarginPolicy.set_terms",
        ETH,
        build_perpetual_market_terms(discount=9_000, dust=0, of_accounts=above),
        sender="admin",
    )
    terms_of = margin.lockstep.model.world.contracts["MarginPolicy"].terms[ETH]
    needs = terms_of.initial_margin(1_000 * PRICE), terms_of.maintenance_margin(1_000 * PRICE)
    for equity in (1, 300 * WAD, 700 * WAD, needs[1] // 10_000 - 1):
        each = WHOLE._replace(equity=equity, initial=needs[0], maintenance=needs[1], lots=1_000)
        goes, _ = margin.read("MarginPolicy.reward", each)
        for lots, is_short in ((goes - 1, True), (goes, False)):
            left = equity - _compute_liquidator_reward(terms_of, each, lots)
            assert (
                left * 10_000 < terms_of.initial_margin((1_000 - lots) * PRICE)
            ) is is_short or goes == 1_000


@pytest.mark.parametrize("lots", [1, 7, 333])
def test_parts_get_no_more_than_the_whole(margin, lots):
    margin.do("MarginPolicy.set_terms", ETH, build_perpetual_market_terms(discount=10_000), sender="admin")
    assert reward(margin, lots=lots)[1] <= 90 * WAD * lots // 1_000
