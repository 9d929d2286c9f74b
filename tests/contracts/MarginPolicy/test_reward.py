"""reward: what a liquidator gets, and how much of an account it may take over for that."""

import pytest

from backstop.model.arithmetic import WAD
from backstop.model.interfaces import Takeover
from tests.support.helpers import reverts
from tests.support.margin import ETH, terms

PRICE = 178 * WAD // 10
# 1,000 lots with 800 of equity: 890 are asked for, and 1,780 for new risk.
WHOLE = Takeover(ETH, 1_000, 100, PRICE, 800 * WAD, 1_000 * PRICE * 1_000, 1_000 * PRICE * 500)


def reward(margin, **changes):
    return margin.read("MarginPolicy.reward", WHOLE._replace(**changes))


def test_a_part_of_the_shortage_by_the_margin_that_is_relieved(margin):
    margin.do("MarginPolicy.set_terms", ETH, terms(discount=10_000), sender="admin")
    shortage = (890 - 800) * WAD
    assert reward(margin) == shortage // 10
    assert reward(margin, lots=500) == shortage // 2
    # No more than all it has.
    margin.do("MarginPolicy.set_terms", ETH, terms(discount=50_000), sender="admin")
    assert reward(margin, equity=200 * WAD) == 20 * WAD


def test_no_more_than_brings_it_back_to_its_initial_margin(margin):
    """Of 800 a discount of nothing takes nothing: 449 lots need 799, and 450 need 801."""
    margin.do("MarginPolicy.set_terms", ETH, terms(discount=0, dust=0), sender="admin")
    assert reward(margin, lots=551) == 0
    with reverts("margin_policy: more than needed"):
        reward(margin, lots=552)
    # With 801 to the wei the 450 that are left need no more to go.
    assert reward(margin, lots=551, equity=801 * WAD - 1) == 0
    with reverts("margin_policy: more than needed"):
        reward(margin, lots=551, equity=801 * WAD)
    with reverts("margin_policy: more than needed"):
        reward(margin, lots=1_000)


def test_all_goes_where_the_rest_would_be_dust(margin):
    """Under 8,000 of notional, 450 lots: what is left is as much or nothing."""
    margin.do("MarginPolicy.set_terms", ETH, terms(discount=0, dust=8_000), sender="admin")
    assert reward(margin, lots=550) == 0
    with reverts("margin_policy: dust is left"):
        reward(margin, lots=551)
    assert reward(margin, lots=1_000) == 0


@pytest.mark.parametrize("lots", [1, 7, 333])
def test_parts_get_no_more_than_the_whole(margin, lots):
    margin.do("MarginPolicy.set_terms", ETH, terms(discount=10_000), sender="admin")
    assert reward(margin, lots=lots) <= 90 * WAD * lots // 1_000
