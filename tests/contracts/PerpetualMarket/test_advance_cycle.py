"""roll: a window in which losses are booked, a quiet time after the last, four windows at most."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.perpetual_test_market import ETH, HOUSE, RULES
from tests.support.revert_setter_and_source_helpers import reverts


def roll(market):
    market.do(f"{HOUSE}.advance_cycle", sender="stranger")


@pytest.fixture
def pending(crowd):
    """A cycle is pending in which the long has lost 1,000 more than it had."""
    crowd.mark(ETH, 16 * WAD)
    crowd.advance_clock(RULES.window)
    roll(crowd)
    return crowd


def test_a_window_passes(crowd):
    roll(crowd)
    opened_at = crowd.market.clocks[()].rolled_at
    crowd.advance_clock(opened_at + RULES.window - 1 - crowd.world.timestamp)
    with reverts("cycle_losses: too early"):
        roll(crowd)
    crowd.advance_clock(1)
    roll(crowd)
    assert crowd.read(f"{HOUSE}.clock_of")[:2] == (3, crowd.world.timestamp)


def test_a_quiet_time_follows_the_last_booking(pending):
    pending.advance_clock(RULES.window - 1)
    pending.seize_insolvent("long")
    pending.advance_clock(RULES.quiet - 1)
    with reverts("cycle_losses: too early"):
        roll(pending)
    pending.advance_clock(1)
    roll(pending)


def test_four_windows_are_enough(pending):
    """An account pays in dust amounts, so that there is always less to book."""
    ends = pending.world.timestamp + 4 * RULES.window
    pending.seize_insolvent("long")
    while pending.world.timestamp < ends - 200:
        pending.advance_clock(200)
        pending.deposit("long", WAD)
        assert pending.seize_insolvent("long")
    with reverts("cycle_losses: too early"):
        roll(pending)
    pending.advance_clock(ends - pending.world.timestamp)
    roll(pending)


def test_a_silent_feed_stops_no_roll(crowd):
    for _ in range(3):
        crowd.advance_clock(4 * 3_600)
        roll(crowd)
    assert crowd.equity("first") == 10_000 * WAD


def test_what_a_cycle_was_stays_to_be_read(pending):
    pending.seize_insolvent("long")
    gained, losses, *begin = pending.read(f"{HOUSE}.cycle_of", ETH, 1)
    assert tuple(gained) == (0, 4_000 * WAD) and tuple(losses) == (0, 1_000 * WAD)
    assert [tuple(each) for each in begin] == [(0, 0), (0, 0)]
    *_, values, moves = pending.read(f"{HOUSE}.cycle_of", ETH, 2)
    assert tuple(values) == (-4 * WAD, -4 * WAD) and tuple(moves) == (0, 4 * WAD)
    assert tuple(pending.read(f"{HOUSE}.lots_of", ETH)) == (1_000, 1_000)
    holding = pending.read(f"{HOUSE}.holdings_of", pending.get_contract_or_account_address("first"))
    assert [tuple(each) for each in holding] == [(ETH, -500, 16 * WAD, 1_000)]
    assert (
        pending.read(f"{HOUSE}.account_of", pending.get_contract_or_account_address("first")).cash
        == 10_000 * WAD
    )
    assert pending.read(f"{HOUSE}.paid_in", pending.get_contract_or_account_address("first")) == 10_000 * WAD
