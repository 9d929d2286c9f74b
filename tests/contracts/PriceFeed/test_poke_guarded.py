"""poke with guards: a price far from the average waits, a feed that comes back leaves owners time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstop.contract_base import World
from backstop.model.arithmetic import RAY
from backstop.model.price_feed import PriceFeed

USUAL = 100


@pytest.fixture
def guarded(market):
    """Ten percent, one confirmation; a window of history at 100."""
    market.guard(deviation=1_000)
    market.poke(USUAL, USUAL, USUAL)
    market.steps(USUAL, USUAL)
    return market


def test_inside_nothing_waits(guarded):
    assert guarded.steps(110, 90, 95) == [(100, 110), (110, 90), (90, 95)]


@pytest.mark.parametrize("price", [110, 90])
def test_the_edge_is_inside(guarded, price):
    assert guarded.steps(price) == [(USUAL, price)]


@pytest.mark.parametrize("price", [110 * RAY + 1, 90 * RAY - 1])
def test_beyond_the_edge(guarded, price):
    guarded.protocol.advance(guarded.step)
    for reporter in guarded.reporters[:3]:
        guarded.protocol.do("PriceFeed.report", guarded.id, price, sender=reporter)
    assert guarded.poke() == (USUAL, 0)
    log = guarded.protocol.last.logs[0]
    assert (log.event, log.values) == ("Suspected", (guarded.id, price, USUAL * RAY))
    assert guarded.read("risk_price") == 0
    assert guarded.read("current_price") == USUAL * RAY


def test_the_next_price_of_before_still_becomes_current(guarded):
    assert guarded.steps(95, 50) == [(100, 95), (95, 0)]


@pytest.mark.parametrize("confirmations", [1, 2, 3])
def test_a_wick_no_longer_than_the_wait_never_counts(guarded, confirmations):
    guarded.guard(1_000, confirmations)
    waiting = [(USUAL, 0)] * confirmations
    assert guarded.steps(*[50] * confirmations, USUAL, USUAL) == [*waiting, (100, 100), (100, 100)]
    assert guarded.read("guards_of")[5] == 0


@pytest.mark.parametrize("confirmations", [1, 2, 3])
def test_a_crash_is_late_by_the_wait(guarded, confirmations):
    guarded.guard(1_000, confirmations)
    waiting = [(USUAL, 0)] * confirmations
    assert guarded.steps(*[50] * (confirmations + 2)) == [*waiting, (100, 50), (50, 50)]


@pytest.mark.parametrize("confirmations", [1, 2, 3])
def test_a_rise_is_late_by_the_wait(guarded, confirmations):
    guarded.guard(1_000, confirmations)
    waiting = [(USUAL, 0)] * confirmations
    assert guarded.steps(*[200] * (confirmations + 2)) == [*waiting, (100, 200), (200, 200)]


def test_what_is_confirmed_is_the_price_of_that_moment(guarded):
    assert guarded.steps(50, 40, 40) == [(100, 0), (100, 40), (40, 40)]


def test_after_a_confirmed_crash_small_moves_follow_at_once(guarded):
    """The average has not followed yet: the confirmed price is the measure."""
    assert guarded.steps(50, 50, 46, 47) == [(100, 0), (100, 50), (50, 46), (46, 47)]
    assert guarded.read("guards_of")[5] == 1


def test_and_another_leap_waits_again(guarded):
    assert guarded.steps(50, 50, 20, 50) == [(100, 0), (100, 50), (50, 0), (50, 50)]
    assert guarded.steps(20, 20, 20) == [(50, 0), (50, 20), (20, 20)]


def test_a_crash_that_goes_on_falling_is_no_later(guarded):
    """Every leg is far from the one before: the price is at most one step later than without a guard."""
    assert guarded.steps(80, 60, 40, 20, 10) == [(100, 0), (100, 60), (60, 0), (60, 20), (20, 0)]


def test_a_price_to_and_fro_blocks_new_risk_only(guarded):
    found = guarded.steps(50, 100, 50, 100, 50, 100)
    assert found == [(100, 0), (100, 100)] * 3


def test_a_price_far_above_and_far_below_does_not_freeze_the_feed(guarded):
    assert guarded.steps(200, 50, 200, 50) == [(100, 0), (100, 50), (50, 0), (50, 50)]


def test_the_first_price_has_nothing_to_deviate_from(market):
    market.guard(deviation=1)
    assert market.poke(100, 100, 100) == (100, 100)


def test_after_a_gap_it_counts_at_once_and_nothing_is_lent_at_it(guarded):
    guarded.protocol.advance(guarded.stale_after)
    assert guarded.steps(50) == [(50, 0)]
    assert guarded.read("risk_price") == 0
    assert guarded.read("liquidation_price") == 50 * RAY
    assert guarded.steps(50, 50) == [(50, 50), (50, 50)]


def test_after_a_gap_inside_as_always(guarded):
    guarded.protocol.advance(guarded.stale_after)
    assert guarded.steps(95) == [(95, 95)]


def test_a_minority_of_reporters_suspects_nothing(guarded):
    guarded.protocol.advance(guarded.step)
    assert guarded.poke(1, 100, 100, 100) == (100, 100)


def test_a_grace_begins_with_the_end_of_a_gap(market):
    market.guard(grace=7_000)
    assert market.poke(100, 100, 100) == (100, 100)
    market.protocol.advance(market.stale_after + 1)
    assert market.poke(80, 80, 80) == (80, 0)
    until = market.protocol.timestamp + 7_000
    assert [log.values for log in market.protocol.last.logs if log.event == "GraceStarted"] == [
        (market.id, until)
    ]
    assert market.read("withheld") == 80 * RAY


def test_prices_go_on_in_it_and_after_it(market):
    market.guard(grace=7_000)
    market.poke(100, 100, 100)
    market.protocol.advance(market.stale_after)
    assert market.steps(80, 70, 60, 50) == [(80, 0), (80, 0), (70, 60), (60, 50)]
    assert market.read("withheld") == 0


def test_the_last_moment_before_a_gap_begins_none(market):
    market.guard(grace=7_000)
    market.poke(100, 100, 100)
    market.protocol.advance(market.stale_after)
    assert market.poke(80, 80, 80) == (100, 80)
    assert market.read("guards_of")[6] == 0


def test_a_second_gap_begins_another(market):
    market.guard(grace=7 * 86_400)
    market.poke(100, 100, 100)
    for _ in range(2):
        market.protocol.advance(market.stale_after + 1)
        assert market.poke(80, 80, 80) == (80, 0)
        assert market.read("guards_of")[6] == market.protocol.timestamp + 7 * 86_400


REPORTERS = tuple(f"0x{i:040x}" for i in (1, 2, 3))


@given(
    prices=st.lists(st.integers(1, 10**6), min_size=8, max_size=40),
    deviation=st.integers(1, 10_000),
    confirmations=st.integers(1, 3),
)
def test_no_price_is_later_than_its_confirmations(prices, deviation, confirmations):
    """In any market, the current price is a median of one of the last few steps."""
    world = World(10**9, 1)
    feed = PriceFeed(world, "PriceFeed", "0x" + "ff" * 20, REPORTERS[0])
    feed.set_market(REPORTERS[0], 0, REPORTERS, 3, 60, 60, 600, 600)
    feed.set_guards(REPORTERS[0], 0, deviation, confirmations, 0, 0)
    for at, price in enumerate(prices):
        world.timestamp += 60
        for reporter in REPORTERS:
            feed.report(reporter, 0, price)
        feed.poke(REPORTERS[0], 0)
        late = prices[max(0, at - 1 - confirmations) : at] or [price]
        assert feed.prices[0].current in late
