"""accrue: the moves of a mark that count, and the side they count for.

A lot starts at 20 and turns by a quarter of 5%.
"""

import pytest

from backstop.model.arithmetic import RAY, WAD
from backstop.model.interfaces import Mark
from backstop.model.price_path import LONG, MAX_GAINS, SHORT
from tests.support.margin_order_steps import build_perpetual_market_terms
from tests.support.perpetual_test_market import ETH, HOUSE

CENT = WAD // 100


@pytest.fixture
def still(market):
    """Two accounts, ten lots, no funding."""
    market.do("MarginPolicy.set_terms", ETH, build_perpetual_market_terms(max_funding=0), sender="admin")
    for name in ("long", "short"):
        market.deposit(name, 1_000 * WAD)
    market.trade("long", "short", 10)
    return market


def moves(market):
    """Return the price moves up and down so far, in cents."""
    found = market.market.moves[ETH, LONG]
    return found.gained // CENT, found.lost // CENT


def test_a_new_extreme_counts(still):
    for price in (2_001, 2_050, 2_049, 2_051):
        still.mark(ETH, price * CENT)
    assert moves(still) == (51, 0)
    assert still.market.totals[ETH, 1] == (510 * CENT, 0)


def test_less_than_a_turn_counts_for_nobody(still):
    """A turn is 1.25% of the price that it leads to: from 21 it is 26.25 cents at 21, and less below."""
    still.mark(ETH, 2_100 * CENT)
    still.mark(ETH, 2_075 * CENT)
    still.mark(ETH, 2_099 * CENT)
    assert moves(still) == (100, 0)
    still.mark(ETH, 2_074 * CENT)
    assert moves(still) == (100, 26)
    still.mark(ETH, 2_073 * CENT)
    still.mark(ETH, 2_098 * CENT)
    assert moves(still) == (100, 27)
    still.mark(ETH, 2_100 * CENT)
    assert moves(still) == (127, 27)


def test_what_was_opened_later_gains_later_only(still):
    still.mark(ETH, 2_100 * CENT)
    for name in ("late_long", "late_short"):
        still.deposit(name, 1_000 * WAD)
    still.trade("late_long", "late_short", 30)
    still.mark(ETH, 2_200 * CENT)
    assert still.standing("long").unfinal == 10 * 200 * CENT
    assert still.standing("late_long").unfinal == 30 * 100 * CENT
    assert still.market.totals[ETH, 1].long == 50 * 100 * CENT
    still.check_books_after_touching_all()


def test_no_mark_while_reports_are_old_or_too_few(still):
    still.report(ETH, 2_100 * RAY)
    still.advance_clock(61)
    still.do(f"{HOUSE}.accrue", ETH, sender="keeper")
    assert still.price(ETH) == 20 * WAD
    for reporter in ("reporter_1", "reporter_2"):
        still.say(reporter, ETH, 2_100 * RAY)
    still.do(f"{HOUSE}.accrue", ETH, sender="keeper")
    assert still.price(ETH) == 20 * WAD
    still.say("reporter_3", ETH, 2_100 * RAY)
    still.do(f"{HOUSE}.accrue", ETH, sender="keeper")
    assert still.price(ETH) == 21 * WAD


def test_a_halted_market_has_no_mark(still):
    still.report(ETH, 2_100 * RAY)
    still.do("PriceFeed.set_halted", ETH, True, sender="admin")
    assert still.read("PriceFeed.mark_within", ETH, 60, 0) == Mark()
    still.do(f"{HOUSE}.accrue", ETH, sender="keeper")
    assert still.price(ETH) == 20 * WAD


def test_what_does_not_fit_counts_for_nobody_and_stops_nothing(market):
    """A trading that opens as much as a position holds, at prices that no market has."""
    market.create_market("Own", market.get_contract_or_account_address("desk"))
    market.do(
        "MarginPolicy.set_terms",
        ETH,
        build_perpetual_market_terms(open_limit=10**12, max_funding=0),
        sender="admin",
    )
    market.do("Own.accrue", ETH, sender="keeper")
    lots = 10**12
    market.do(
        "Own.execute_trade",
        ETH,
        market.get_contract_or_account_address("a"),
        market.get_contract_or_account_address("b"),
        lots,
        1,
        0,
        0,
        sender="desk",
    )
    own = market.world.contracts["Own"]
    highest, leap = 2**112 - 1, (2**112 - 1) * (WAD // 100) // RAY - 20 * WAD
    fits = MAX_GAINS // (lots * leap)
    market.advance_clock(61)
    for reporter, price in (("reporter_1", 2_000 * RAY), ("reporter_2", highest)):
        market.say(reporter, ETH, price)
    for _ in range(fits + 2):
        for price in (highest, 2_000 * RAY):
            market.say("reporter_3", ETH, price)
            market.do("Own.accrue", ETH, sender="keeper")
    assert own.moves[ETH, LONG] == own.moves[ETH, SHORT] == (fits * leap, fits * leap)
    assert own.totals[ETH, 1] == (fits * leap * lots, fits * leap * lots)
    assert own.paths[ETH].price == own.paths[ETH].extreme == 20 * WAD
    assert own._compute_standing(market.get_contract_or_account_address("a")).unfinal == fits * leap * lots


def test_a_market_that_is_not_listed_stays_as_it_is(still):
    """For every price of its feed: nothing is written, so that it begins as others once it is listed."""
    assert tuple(still.do(f"{HOUSE}.accrue", 2, sender="keeper")) == (0, 0, 0)
    assert still.market.fundings[2].updated == still.market.premiums[2].since == 0
