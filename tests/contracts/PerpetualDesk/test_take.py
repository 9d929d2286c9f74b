"""take: the market's own lots, for everybody, at the mark."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.helpers import reverts
from tests.support.perpetuals import DESK, ETH, HOUSE


@pytest.fixture
def seized(crowd):
    """The long owes 1,000; the market's own account has its lots."""
    crowd.mark(ETH, 16 * WAD)
    crowd.meet("long")
    assert crowd.size(HOUSE) == 1_000 and crowd.size("long") == 0
    return crowd


def take(market, name, lots):
    market.do(f"{DESK}.take", ETH, lots, sender=name)


def test_who_is_on_the_other_side_closes_against_it(seized):
    take(seized, "first", 500)
    assert seized.size("first") == 0 and seized.size(HOUSE) == 500
    seized.check_woken()


def test_others_need_margin(seized):
    with reverts("desk: initial margin"):
        take(seized, "stranger", 1)
    take(seized, "other", 1_000)
    assert seized.size("other") == 1_000 and seized.size(HOUSE) == 0


def test_no_more_than_it_has_and_at_prices_of_now(seized):
    for lots in (0, 1_001):
        with reverts("desk: not so many lots"):
            take(seized, "other", lots)
    seized.advance(61)
    with reverts("desk: no price for lots"):
        take(seized, "other", 1)


def test_shorts_of_its_own_as_well(market):
    for name, amount in (("short", 3_000), ("other", 10_000)):
        market.deposit(name, amount * WAD)
    market.trade("other", "short", 1_000)
    market.mark(ETH, 24 * WAD)
    market.meet("short")
    assert market.size(HOUSE) == -1_000
    take(market, "other", 400)
    assert market.size("other") == 600 and market.size(HOUSE) == -600
