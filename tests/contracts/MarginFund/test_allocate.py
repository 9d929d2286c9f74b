"""allocate: later gains share what is late by the room that each has."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.perpetual_test_market import BTC, ETH, FUND, deploy_perpetuals, open_long_and_two_shorts
from tests.support.revert_setter_and_source_helpers import reverts

MASK = 2**128 - 1


@pytest.fixture
def gained(new_protocol):
    """A pending cycle in which shorts of ether gained 2,000 and a long of bitcoin 2,000."""
    market = open_long_and_two_shorts(deploy_perpetuals(new_protocol))
    for name in ("short", "winner"):
        market.deposit(name, 10_000 * WAD)
    market.trade("winner", "short", 100, BTC)
    market.mark(ETH, 18 * WAD)
    market.mark(BTC, 80 * WAD)
    market.advance_cycle()
    return market


def allocate(market, late):
    """Return the charged amount, in all and by each market's longs and shorts [wad]."""
    charged, parts = market.read(f"{FUND}.allocate", late, market.market.clocks[()].cycle - 1, 2)
    assert len(parts) == 8 and not any(parts[2:])
    return charged, [(part & MASK, part >> 128) for part in parts[:2]]


def test_gains_pay_by_their_room(gained):
    share = gained.read("MarginPolicy.haircut", ETH)
    room = 2_000 * WAD * share // 10_000
    assert room != 0
    for late in (0, 1, room, 2 * room - 1, 2 * room, 10**9 * WAD):
        charged, parts = allocate(gained, late)
        assert charged == min(late, 2 * room) == sum(map(sum, parts))
        assert parts == [(0, charged // 2), (charged - charged // 2, 0)]


def test_a_side_pays_no_more_than_its_loss_leaves(new_protocol):
    """A loss already absorbed by a side leaves no room: all of it is taken."""
    market = open_long_and_two_shorts(deploy_perpetuals(new_protocol))
    market.mark(ETH, 16 * WAD)
    market.advance_cycle()
    assert market.seize_insolvent("long")
    cycle = market.market.clocks[()].cycle - 1
    gains, losses = market.read("PerpetualMarket.cycle_of", ETH, cycle)[:2]
    share = market.read("MarginPolicy.haircut", ETH)
    charged, parts = allocate(market, 10**9 * WAD)
    assert charged == min(gains.short * share // 10_000, gains.short - losses.short) == parts[0][1]


@pytest.mark.parametrize("back", range(0, 80, 10))
def test_of_a_price_that_came_back_in_part_the_room_is_rounded_down(gained, back):
    """Lots change between two falls, so a lot's net gain is no whole number of wei."""
    first = gained.market.clocks[()].cycle
    gained.mark(ETH, 35 * WAD // 2)
    gained.trade("winner", "short", 37)
    gained.mark(ETH, 17 * WAD - 7)
    gained.mark(ETH, 17 * WAD + (1 + back) * WAD // 101)
    gained.advance_cycle()
    gains, losses, begun, before = gained.read("PerpetualMarket.cycle_of", ETH, first)
    _, _, ended, after = gained.read("PerpetualMarket.cycle_of", ETH, first + 1)
    moved, kept = after.short - before.short, begun.short - ended.short
    assert 0 < kept < moved and losses.short == 0
    share = gained.read("MarginPolicy.haircut", ETH)
    assert allocate(gained, 10**9 * WAD)[1][0] == (0, gains.short * kept // moved * share // 10_000)


def test_more_markets_than_there_may_be(gained):
    with reverts(""):
        gained.do(f"{FUND}.allocate", WAD, 1, 9, sender="stranger")
