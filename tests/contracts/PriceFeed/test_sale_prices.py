"""sale_prices, highest_and_average: the start price of a sale, the highest known price, the average."""

import random

import pytest

from backstop.model.arithmetic import RAY
from backstop.model.bounds import GUARDIAN_HALT
from tests.support.revert_setter_and_source_helpers import GUARDIAN

GRACE, DEAD_AFTER = 3_600, 86_400


def prices(market):
    """Return the start price of a sale and the highest price, in whole stablecoins, equal in all views."""
    price, highest = market.read("sale_prices")
    assert price == market.read("liquidation_price")
    assert market.read("highest_and_average") == (highest, market.read("time_weighted"))
    return price // RAY, highest // RAY


def test_nothing_before_the_first_price(market):
    assert prices(market) == (0, 0)
    market.report(100, 100, 100)
    assert prices(market) == (0, 0)


def test_nothing_of_a_market_that_there_is_not(protocol):
    assert protocol.read("PriceFeed.sale_prices", 31) == (0, 0)
    assert protocol.read("PriceFeed.highest_and_average", 31) == (0, 0)


def test_the_higher_of_current_and_next(market):
    market.poke(100, 100, 100)
    assert prices(market) == (100, 100)
    market.steps(130)
    assert prices(market) == (100, 130)
    market.steps(90)
    assert prices(market) == (130, 130)
    market.steps(90)
    assert prices(market) == (90, 90)


def test_a_next_price_from_before_a_gap_never_counts(market):
    market.guard(dead_after=DEAD_AFTER)
    market.poke(100, 100, 100)
    market.steps(130)
    market.protocol.advance(market.stale_after)
    assert prices(market) == (100, 130)
    market.protocol.advance(1)
    assert prices(market) == (0, 0)
    market.protocol.advance(DEAD_AFTER)
    assert prices(market) == (100, 100)


def test_what_a_halt_holds_back(market):
    market.poke(100, 100, 100)
    market.steps(130)
    market.halt()
    assert prices(market) == (0, 130)
    market.steps(160)
    assert prices(market) == (0, 160)
    market.halt(False)
    assert prices(market) == (130, 160)


def test_what_a_grace_has_held_back(market):
    """The grace is over, and no account has stepped the feed since."""
    market.guard(grace=GRACE)
    market.poke(100, 100, 100)
    market.protocol.advance(market.stale_after + 1)
    market.poke(80, 80, 80)
    market.protocol.advance(GRACE - 1)
    assert prices(market) == (0, 80)
    market.protocol.advance(1)
    assert prices(market) == (80, 80)
    market.poke(120, 120, 120)
    assert prices(market) == (80, 120)


def test_what_reporters_say_while_theirs_waits(market):
    """The middle of a quorum of reports that are not too old, as `poke` would take it."""
    market.guard(deviation=2_000, confirmations=3)
    market.poke(100, 100, 100)
    assert market.steps(150) == [(100, 0)]
    assert prices(market) == (100, 150)
    market.report(170, 170)
    assert prices(market) == (100, 170)
    market.report(90, 90, 90)
    assert prices(market) == (100, 100)
    market.protocol.advance(market.max_age)
    assert prices(market) == (100, 100)
    market.report(180, 180)
    assert prices(market) == (100, 180)
    market.protocol.advance(1)
    # The third is too old.
    assert prices(market) == (100, 100)


def test_what_waits_in_a_halt(market):
    market.guard(deviation=2_000)
    market.poke(100, 100, 100)
    market.halt()
    market.steps(150)
    assert market.read("withheld") == 0
    assert prices(market) == (0, 150)


def test_an_issuers_word(protocol):
    protocol.do("PriceFeed.set_issuer", 9, "issuer", sender="admin")
    protocol.do("PriceFeed.set_price", 9, 3 * RAY, sender="issuer")
    assert protocol.read("PriceFeed.sale_prices", 9) == (3 * RAY, 3 * RAY)
    assert protocol.read("PriceFeed.highest_and_average", 9) == (3 * RAY, 3 * RAY)


@pytest.mark.parametrize("seed", range(3))
def test_no_guardian_moves_the_highest_price(market, seed):
    """A market that a guardian halts when possible has the same highest price as one without halts."""
    random_of = random.Random(seed)
    protocol = market.protocol
    protocol.do("PriceFeed.grant_role", GUARDIAN, "guardian", sender="admin")
    times = (market.step, market.max_age, market.stale_after, market.window)
    for id in (8, 9):
        protocol.do("PriceFeed.set_market", id, market.reporters, 3, *times, sender="admin")
        protocol.do("PriceFeed.set_guards", id, 2_000, 2, 0, 0, sender="admin")
    price, halts, held = 100 * RAY, random_of.randrange(20), 0
    for hour in range(60):
        price = price * random_of.choice((100, 100, 101, 99, 60, 70, 140, 160)) // 100
        for id in (8, 9):
            for reporter in market.reporters[:3]:
                protocol.do("PriceFeed.report", id, price, sender=reporter)
            protocol.do("PriceFeed.poke", id, sender="stranger")
        for _ in range(2):
            protocol.advance(market.step // 2)
            if hour == halts:
                protocol.do("PriceFeed.set_halted", 8, True, sender="guardian")
                halts = -1
            halted, free = (protocol.read("PriceFeed.sale_prices", id) for id in (8, 9))
            assert halted[1] == free[1]
            halted_average, free_average = (
                protocol.read("PriceFeed.highest_and_average", id) for id in (8, 9)
            )
            assert halted_average == free_average
            assert halted[0] in (0, free[0])
            held += halted[0] == 0
    assert halts == -1 and held == GUARDIAN_HALT * 2 // market.step
