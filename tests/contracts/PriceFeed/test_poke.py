"""poke: the next price becomes current, the median of fresh reports becomes next, once a step."""

from itertools import permutations

import pytest

from backstop.model.arithmetic import RAY
from tests.support.revert_setter_and_source_helpers import reverts


def test_the_first_sets_both(market):
    assert market.poke(10, 11, 12) == (10 + 1, 11)
    assert market.protocol.last.logs[0].values == (market.id, 11 * RAY, 11 * RAY)


def test_a_price_counts_one_step_after_it_is_public(market):
    market.poke(10, 10, 10)
    market.protocol.advance(market.step)
    assert market.poke(20, 20, 20) == (10, 20)
    market.protocol.advance(market.step)
    assert market.poke(30, 30, 30) == (20, 30)


def test_once_a_step(market):
    market.poke(10, 10, 10)
    market.protocol.advance(market.step - 1)
    market.report(20, 20, 20)
    with reverts("price_feed: too early"):
        market.poke()
    market.protocol.advance(1)
    assert market.poke() == (10, 20)


def test_an_unknown_market(market):
    with reverts("price_feed: no market"):
        market.protocol.do("PriceFeed.poke", market.id + 1, sender="stranger")


def test_too_few_reports(market):
    with reverts("price_feed: no quorum"):
        market.poke(10, 10)
    assert market.poke(10, 10, 10) == (10, 10)


def test_old_reports_do_not_count(market):
    market.report(10, 10)
    market.protocol.advance(market.max_age + 1)
    with reverts("price_feed: no quorum"):
        market.poke(None, None, 10)
    market.report(10)
    market.report(None, None, None, 10)
    assert market.poke() == (10, 10)


def test_a_report_counts_until_it_is_too_old(market):
    market.report(10, 10)
    market.protocol.advance(market.max_age)
    assert market.poke(None, None, 12) == (10, 10)


@pytest.mark.parametrize("order", list(permutations((7, 8, 9))))
def test_the_middle_of_three(market, order):
    assert market.poke(*order) == (8, 8)


@pytest.mark.parametrize("prices", [(9, 7, 8, 6), (6, 9, 7, 8), (7, 7, 9, 9), (9, 7, 7, 9)])
def test_of_four_the_lower_of_the_two_in_the_middle(market, prices):
    assert market.poke(*prices)[0] == sorted(prices)[1]


@pytest.mark.parametrize("prices", [(5, 1, 4, 2, 3), (1, 2, 3, 4, 5), (3, 3, 3, 1, 9), (1, 1, 2, 2, 2)])
def test_the_middle_of_five(market, prices):
    market.set([f"reporter_{i}" for i in range(1, 6)], quorum=5)
    for i, price in enumerate(prices, 1):
        market.protocol.do("PriceFeed.report", market.id, price * RAY, sender=f"reporter_{i}")
    assert market.poke()[0] == sorted(prices)[2]


def test_of_fifteen(market):
    reporters = [f"source_{i}" for i in range(15)]
    market.set(reporters, quorum=15)
    for i, reporter in enumerate(reporters):
        market.protocol.do("PriceFeed.report", market.id, (i * 7 % 15 + 1) * RAY, sender=reporter)
    assert market.poke() == (8, 8)


def test_a_next_price_from_before_a_gap_never_becomes_current(market):
    market.poke(10, 10, 10)
    market.protocol.advance(market.step)
    market.poke(500, 500, 500)
    market.protocol.advance(market.stale_after + 1)
    assert market.poke(20, 20, 20) == (20, 20)


def test_the_last_moment_before_a_gap(market):
    market.poke(10, 10, 10)
    market.protocol.advance(market.stale_after)
    assert market.poke(20, 20, 20) == (10, 20)
