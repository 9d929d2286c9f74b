"""liquidate: only what is needed, of whoever is under the maintenance margin, and nobody is left worse."""

import pytest

from backstop.deployment.signing import trader
from backstop.model.arithmetic import BASIS_POINTS, WAD
from backstop.model.interfaces import LIQUIDATION
from tests.support.auctions import event
from tests.support.helpers import reverts
from tests.support.margin import (
    BTC,
    ETH,
    begin,
    books,
    cash,
    deposit,
    fill,
    interest,
    liquidate,
    move,
    opened,
    position,
    price_of,
    stage,
    terms,
    with_margin,
    worth,
)


@pytest.fixture
def short_of_margin(open_interest):
    """The maker has 500 and needs 875 for 17,500 of notional."""
    move(open_interest, "WETH", 1_750)
    return open_interest


def most(protocol, name, market=ETH):
    """The most lots that may be taken over, by search."""
    low, high = 1, abs(position(protocol, name, market).size)
    while low < high:
        lots = (low + high + 1) // 2
        try:
            with protocol.lockstep.imagine():
                liquidate(protocol, name, lots, market)
            low = lots
        except Exception as revert:
            assert "more than needed" in str(revert)
            high = lots - 1
    return low


def test_takes_over_at_the_price_less_a_reward(short_of_margin):
    reward = liquidate(short_of_margin, "maker", 100)
    # A tenth of the 375 that margin is short of, of which a tenth is the fund's.
    assert reward == 37_500 * WAD // 1_000
    assert event(short_of_margin, "Liquidated", "MarginMarket") == (
        trader("maker"),
        trader("liquidator"),
        ETH,
        100,
        price_of(short_of_margin),
        reward,
        reward // 10,
    )
    assert position(short_of_margin, "maker").size == 900
    assert position(short_of_margin, "liquidator") == (100, 1_750 * WAD)
    assert worth(short_of_margin, "maker").equity == 500 * WAD - reward
    assert worth(short_of_margin, "liquidator").equity == 50_000 * WAD + reward - reward // 10
    assert interest(short_of_margin) == (2, 1, 1_000, 0)
    assert books(short_of_margin) == 0


def test_nobody_who_is_safe(open_interest):
    """At the maintenance margin to the wei: 20,000 less 3,000 is 95 percent of 17,894.73..."""
    open_interest.do("MarginMarket.withdraw", 1_000 * WAD, "receiver", sender=trader("maker"))
    move(open_interest, "WETH", 1_895)
    assert worth(open_interest, "maker").equity == 950 * WAD
    with reverts("margin_market: safe account"):
        liquidate(open_interest, "maker", 1)
    with reverts("margin_market: not so many lots"):
        liquidate(open_interest, "third", 1)


def test_no_more_than_brings_it_back_to_its_initial_margin(short_of_margin):
    lots = most(short_of_margin, "maker")
    with reverts("margin_policy: more than needed"):
        liquidate(short_of_margin, "maker", lots + 1)
    liquidate(short_of_margin, "maker", lots)
    found = worth(short_of_margin, "maker", LIQUIDATION)
    assert found.equity * BASIS_POINTS >= found.initial
    # One lot less would not have.
    assert (found.equity + 2 * WAD) * BASIS_POINTS < found.initial + 2 * 175 * WAD * BASIS_POINTS // 100
    with reverts("margin_market: safe account"):
        liquidate(short_of_margin, "maker", 1)


@pytest.mark.parametrize("price", [1_785, 1_750, 1_720, 1_703])
def test_no_account_is_left_worse(open_interest, price):
    move(open_interest, "WETH", price)
    before = worth(open_interest, "maker", LIQUIDATION)
    for lots in (1, 137, 400):
        with open_interest.lockstep.imagine():
            liquidate(open_interest, "maker", lots)
            after = worth(open_interest, "maker", LIQUIDATION)
        assert after.equity * before.maintenance >= before.equity * after.maintenance
        assert after.equity >= 0


def test_the_reward_is_never_more_than_is_left(open_interest):
    """All of it goes with all of the position, and no protocol money."""
    move(open_interest, "WETH", 1_701)
    assert worth(open_interest, "maker").equity == 10 * WAD
    assert liquidate(open_interest, "maker", 1_000) == 10 * WAD
    assert cash(open_interest, "maker") == 0
    assert books(open_interest) == 0


def test_a_bankrupt_account_is_not_for_liquidators(open_interest):
    move(open_interest, "WETH", 1_699)
    with reverts("margin_market: bankrupt account"):
        liquidate(open_interest, "maker", 1)


def test_at_nothing_left_anybody_may_take_it_over(open_interest):
    move(open_interest, "WETH", 1_700)
    assert liquidate(open_interest, "maker", 1_000) == 0


def test_dust_goes_as_a_whole(margin):
    """Under 100 of notional nothing is left behind; but all goes only if the least that is none would."""
    stage(margin, taker=1_000, liquidator=1_000)
    deposit(margin, "maker", 434 * WAD // 10)
    fill(margin, "maker", "taker", 13)
    move(margin, "WETH", 1_750)
    # Six lots are the least that are no dust.
    with reverts("margin_policy: dust is left"):
        liquidate(margin, "maker", 8)
    with reverts("margin_policy: more than needed"):
        liquidate(margin, "maker", 13)
    move(margin, "WETH", 1_703)
    liquidate(margin, "maker", 13)
    assert interest(margin).longs == 1


def test_the_liquidator_needs_margin(short_of_margin):
    stage(short_of_margin, fourth=10)
    with reverts("margin_market: initial margin"):
        liquidate(short_of_margin, "maker", 100, by="fourth")
    # One that is short reduces by it.
    liquidate(short_of_margin, "maker", 100, by="taker")
    assert interest(short_of_margin) == (1, 1, 900, 0)


def test_not_oneself(short_of_margin):
    with reverts("margin_market: own account"):
        liquidate(short_of_margin, "maker", 1, by="maker")


def test_a_friend_gains_nothing(short_of_margin):
    """What an account loses by its liquidation, the friend gets less of: the fund has its share."""
    both = [worth(short_of_margin, name).equity for name in ("maker", "third")]
    liquidate(short_of_margin, "maker", 200, by="third")
    after = [worth(short_of_margin, name).equity for name in ("maker", "third")]
    assert sum(both) - sum(after) == short_of_margin.read("MarginMarket.fees") > 0


def test_needs_prices_of_all_its_markets(short_of_margin):
    fill(short_of_margin, "taker", "third", 100, BTC)
    move(short_of_margin, "WETH", 3_900)
    short_of_margin.advance(14_401)
    short_of_margin.post_price("WETH", 3_900 * 10**27)
    with reverts("margin_policy: no price"):
        liquidate(short_of_margin, "taker", 1)


def test_a_halt_stops_it(short_of_margin):
    short_of_margin.do("PriceFeed.set_halted", ETH, True, sender="admin")
    with reverts("margin_policy: no price"):
        liquidate(short_of_margin, "maker", 1)


def test_not_in_a_frozen_market(open_interest):
    fill(open_interest, "third", "taker", 100)
    move(open_interest, "WETH", 1_500)
    begin(open_interest, "maker")
    with reverts("margin_market: market is frozen"):
        liquidate(open_interest, "third", 1)


def test_a_smaller_discount_is_a_smaller_reward(new_protocol):
    made = opened(new_protocol, with_margin())
    made.do("MarginPolicy.set_terms", ETH, terms(discount=1_000), sender="admin")
    stage(made, maker=3_000, taker=20_000, liquidator=50_000)
    fill(made, "maker", "taker", 1_000)
    move(made, "WETH", 1_750)
    assert liquidate(made, "maker", 100) == 3_750 * WAD // 1_000


def test_a_gain_that_may_have_to_pay_is_no_reward(open_interest):
    """In another market, while that of the gain is frozen: 800 of equity, of which 500 is reserved."""
    stage(open_interest, fourth=6_300, fifth=50_000)
    fill(open_interest, "liquidator", "fourth", 100)
    fill(open_interest, "fourth", "fifth", 1_000, BTC)
    move(open_interest, "WBTC", 54_000)
    move(open_interest, "WETH", 1_500)
    begin(open_interest, "maker")
    assert worth(open_interest, "fourth").equity == 800 * WAD
    with reverts("margin_market: gain is reserved"):
        liquidate(open_interest, "fourth", 500, BTC, by="fifth")
    liquidate(open_interest, "fourth", 300, BTC, by="fifth")
    assert worth(open_interest, "fourth").equity >= 500 * WAD


def test_a_gain_that_may_have_to_pay_takes_nothing_over(new_protocol):
    """2.5 a lot are lost, at prices of when the market was frozen; of 8,500 of equity 8,000 are reserved."""
    made = opened(new_protocol, with_margin(freeze_time=86_400))
    stage(made, maker=3_000, taker=20_000, third=10_000, fourth=8_500, liquidator=50_000)
    fill(made, "maker", "taker", 1_000)
    fill(made, "fourth", "third", 1_000)
    fill(made, "liquidator", "fourth", 1_000, BTC)
    move(made, "WETH", 1_200)
    made.do("MarginMarket.withdraw", 19_500 * WAD, "rich", sender=trader("taker"))
    begin(made, "maker")
    move(made, "WBTC", 57_500)
    with reverts("margin_market: gain is reserved"):
        liquidate(made, "fourth", 500, BTC, by="taker")
    liquidate(made, "fourth", 100, BTC, by="taker")
    assert made.read("MarginMarket.frozen_of", trader("taker")).equity >= 8_000 * WAD
