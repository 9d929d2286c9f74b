"""poke early in a step: newer reports replace the next price, and nothing else changes."""

import pytest

from backstop.model.arithmetic import RAY
from backstop.model.bounds import EQUITY_MARKET, MAX_SIGNED_AGE
from backstop.model.roles import SETTLEMENT
from tests.support.revert_setter_and_source_helpers import reverts

USUAL = 100
EARLY = "price_feed: too early"


@pytest.fixture
def stepped(market):
    """A step that has just been made, with the reports of the last."""
    market.poke(USUAL, USUAL, USUAL)
    market.steps(USUAL, USUAL)
    return market


@pytest.fixture
def guarded(market):
    """Ten percent, one confirmation; a window of history at 100."""
    market.guard(deviation=1_000)
    market.poke(USUAL, USUAL, USUAL)
    market.steps(USUAL, USUAL)
    return market


def test_newer_reports_replace_the_next_price(stepped):
    assert stepped.poke(90, 90, 90) == (USUAL, 90)
    assert stepped.protocol.last.logs[0].values == (stepped.id, USUAL * RAY, 90 * RAY)
    assert stepped.poke(95, 95, 95) == (USUAL, 95)


def test_the_end_of_the_step_stays(stepped):
    fresh_until = stepped.read("prices_of").fresh_until
    average = stepped.protocol.table("PriceFeed", "averages", stepped.id)
    stepped.protocol.advance(stepped.step // 6)
    stepped.poke(101, 101, 101)
    assert stepped.read("prices_of").fresh_until == fresh_until
    assert stepped.protocol.table("PriceFeed", "averages", stepped.id) == average
    stepped.protocol.advance(stepped.step - stepped.step // 6)
    assert stepped.poke(80, 80, 80) == (101, 80)


@pytest.mark.parametrize(
    ("step", "last"),
    [(3_600, 600), (1_800, 300), (720, MAX_SIGNED_AGE), (600, MAX_SIGNED_AGE), (239, 119), (60, 30), (1, 0)],
)
def test_the_last_second_of_the_early_part(market, step, last):
    """A sixth of the step, or two minutes, but never its second half."""
    market.set(step=step)
    market.poke(USUAL, USUAL, USUAL)
    market.protocol.advance(step)
    market.poke()
    market.protocol.advance(last)
    assert market.poke(99, 99, 99) == (USUAL, 99)
    if last + 1 < step:
        market.protocol.advance(1)
        market.report(98, 98, 98)
        with reverts(EARLY):
            market.poke()


@pytest.mark.parametrize("prices", [(), (USUAL, USUAL, USUAL), (None, None, None, 1)])
def test_nothing_new(stepped, prices):
    """A minority's reports bring nothing new either."""
    stepped.report(*prices)
    with reverts(EARLY):
        stepped.poke()


def test_too_few_reports(market):
    market.poke(USUAL, USUAL, USUAL)
    market.set()
    market.report(90, 90)
    with reverts("price_feed: no quorum"):
        market.poke()


def test_the_price_of_the_first_step(market):
    """Both were set at once; the current one stays."""
    market.poke(USUAL, USUAL, USUAL)
    assert market.poke(90, 90, 90) == (USUAL, 90)


def test_a_fall_is_seen_at_once(stepped):
    looks = stepped.protocol.read("PriceFeed.withdrawals_paused_until")
    stepped.poke(50, 50, 50)
    assert (
        stepped.protocol.read("PriceFeed.withdrawals_paused_until")
        == stepped.protocol.timestamp + 600
        > looks
    )


def test_equity_has_no_falls(market):
    """A market that is no collateral type keeps none where its next price is renewed either."""
    times = market.step, market.max_age, market.stale_after, market.window
    market.protocol.do("PriceFeed.set_market", EQUITY_MARKET, market.reporters, 3, *times, sender="admin")
    looks = market.protocol.read("PriceFeed.withdrawals_paused_until")
    for price in (USUAL, 50):
        for reporter in market.reporters:
            market.protocol.do("PriceFeed.report", EQUITY_MARKET, price * RAY, sender=reporter)
        market.protocol.do("PriceFeed.poke", EQUITY_MARKET, sender="stranger")
    assert market.protocol.read("PriceFeed.prices_of", EQUITY_MARKET)[:2] == (USUAL * RAY, 50 * RAY)
    assert market.protocol.read("PriceFeed.withdrawals_paused_until") == looks


# ---------------------------------------------------------------------- guards


def test_a_price_outside_waits(guarded):
    assert guarded.poke(50, 50, 50) == (USUAL, 0)
    assert guarded.steps(50, 50) == [(USUAL, 50), (50, 50)]


def test_what_waits_was_counted_once(guarded):
    """Newer reports outside change nothing; the next step confirms."""
    assert guarded.steps(50) == [(USUAL, 0)]
    guarded.report(55, 55, 55)
    with reverts(EARLY):
        guarded.poke()
    assert guarded.steps(55) == [(USUAL, 55)]


def test_a_price_that_comes_back_waits_no_more(guarded):
    assert guarded.steps(50) == [(USUAL, 0)]
    assert guarded.poke(98, 98, 98) == (USUAL, 98)
    assert guarded.read("guards_of")[5] == 0
    assert guarded.steps(50) == [(98, 0)]


def test_a_wick_is_not_confirmed_by_its_own_reports(guarded):
    assert guarded.steps(50, 50) == [(USUAL, 0), (USUAL, 50)]
    assert guarded.poke(98, 98, 98) == (USUAL, 98)


def test_a_confirmed_price_is_replaced_by_one_that_is_outside_as_well(guarded):
    assert guarded.steps(50, 50) == [(USUAL, 0), (USUAL, 50)]
    assert guarded.poke(30, 30, 30) == (USUAL, 30)
    assert guarded.steps(30) == [(30, 30)]


def test_another_leap_waits(guarded):
    """From a price that was confirmed a step before."""
    assert guarded.steps(50, 50, 50) == [(USUAL, 0), (USUAL, 50), (50, 50)]
    assert guarded.poke(51, 51, 51) == (50, 51)
    assert guarded.poke(20, 20, 20) == (50, 0)


def test_a_halt_holds_the_newer_price_back(stepped):
    stepped.halt()
    assert stepped.poke(90, 90, 90) == (USUAL, 0)
    assert stepped.read("withheld") == 90 * RAY
    stepped.report(90, 90, 90)
    with reverts(EARLY):
        stepped.poke()
    stepped.halt(False)
    assert stepped.poke(80, 80, 80) == (USUAL, 80)
    assert stepped.read("withheld") == 0


def test_the_time_of_a_price_that_waits_is_counted_up_to_its_renewal(guarded):
    """For a final price, which counts no second in which a price waits."""
    guarded.steps(50)
    guarded.protocol.do("PriceFeed.grant_role", SETTLEMENT, "settlement", sender="admin")
    guarded.protocol.do("PriceFeed.begin_final_price", guarded.id, sender="settlement")
    guarded.protocol.advance(100)
    guarded.poke(98, 98, 98)
    assert guarded.protocol.table("PriceFeed", "settlement_price.closings", guarded.id).valid == 0
    guarded.protocol.advance(50)
    guarded.poke(99, 99, 99)
    assert guarded.protocol.table("PriceFeed", "settlement_price.closings", guarded.id).valid == 50
