"""set_market: the reporters of a price and the rules that make it."""

import pytest

from backstop.model.arithmetic import RAY
from tests.support.revert_setter_and_source_helpers import reverts

DAY, NOBODY = 86_400, "0x" + "00" * 20


def test_is_logged_and_readable(market):
    market.set(market.reporters[:4], quorum=4, step=60, max_age=61, stale_after=62, window=63)
    assert market.read("config_of") == (4, 4, 60, 61, 62, 63)
    listed = tuple(market.protocol.address(name) for name in market.reporters[:4])
    assert market.read("reporters_of") == listed
    market.set(quorum=3)
    (log,) = market.protocol.last.logs
    assert log.values[0] == market.id and log.values[2:] == (3, *market.read("config_of")[2:])


@pytest.mark.parametrize("sender", ["stranger", "guardian", "reporter_1"])
def test_is_for_the_admin(market, sender):
    with reverts("roles: not admin"):
        market.protocol.do(
            "PriceFeed.set_market", market.id, market.reporters, 3, 60, 60, 60, 60, sender=sender
        )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"quorum": 2}, "price_feed: quorum bounds"),
        ({"quorum": 5}, "price_feed: quorum bounds"),
        ({"step": 0}, "price_feed: step bounds"),
        ({"step": DAY + 1, "stale_after": 2 * DAY}, "price_feed: step bounds"),
        ({"max_age": 0}, "price_feed: age bounds"),
        ({"max_age": 7 * DAY + 1}, "price_feed: age bounds"),
        ({"stale_after": 3_599}, "price_feed: stale bounds"),
        ({"stale_after": 7 * DAY + 1}, "price_feed: stale bounds"),
        ({"window": 59}, "price_feed: window bounds"),
        ({"window": 7 * DAY + 1}, "price_feed: window bounds"),
        ({"reporters": ("reporter_1", "reporter_2", NOBODY)}, "price_feed: zero reporter"),
        ({"reporters": ("reporter_1", "reporter_2", "reporter_1")}, "price_feed: reporter twice"),
        ({"reporters": ("reporter_1", "reporter_2")}, "price_feed: quorum bounds"),
        ({"reporters": tuple(f"source_{i}" for i in range(16))}, ""),
    ],
)
def test_bounds(market, changes, reason):
    before = market.read("config_of"), market.read("reporters_of")
    with reverts(reason):
        market.set(**changes)
    assert (market.read("config_of"), market.read("reporters_of")) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"step": 1, "max_age": 1, "stale_after": 1, "window": 60},
        {"step": DAY, "max_age": 7 * DAY, "stale_after": 7 * DAY, "window": 7 * DAY},
        {"reporters": tuple(f"source_{i}" for i in range(15)), "quorum": 15},
        {"reporters": tuple(f"source_{i}" for i in range(14)), "quorum": 13},
        {"quorum": 4},
    ],
)
def test_at_the_bounds(market, changes):
    market.set(**changes)


def test_old_reporters_lose_their_voice_and_their_reports(market):
    market.report(10, 10, 10)
    market.set(("reporter_1", "new_2", "new_3"))
    assert market.read("report_of", "reporter_1") == (0, 0, 0, 0, 0)
    with reverts("price_feed: not a reporter"):
        market.report(None, 10)
    for reporter in ("new_2", "new_3"):
        market.protocol.do("PriceFeed.report", market.id, 20 * RAY, sender=reporter)
    with reverts("price_feed: no quorum"):
        market.poke()
    assert market.poke(20) == (20, 20)


def test_prices_stay(market):
    market.poke(10, 10, 10)
    market.protocol.advance(market.step)
    market.poke(20, 20, 20)
    before = market.read("prices_of"), market.read("time_weighted")
    market.set(("new_1", "new_2", "new_3"), stale_after=market.step)
    assert (market.read("prices_of"), market.read("time_weighted")) == before


@pytest.mark.parametrize("count", range(3, 16))
def test_no_minority_is_half_of_a_quorum(market, count):
    """Of an even number one may be silent, of an odd one none: the least of all is tried, and one less."""
    least = count - 1 if count % 2 == 0 else count
    listed = tuple(f"source_{i}" for i in range(count))
    market.set(listed, quorum=least)
    if least > 3:
        with reverts("price_feed: minority is half"):
            market.set(listed, quorum=least - 1)
