"""final_price: the mean of the first six hours of valid prices, for any caller; it always answers."""

from random import Random

import pytest

from backstop.model.arithmetic import RAY
from backstop.model.roles import GUARDIAN, SETTLEMENT
from tests.support.revert_setter_and_source_helpers import get_revert_reason, reverts

HOUR, DAY = 3_600, 86_400
NOT_YET = (False, 0)


@pytest.fixture
def closing(market):
    """A market at 100 for a while, now averaging its price for settlement."""
    market.poke(100, 100, 100)
    market.steps(100, 100)
    begin(market)
    return market


def begin(market):
    market.protocol.do("PriceFeed.grant_role", SETTLEMENT, "settlement", sender="admin")
    market.protocol.do("PriceFeed.begin_final_price", market.id, sender="settlement")


def made(market):
    """Whether the price is final; the price in whole stablecoins."""
    final, price = market.read("final_price")
    return final, price / RAY


def test_the_mean_of_the_first_six_hours(closing):
    """Each price counts from the step in which it becomes current."""
    closing.steps(40, 70, 70, 70, 70)
    closing.protocol.advance(HOUR - 1)
    assert closing.read("final_price") == NOT_YET
    closing.protocol.advance(1)
    assert made(closing) == (True, (2 * 100 + 40 + 3 * 70) / 6)


def test_what_comes_later_changes_nothing(closing):
    closing.steps(100, 100, 100, 100, 100)
    closing.protocol.advance(HOUR)
    before = closing.read("final_price")
    closing.steps(10)
    logged = [log.values for log in closing.protocol.last.logs if log.event == "FinalPriceSet"]
    assert logged == [(closing.id, 100 * RAY)]
    closing.steps(10, 10)
    closing.protocol.advance(30 * DAY)
    assert closing.read("final_price") == before == (True, 100 * RAY)
    assert closing.read("guards_of")[7] is False


def test_it_is_rounded_down(closing):
    closing.protocol.advance(closing.step)
    for reporter in closing.reporters:
        closing.protocol.do("PriceFeed.report", closing.id, 100 * RAY + 1, sender=reporter)
    closing.poke()
    closing.steps(100, 100)
    closing.protocol.advance(closing.stale_after)
    assert closing.read("final_price") == (True, 100 * RAY)


def test_stale_time_does_not_count(closing):
    """Three hours of 100, in the last second too; a gap; then 40."""
    closing.protocol.advance(closing.stale_after + 1 + HOUR)
    closing.poke(40, 40, 40)
    closing.protocol.advance(3 * HOUR - 2)
    assert closing.read("final_price") == NOT_YET
    closing.protocol.advance(1)
    assert made(closing) == (True, pytest.approx((3 * 100 + 3 * 40) / 6, abs=0.01))


def test_halted_time_does_not_count(closing):
    closing.halt()
    closing.steps(40, 40)
    closing.halt(False)
    closing.steps(40, 40, 40, 40, 40)
    closing.protocol.advance(HOUR)
    assert made(closing) == (True, 40)


def test_a_halt_counts_for_two_days(closing):
    closing.halt()
    closing.steps(*[40] * 48)
    assert closing.read("final_price") == NOT_YET
    closing.steps(*[70] * 5)
    closing.protocol.advance(HOUR)
    assert made(closing) == (True, (2 * 40 + 4 * 70) / 6)


def test_a_guardians_halt_ends_by_itself(closing):
    closing.protocol.do("PriceFeed.grant_role", GUARDIAN, "guardian", sender="admin")
    closing.protocol.do("PriceFeed.set_halted", closing.id, True, sender="guardian")
    closing.steps(*[40] * 48)
    assert closing.read("final_price") == NOT_YET
    closing.steps(*[70] * 5)
    closing.protocol.advance(HOUR)
    assert made(closing) == (True, (2 * 40 + 4 * 70) / 6)


def test_time_in_which_a_price_waits_does_not_count(market):
    """Its first step, and the one in which it is confirmed and the old price is current again."""
    market.guard(deviation=1_000)
    market.poke(100, 100, 100)
    market.steps(100, 100)
    begin(market)
    assert market.steps(50, 50, 50) == [(100, 0), (100, 50), (50, 50)]
    market.steps(50, 50)
    market.protocol.advance(2 * HOUR)
    assert made(market) == (True, (2 * 100 + 4 * 50) / 6)


def test_too_short_a_time_counts_after_three_days_if_it_is_a_quarter(closing):
    closing.steps(40)
    closing.protocol.advance(3 * DAY - HOUR - 1)
    assert closing.read("final_price") == NOT_YET
    closing.protocol.advance(1)
    assert made(closing) == (True, 100)


@pytest.mark.parametrize(("seconds", "price"), [(5_399, 100), (5_400, 300)])
def test_else_it_is_the_average_of_before(market, seconds, price):
    """It was 100 until settlement began, and 300 from then on: for an hour and a half, or a second less."""
    market.poke(100, 100, 100)
    market.steps(100, 300, 300)
    begin(market)
    assert (market.read("time_weighted"), market.read("current_price")) == (100 * RAY, 300 * RAY)
    market.protocol.advance(seconds)
    market.halt()
    market.protocol.advance(3 * DAY - seconds)
    assert made(market) == (True, price)


def test_the_average_is_of_the_last_second_that_was_fresh(market):
    """Not of all the time for which it has been stale: that would be the last price."""
    market.poke(100, 100, 100)
    market.steps(100, 500, 500)
    market.protocol.advance(10 * DAY)
    begin(market)
    market.protocol.advance(3 * DAY)
    assert 100 < made(market)[1] < 500


def test_a_market_that_never_had_a_price(market):
    begin(market)
    assert market.read("final_price") == NOT_YET
    market.protocol.advance(3 * DAY)
    assert market.read("final_price") == (True, 0)


def test_no_market_at_all(protocol):
    assert protocol.read("PriceFeed.final_price", 31) == NOT_YET


def test_an_issuers_word_of_the_beginning(protocol):
    protocol.do("PriceFeed.set_issuer", 31, "issuer", sender="admin")
    protocol.do("PriceFeed.set_price", 31, 7 * RAY, sender="issuer")
    protocol.do("PriceFeed.grant_role", SETTLEMENT, "settlement", sender="admin")
    protocol.do("PriceFeed.begin_final_price", 31, sender="settlement")
    protocol.do("PriceFeed.set_price", 31, 3 * RAY, sender="issuer")
    assert protocol.read("PriceFeed.final_price", 31) == (True, 7 * RAY)


@pytest.mark.parametrize("seed", range(6))
def test_one_answer_whoever_asks_and_whenever(market, seed):
    """Random prices, gaps, halts, suspects; the seconds are counted one by one, and both agree with that."""
    random = Random(seed)
    market.guard(deviation=1_000, confirmations=1, grace=600)
    market.poke(100, 100, 100)
    market.steps(100, 100)
    begin(market)
    begun_at = market.protocol.timestamp
    total = seconds = 0
    final = None
    while final is None:
        state = market.read("prices_of"), market.read("guards_of"), market.read("withheld")
        start = market.protocol.timestamp
        market.protocol.advance(random.choice((600, HOUR, HOUR, 2 * HOUR, 5 * HOUR, 20 * HOUR)))
        (price, following, fresh_until), guards, withheld = state
        for second in range(start, market.protocol.timestamp):
            held = second < begun_at + 2 * DAY and (guards[4] or second < guards[6])
            waits = guards[5] and not following and not withheld
            over = seconds == 6 * HOUR or second >= begun_at + 3 * DAY
            if second <= fresh_until and not (held or waits or over):
                seconds, total = seconds + 1, total + price
        if seconds == 6 * HOUR or market.protocol.timestamp >= begun_at + 3 * DAY:
            final = total // seconds if 4 * seconds >= 6 * HOUR else 100 * RAY
            break
        assert market.read("final_price") == NOT_YET
        if random.random() < 0.3:
            market.halt(random.random() < 0.5)
        if random.random() < 0.9:
            price = random.choice((95, 100, 105, 50, 200))
            for reporter in market.reporters[:3]:
                market.protocol.do("PriceFeed.report", market.id, price * RAY, sender=reporter)
            get_revert_reason(market.protocol, "PriceFeed.poke", market.id, sender="stranger")
    assert market.read("final_price") == (True, final)
    market.protocol.advance(random.randrange(5 * DAY))
    for price in (10, 900):
        market.steps(price, price)
        assert market.read("final_price") == (True, final)


@pytest.mark.parametrize("sender", ["stranger", "admin", "guardian", "reporter_1"])
def test_is_begun_by_settlement_alone(market, sender):
    with reverts("roles: missing role"):
        market.protocol.do("PriceFeed.begin_final_price", market.id, sender=sender)


def test_is_begun_once(closing):
    with reverts("price_feed: closing has begun"):
        closing.protocol.do("PriceFeed.begin_final_price", closing.id, sender="settlement")


def test_reporters_and_guards_stay_as_they_are_until_it_is_final(closing):
    for change in (closing.set, closing.guard):
        with reverts("price_feed: is closing"):
            change()
    closing.protocol.advance(3 * DAY)
    closing.steps(100)
    closing.set()
    closing.guard()


def test_no_issuer_comes_in_between(protocol):
    protocol.do("PriceFeed.grant_role", SETTLEMENT, "settlement", sender="admin")
    protocol.do("PriceFeed.begin_final_price", 31, sender="settlement")
    with reverts("price_feed: is closing"):
        protocol.do("PriceFeed.set_issuer", 31, "issuer", sender="admin")
