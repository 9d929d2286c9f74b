"""allocate: later gains share what is late by the room that each has."""

import pytest

from backstop.model.arithmetic import WAD
from tests.support.helpers import reverts
from tests.support.perpetuals import BTC, ETH, FUND, crowded, opened

MASK = 2**128 - 1


@pytest.fixture
def gained(new_protocol):
    """A pending cycle in which shorts of ether gained 2,000 and a long of bitcoin 2,000."""
    market = crowded(opened(new_protocol))
    for name in ("short", "winner"):
        market.deposit(name, 10_000 * WAD)
    market.trade("winner", "short", 100, BTC)
    market.mark(ETH, 18 * WAD)
    market.mark(BTC, 80 * WAD)
    market.roll()
    return market


def allocate(market, late):
    """What is charged, and of each market's longs and shorts [wad]."""
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
    """What a side bears already is no room: all of it is taken."""
    market = crowded(opened(new_protocol))
    market.mark(ETH, 16 * WAD)
    market.roll()
    assert market.meet("long")
    cycle = market.market.clocks[()].cycle - 1
    gains, losses = market.read("PerpetualMarket.cycle_of", ETH, cycle)[:2]
    share = market.read("MarginPolicy.haircut", ETH)
    charged, parts = allocate(market, 10**9 * WAD)
    assert charged == min(gains.short * share // 10_000, gains.short - losses.short) == parts[0][1]


def test_more_markets_than_there_may_be(gained):
    with reverts(""):
        gained.do(f"{FUND}.allocate", WAD, 1, 9, sender="stranger")
