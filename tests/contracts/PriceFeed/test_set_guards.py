"""set_guards: the conditions that keep a market's price from being used."""

import pytest

from backstop.model.arithmetic import RAY
from tests.support.revert_setter_and_source_helpers import reverts

DAY = 86_400


def test_is_logged_and_readable(market):
    assert market.read("guards_of") == (0, 0, 0, 0, False, 0, 0, False, False, False)
    market.guard(deviation=1_500, confirmations=2, grace=3_600, dead_after=DAY)
    (log,) = market.protocol.last.logs
    assert (log.event, log.values) == ("GuardsSet", (market.id, 1_500, 2, 3_600, DAY))
    assert market.read("guards_of") == (1_500, 2, 3_600, DAY, False, 0, 0, False, False, False)


@pytest.mark.parametrize("sender", ["stranger", "guardian", "reporter_1"])
def test_is_for_the_admin(market, sender):
    with reverts("roles: not admin"):
        market.protocol.do("PriceFeed.set_guards", market.id, 0, 1, 0, 0, sender=sender)


def test_an_unknown_market(market):
    with reverts("price_feed: no market"):
        market.protocol.do("PriceFeed.set_guards", market.id + 1, 0, 1, 0, 0, sender="admin")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"deviation": 10_001}, "price_feed: deviation bounds"),
        ({"confirmations": 0}, "price_feed: confirmation bounds"),
        ({"confirmations": 4}, "price_feed: confirmation bounds"),
        ({"grace": 7 * DAY + 1}, "price_feed: grace bounds"),
        ({"dead_after": 90 * DAY + 1}, "price_feed: dead bounds"),
    ],
)
def test_bounds(market, changes, reason):
    with reverts(reason):
        market.guard(**changes)
    assert market.read("guards_of") == (0, 0, 0, 0, False, 0, 0, False, False, False)


def test_at_the_bounds(market):
    market.guard(deviation=10_000, confirmations=3, grace=7 * DAY, dead_after=90 * DAY)
    assert market.read("guards_of")[:4] == (10_000, 3, 7 * DAY, 90 * DAY)
    market.guard(deviation=0, confirmations=1)
    assert market.read("guards_of")[:4] == (0, 1, 0, 0)


def test_the_market_keeps_them_and_they_the_market(market):
    before = market.read("config_of"), market.read("reporters_of")
    market.guard(deviation=1_500, confirmations=2, grace=3_600, dead_after=DAY)
    market.halt()
    assert (market.read("config_of"), market.read("reporters_of")) == before
    guards = market.read("guards_of")
    market.set(("new_1", "new_2", "new_3"), step=60, stale_after=62, window=63)
    assert market.read("guards_of") == guards
    assert market.read("config_of") == (3, 3, 60, market.max_age, 62, 63)


def test_what_they_have_begun_goes_on(market):
    market.guard(deviation=1_000, confirmations=3, grace=7 * DAY)
    market.poke(100, 100, 100)
    market.protocol.advance(market.stale_after)
    assert market.steps(50) == [(50, 0)]
    until = market.protocol.timestamp + 7 * DAY
    assert market.read("guards_of") == (1_000, 3, 7 * DAY, 0, False, 1, until, False, False, False)
    market.guard(deviation=2_000, confirmations=2)
    assert market.read("guards_of") == (2_000, 2, 0, 0, False, 1, until, False, False, False)


def test_fewer_confirmations_end_a_wait(market):
    market.guard(deviation=1_000, confirmations=3)
    market.poke(100, 100, 100)
    assert market.steps(50, 50) == [(100, 0), (100, 0)]
    market.guard(deviation=1_000, confirmations=1)
    assert market.steps(50, 50) == [(100, 50), (50, 50)]


def test_without_a_deviation_nothing_waits(market):
    market.guard(deviation=1_000, confirmations=3)
    market.poke(100, 100, 100)
    assert market.steps(50) == [(100, 0)]
    market.guard()
    assert market.steps(40, 40) == [(100, 40), (40, 40)]
    assert market.read("current_price") == 40 * RAY
    assert market.read("guards_of")[5] == 0
