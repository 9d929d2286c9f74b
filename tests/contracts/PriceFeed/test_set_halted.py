"""set_halted: nothing is lent and no liquidation starts; prices go on."""

import pytest

from backstop.model.arithmetic import RAY
from backstop.model.bounds import GUARDIAN_HALT, GUARDIAN_PAUSE
from tests.support.revert_setter_and_source_helpers import GUARDIAN, reverts


@pytest.fixture
def guarded(market):
    market.protocol.do("PriceFeed.grant_role", GUARDIAN, "guardian", sender="admin")
    return market


def test_the_admin_halts_without_an_end(guarded):
    guarded.halt()
    (log,) = guarded.protocol.last.logs
    assert (log.event, log.values) == ("HaltSet", (guarded.id, True))
    assert guarded.read("guards_of") == (0, 0, 0, 0, True, 0, 0, False, False, False)


def test_a_guardians_halt_ends_by_itself(guarded):
    guarded.poke(100, 100, 100)
    guarded.halt(sender="guardian")
    until = guarded.protocol.timestamp + GUARDIAN_HALT
    assert [log.values for log in guarded.protocol.last.logs] == [(guarded.id, until), (guarded.id, True)]
    assert guarded.read("guards_of") == (0, 0, 0, 0, False, 0, until, False, False, False)
    guarded.halt(False)
    guarded.protocol.advance(GUARDIAN_HALT - 1 - guarded.step)
    assert guarded.steps(90) == [(90, 0)]
    guarded.protocol.advance(until - 1 - guarded.protocol.timestamp)
    assert guarded.read("liquidation_price") == guarded.read("risk_price") == 0
    guarded.protocol.advance(1)
    assert guarded.read("liquidation_price") == 90 * RAY
    assert guarded.steps(90) == [(90, 90)]


def test_no_guardian_halts_again_before_the_pause_is_over(guarded):
    """For any guardian: two guardians halt no longer than one."""
    guarded.protocol.do("PriceFeed.grant_role", GUARDIAN, "keeper", sender="admin")
    guarded.halt(sender="guardian")
    guarded.protocol.advance(GUARDIAN_HALT + GUARDIAN_PAUSE - 1)
    for sender in ("guardian", "keeper"):
        with reverts("price_feed: halted lately"):
            guarded.halt(sender=sender)
    guarded.protocol.advance(1)
    guarded.halt(sender="keeper")


def test_a_guardians_halt_does_not_shorten_a_grace(guarded):
    grace = GUARDIAN_HALT + 1_000
    guarded.guard(grace=grace)
    guarded.poke(100, 100, 100)
    guarded.protocol.advance(guarded.stale_after + 1)
    assert guarded.steps(90) == [(90, 0)]
    until = guarded.read("guards_of")[6]
    assert until == guarded.protocol.timestamp + grace
    guarded.halt(sender="guardian")
    assert guarded.read("guards_of")[6] == until


def test_a_guardian_ends_no_halt(guarded):
    guarded.halt()
    with reverts("price_feed: only halt"):
        guarded.halt(False, sender="guardian")
    guarded.halt(False)
    assert guarded.read("guards_of")[4] is False


@pytest.mark.parametrize("halted", [True, False])
def test_nobody_else(market, halted):
    for sender in ("stranger", "guardian", "reporter_1"):
        with reverts("roles: missing role"):
            market.halt(halted, sender=sender)


def test_an_unknown_market(market):
    with reverts("price_feed: no market"):
        market.protocol.do("PriceFeed.set_halted", market.id + 1, True, sender="admin")


def test_nothing_is_lent_and_no_liquidation_starts(market):
    market.poke(100, 100, 100)
    assert market.steps(90) == [(100, 90)]
    market.halt()
    assert market.read("risk_price") == market.read("liquidation_price") == 0
    assert market.read("current_price") == market.read("auction_price") == 100 * RAY
    market.halt(False)
    assert market.read("risk_price") == 90 * RAY
    assert market.read("liquidation_price") == 100 * RAY


def test_prices_go_on_behind_it(market):
    market.poke(100, 100, 100)
    market.halt()
    assert market.steps(90, 80) == [(100, 0), (90, 0)]
    assert market.read("withheld") == 80 * RAY
    assert market.read("auction_price") == 90 * RAY
    market.halt(False)
    assert market.read("prices_of")[:2] == (90 * RAY, 80 * RAY)
    assert market.read("withheld") == 0
    assert market.steps(70) == [(80, 70)]


def test_twice_is_once(market):
    market.poke(100, 100, 100)
    for halted in (True, True, False, False):
        market.halt(halted)
    assert market.read("prices_of")[:2] == (100 * RAY, 100 * RAY)
    market.halt()
    market.halt()
    assert market.read("withheld") == 100 * RAY


def test_before_the_first_price(market):
    market.halt()
    assert market.poke(100, 100, 100) == (100, 0)
    market.halt(False)
    assert market.read("risk_price") == 100 * RAY


def test_a_suspect_price_stays_suspect(market):
    market.guard(deviation=1_000)
    market.poke(100, 100, 100)
    assert market.steps(50) == [(100, 0)]
    market.halt()
    market.halt(False)
    assert market.read("prices_of")[:2] == (100 * RAY, 0)
    market.halt()
    assert market.steps(50) == [(100, 0)]
    assert market.read("withheld") == 50 * RAY
    assert market.steps(50) == [(50, 0)]


def test_its_end_does_not_end_a_grace(market):
    market.guard(grace=3_601)
    market.poke(100, 100, 100)
    market.protocol.advance(market.stale_after)
    market.halt()
    assert market.steps(90) == [(90, 0)]
    market.halt(False)
    assert market.read("prices_of")[:2] == (90 * RAY, 0)
    assert market.read("liquidation_price") == market.read("risk_price") == 0
    market.protocol.advance(3_601)
    assert market.read("liquidation_price") == 90 * RAY
    assert market.steps(90) == [(90, 90)]
