"""plan_final_price, final_price_from, mark_within: a price as in settlement, from a planned moment on."""

from random import Random

import pytest

from backstop.model.arithmetic import RAY
from backstop.model.roles import SETTLEMENT
from tests.support.revert_setter_and_source_helpers import get_revert_reason, reverts

HOUR, DAY = 3_600, 86_400
NOT_YET = (False, 0)


@pytest.fixture
def running(market):
    """A market at 100 for a while."""
    market.protocol.do("PriceFeed.grant_role", SETTLEMENT, "settlement", sender="admin")
    market.poke(100, 100, 100)
    market.steps(100, 100)
    return market


def plan(market, at):
    market.protocol.do("PriceFeed.plan_final_price", market.id, at, sender="settlement")


def begin(market):
    market.protocol.do("PriceFeed.begin_final_price", market.id, sender="settlement")


def mark(market, at):
    """Return the mark [ray].

    The prices stand still, so both ends are the mark, but for the rounding of the high one, and as long as
    the next price can be replaced.
    """
    price, low, high = market.read("mark_within", 60, at)
    stepped_at = market.protocol.lockstep.model.world.contracts["PriceFeed"].averages[market.id].stepped_at
    if market.protocol.timestamp > stepped_at + HOUR // 6:
        assert low == price <= high <= price + 1
    assert low <= price <= high
    return price


def test_it_begins_by_itself_at_its_moment(running):
    """No call comes in that second: half an hour of 100 is left of the step before, then all is 40."""
    at = running.protocol.timestamp + HOUR + 1_800
    plan(running, at)
    assert running.read("planned_for") == at
    running.steps(40, 40, 40, 40, 40, 40)
    assert running.read("final_price_from", at) == NOT_YET
    running.protocol.advance(HOUR + 1_799)
    assert running.read("final_price_from", at) == NOT_YET
    running.protocol.advance(1)
    assert running.read("final_price_from", at) == (True, (1_800 * 100 + 19_800 * 40) * RAY // 21_600)
    running.steps(9)
    logged = [log.values for log in running.protocol.last.logs if log.event == "FinalPriceSet"]
    assert logged == [(running.id, (1_800 * 100 + 19_800 * 40) * RAY // 21_600)]


@pytest.mark.parametrize("seed", range(6))
def test_it_is_what_settlement_would_have_made_from_that_second(running, seed):
    """Random prices, gaps, halts and suspects before and after it; calls at any time in between."""
    random, found = Random(seed), []
    at = running.protocol.timestamp + random.randrange(1, 2 * DAY)
    script = [
        (random.choice((600, HOUR, 2 * HOUR, 20 * HOUR)), random.random(), random.choice((95, 105, 50, 200)))
        for _ in range(20)
    ]
    for planned in (True, False):
        with running.protocol.lockstep.fork_state():
            running.guard(deviation=1_000, confirmations=1, grace=600)
            if planned:
                plan(running, at)
            for seconds, chance, price in script:
                until = running.protocol.timestamp + seconds
                if not planned and running.protocol.timestamp < at <= until:
                    running.protocol.advance(at - running.protocol.timestamp)
                    begin(running)
                running.protocol.advance(until - running.protocol.timestamp)
                if chance < 0.2:
                    running.halt(chance < 0.1)
                if chance < 0.9:
                    running.report(*[price] * 3)
                    get_revert_reason(running.protocol, "PriceFeed.poke", running.id, sender="stranger")
            running.protocol.advance(3 * DAY)
            view = ("final_price_from", at) if planned else ("final_price",)
            found.append(running.read(*view))
    assert found[0] == found[1] and found[0][0]


def test_in_an_idle_feed_nobody_has_to_say_that_it_has_begun(running):
    """The average of the last second that was fresh, as for settlement."""
    at = running.protocol.timestamp + DAY
    plan(running, at)
    running.steps(500, 500)
    assert running.read("final_price_from", at) == NOT_YET
    running.protocol.advance(5 * DAY)
    is_final, price = running.read("final_price_from", at)
    assert is_final and 100 * RAY < price < 500 * RAY
    before = running.read("final_price_from", at)
    running.steps(7, 7)
    assert running.read("final_price_from", at) == before


def test_settlement_counts_if_it_begins_before(running):
    at = running.protocol.timestamp + DAY
    plan(running, at)
    running.steps(40)
    begin(running)
    running.steps(*[40] * 5)
    running.protocol.advance(HOUR)
    settled = running.read("final_price")
    assert settled[0] and settled == running.read("final_price_from", at)
    running.steps(*[900] * 40)
    assert running.read("final_price_from", at) == settled == running.read("final_price_from", 0)


def test_settlement_later_has_a_price_of_its_own(running):
    at = running.protocol.timestamp + HOUR
    plan(running, at)
    running.steps(40, 40, 40, 40)
    begin(running)
    running.steps(*[70] * 6)
    running.protocol.advance(HOUR)
    own, settled = running.read("final_price_from", at), running.read("final_price")
    assert own[0] and settled[0] and own[1] < settled[1]


def test_the_mark_goes_over_to_the_final_price(running):
    """Where nothing is next the median counts for the missing part; once the price is final it stays."""
    at = running.protocol.timestamp + HOUR
    plan(running, at)
    running.steps(100)
    running.say(40, 40, 40)
    assert mark(running, 0) == 40 * RAY
    # An hour of the current price, an hour of the next.
    assert mark(running, at) == (2 * 100 + 4 * 40) * RAY // 6
    running.protocol.advance(70)
    assert mark(running, at) == 0
    running.steps(*[100] * 5)
    running.protocol.advance(HOUR - 71)
    running.say(70, 70, 70)
    assert mark(running, at) == 100 * RAY
    running.protocol.advance(HOUR)
    assert mark(running, at) == running.read("final_price_from", at)[1] == 100 * RAY


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("way", ["planned", "settled"])
def test_no_move_of_the_mark_is_known_before_it_is_made(running, seed, way):
    """At any second, before the moment or after it, it is the final price if all stays as it is."""
    random = Random(f"{way} {seed}")
    at = running.protocol.timestamp + random.randrange(1, 5 * HOUR)
    key = at if way == "planned" else 0
    if key:
        plan(running, at)

    def step(price, seconds=HOUR):
        """Advance time; the averaging begins by itself if no call has begun it by then."""
        running.protocol.advance(seconds)
        if not key and running.protocol.timestamp >= at and not running.read("guards_of")[7]:
            begin(running)
        running.say(*[price] * 3)

    for _ in range(random.randrange(1, 8)):
        step(random.choice((40, 100, 150, 300)))
        running.protocol.do("PriceFeed.poke", running.id, sender="stranger")
    waits, price = random.randrange(HOUR), random.choice((40, 100, 150, 300))
    step(price, waits)
    if not key and not running.read("guards_of")[7]:
        begin(running)
    expected = mark(running, key)
    step(price, HOUR - waits)
    while not running.read("final_price_from", key)[0]:
        running.protocol.do("PriceFeed.poke", running.id, sender="stranger")
        step(price)
    assert abs(expected - running.read("final_price_from", key)[1]) <= 1


def test_long_before_its_moment_the_mark_is_that_of_now(running):
    at = running.protocol.timestamp + 2 * HOUR
    plan(running, at)
    running.protocol.advance(HOUR)
    running.say(40, 40, 40)
    assert mark(running, at) == 40 * RAY
    running.protocol.advance(1)
    running.say(40, 40, 40)
    assert mark(running, at) == (100 + 21_599 * 40) * RAY // 21_600


def test_while_a_guard_keeps_the_next_price_back_that_of_now_counts(running):
    """Whether it will be the next is not known; nothing counts for the final price meanwhile."""
    at = running.protocol.timestamp + HOUR
    plan(running, at)
    running.guard(deviation=1_000, confirmations=2)
    running.steps(40)
    assert running.protocol.timestamp == at and running.read("prices_of")[1] == 0
    running.say(40, 40, 40)
    assert mark(running, at) == 40 * RAY


def test_in_the_last_second_of_a_price_the_next_still_counts(running):
    """A step in that second makes the next price current; a second later all is set anew."""
    fresh_until = running.read("prices_of")[2]
    plan(running, fresh_until)
    running.protocol.advance(fresh_until - running.protocol.timestamp)
    running.say(40, 40, 40)
    assert mark(running, fresh_until) == (HOUR * 100 + 5 * HOUR * 40) * RAY // 21_600
    running.protocol.advance(1)
    assert mark(running, fresh_until) == (100 + 21_599 * 40) * RAY // 21_600


def test_in_settlement_the_mark_goes_over_without_a_plan(running):
    begin(running)
    running.protocol.advance(HOUR)
    running.say(40, 40, 40)
    running.poke()
    assert mark(running, 0) == (2 * HOUR * 100 + 4 * HOUR * 40) * RAY // 21_600
    assert running.read("guards_of")[7:] == (True, False, True)


def test_a_range_goes_over_as_well(running):
    """Its ends count for the missing part, and the high is rounded up; the final price is both ends."""
    begin(running)
    running.protocol.advance(HOUR)
    for reporter in running.reporters:
        args = 40 * RAY, 10 * RAY, 50 * RAY + 40 * 10**21, 0
        running.protocol.do("PriceFeed.report_range", running.id, *args, sender=reporter)
    running.poke()
    # Two hours of the current price are known; the next is the median still, or what takes its place.
    assert running.read("mark_within", 60, 0) == (
        (2 * 100 + 4 * 40) * RAY // 6,
        (2 * 100 + 4 * 10) * RAY // 6,
        ((2 * 100 + 4 * 50) * RAY + 4 * 40 * 10**21) // 6 + 1,
    )
    # After ten minutes the next price is known as well.
    running.protocol.advance(HOUR // 6 + 1)
    for reporter in running.reporters:
        args = 40 * RAY, 10 * RAY, 50 * RAY + 40 * 10**21, 0
        running.protocol.do("PriceFeed.report_range", running.id, *args, sender=reporter)
    assert running.read("mark_within", 60, 0) == (
        (2 * 100 + 4 * 40) * RAY // 6,
        (2 * 100 + 40 + 3 * 10) * RAY // 6,
        ((2 * 100 + 40 + 3 * 50) * RAY + 3 * 40 * 10**21) // 6,
    )
    running.steps(*[40] * 6)
    final = running.read("final_price")
    assert final[0] and running.read("mark_within", 60, 0) == (final[1],) * 3


def test_one_after_the_other(running):
    at = running.protocol.timestamp + HOUR
    plan(running, at)
    plan(running, at)
    with reverts("price_feed: another is planned"):
        plan(running, at + 1)
    running.steps(*[100] * 8)
    plan(running, running.protocol.timestamp + DAY)
    assert running.read("final_price_from", at) == (True, 100 * RAY)
    # A moment that nobody planned has no price.
    assert running.read("final_price_from", at + 1) == NOT_YET


def test_it_is_planned_ahead_by_settlement_alone_and_not_once_that_has_begun(running):
    now = running.protocol.timestamp
    for at in (now, now - 1, 2**32):
        with reverts("price_feed: plan bounds"):
            plan(running, at)
    with reverts("roles: missing role"):
        running.protocol.do("PriceFeed.plan_final_price", running.id, now + 1, sender="admin")
    with reverts("price_feed: no market"):
        running.protocol.do("PriceFeed.plan_final_price", 31, now + 1, sender="settlement")
    begin(running)
    with reverts("price_feed: closing has begun"):
        plan(running, now + 1)


def test_reporters_and_guards_stay_as_they_are_from_the_moment_until_it_is_final(running):
    at = running.protocol.timestamp + DAY
    plan(running, at)
    running.protocol.advance(DAY - 1)
    running.set()
    running.guard(grace=60)
    running.protocol.advance(1)
    for change in (running.set, running.guard):
        with reverts("price_feed: is closing"):
            change()
    # A feed that is dead may have other reporters once the price is final, though nobody steps it.
    running.protocol.advance(3 * DAY)
    before = running.read("final_price_from", at)
    running.set()
    assert before[0] and running.read("final_price_from", at) == before


def test_the_plan_is_told(running):
    at = running.protocol.timestamp + DAY
    plan(running, at)
    assert [(log.event, log.values) for log in running.protocol.last.logs] == [
        ("FinalPricePlanned", (running.id, at))
    ]
