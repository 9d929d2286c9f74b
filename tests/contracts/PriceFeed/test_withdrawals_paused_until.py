"""withdrawals_paused_until: payments wait for ten minutes after a price has fallen by 5%, not for ever."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstop.contract_base import World
from backstop.model.arithmetic import RAY
from backstop.model.bounds import EQUITY_MARKET, LOOK, MAX_LOOK
from backstop.model.price_feed import PriceFeed
from tests.contracts.PriceFeed.conftest import MARKET, REPORTERS

MINUTE = 60


def waits(market):
    """For how long payments wait from now on [seconds]; 0 if they do not."""
    return max(0, market.protocol.read("PriceFeed.withdrawals_paused_until") - market.protocol.timestamp)


@pytest.fixture
def calm(market):
    """At 1000, a step a minute."""
    market.step = MINUTE
    market.set(step=MINUTE)
    market.poke(1000, 1000, 1000)
    return market


def test_the_first_price_has_not_fallen(calm):
    assert waits(calm) == 0


@pytest.mark.parametrize(("price", "expected"), [(951, 0), (950, LOOK), (1, LOOK)])
def test_five_percent(calm, price, expected):
    assert calm.steps(price) == [(1000, price)]
    assert waits(calm) == expected


def test_once_it_is_known_and_not_again_once_it_counts(calm):
    calm.steps(900, 900)
    assert waits(calm) == LOOK - MINUTE


def test_many_steps_count_as_one_fall_however_slow(calm):
    for price in (990, 980, 970, 960, 951):
        calm.steps(price)
        calm.protocol.advance(LOOK)
        assert waits(calm) == 0
    calm.steps(950)
    assert waits(calm) == LOOK


def test_a_higher_price_is_what_later_ones_are_measured_by(calm):
    calm.steps(970, 2000, 2000, 1901)
    assert waits(calm) == 0
    calm.steps(1900)
    assert waits(calm) == LOOK


def test_it_is_measured_anew_after_a_fall(calm):
    calm.steps(900, 880, 856)
    assert waits(calm) == LOOK - 2 * MINUTE
    calm.steps(855)
    assert waits(calm) == LOOK


def test_one_that_is_held_back_counts(calm):
    """It can be flagged too."""
    calm.halt()
    assert calm.steps(900) == [(1000, 0)]
    assert waits(calm) == LOOK
    calm.steps(900)
    calm.halt(False)
    calm.steps(900)
    assert waits(calm) == LOOK - 2 * MINUTE


def test_one_that_waits_to_be_confirmed_counts_once_it_is(calm):
    calm.guard(deviation=1_000)
    calm.steps(1000)
    assert calm.steps(800) == [(1000, 0)]
    assert waits(calm) == 0
    assert calm.steps(800) == [(1000, 800)]
    assert waits(calm) == LOOK


def test_a_feed_that_comes_back_lower(calm):
    calm.protocol.advance(calm.stale_after + 1)
    assert calm.poke(900, 900, 900) == (900, 900)
    assert waits(calm) == LOOK


def test_equity_secures_no_debt(calm):
    args = EQUITY_MARKET, REPORTERS, 3, MINUTE, 7_200, 10_800, 5_400
    calm.protocol.do("PriceFeed.set_market", *args, sender="admin")
    for price in (100, 1):
        calm.protocol.advance(MINUTE)
        for reporter in REPORTERS[:3]:
            calm.protocol.do("PriceFeed.report", EQUITY_MARKET, price * RAY, sender=reporter)
        calm.protocol.do("PriceFeed.poke", EQUITY_MARKET, sender="stranger")
    assert waits(calm) == 0


def test_an_issuers_word_holds_nothing_up(calm):
    """It flags its own vault as it says so, and could say so for ever."""
    calm.protocol.do("PriceFeed.set_issuer", MARKET + 1, "issuer", sender="admin")
    for price in (RAY, RAY // 2):
        calm.protocol.do("PriceFeed.set_price", MARKET + 1, price, sender="issuer")
    assert waits(calm) == 0


def test_falls_in_a_row_hold_payments_up_for_a_day_in_all(calm):
    """Twenty minutes between two are no time; a second more is, and the day begins anew."""
    price = 10**6
    calm.steps(price, price)
    began = calm.protocol.timestamp + MINUTE
    while calm.protocol.timestamp < began + MAX_LOOK - 2 * LOOK:
        price = price * 93 // 100
        calm.steps(price)
        assert waits(calm) == LOOK
        calm.protocol.advance(2 * LOOK - MINUTE)
    calm.steps(price * 93 // 100)
    assert calm.protocol.read("PriceFeed.withdrawals_paused_until") == began + MAX_LOOK
    calm.protocol.advance(2 * LOOK - MINUTE)
    calm.steps(price * 80 // 100)
    assert waits(calm) == 0
    calm.protocol.advance(2 * LOOK + 1 - MINUTE)
    calm.steps(price * 60 // 100)
    assert waits(calm) == LOOK


@given(st.lists(st.tuples(st.integers(1, 1_500), st.integers(900, 1_050)), min_size=1, max_size=30))
def test_without_a_wait_no_price_is_much_lower_than_it_was(moves):
    """The price is compared with each in the ten minutes before; a wait is over after a day at the latest."""
    world = World(10**9, 1)
    feed = PriceFeed(world, "PriceFeed", "feed", "admin")
    feed.set_market("admin", MARKET, ("a", "b", "c"), 3, 1, 7_200, 10_800, 5_400)
    price, seen = 10**30, []
    for gap, permille in moves:
        world.timestamp += gap
        price = price * permille // 1_000
        for reporter in "abc":
            feed.report(reporter, MARKET, price)
        feed.poke("anyone", MARKET)
        now, prices = world.timestamp, feed.prices[MARKET]
        seen.append((now, min(prices.current, prices.next)))
        if feed.withdrawals_paused_until("") <= now:
            last = next(i for i in reversed(range(len(seen))) if seen[i][0] <= now - LOOK or i == 0)
            assert seen[-1][1] * 100 >= 95 * max(low for _, low in seen[last:])
