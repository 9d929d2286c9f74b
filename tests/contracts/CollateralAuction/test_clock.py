"""clock: seconds, or blocks of a slot each; everything that an auction measures is on it."""

from dataclasses import replace

import pytest

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.model.arithmetic import RAY, WAD
from tests.support.auction_steps import WETH, start_auction, take_collateral
from tests.support.revert_setter_and_source_helpers import reverts

TAIL = 8_400


@pytest.fixture(params=[1, 7, 12, 60])
def slot(request):
    return request.param


@pytest.fixture
def counting(new_protocol, slot):
    made = new_protocol(replace(build_standard_parameters(), block_time=slot), prices=True)
    made.give_stablecoin("taker", 40_000 * WAD)
    return made


def test_of_seconds(protocol):
    assert protocol.read("CollateralAuction.clock") == protocol.timestamp
    protocol.advance(3_600, 5)
    assert protocol.read("CollateralAuction.clock") == protocol.timestamp


def test_of_blocks(counting, slot):
    counting.advance(slot)  # on a node the calls before have taken blocks, which count as those of this one
    before = counting.read("CollateralAuction.clock")
    assert before == counting.lockstep.next_block_number * slot
    counting.advance(3_600, 0)
    assert counting.read("CollateralAuction.clock") == before
    counting.advance(0, 5)
    assert counting.read("CollateralAuction.clock") == before + 5 * slot


def test_each_slot_has_a_block_unless_told_otherwise(counting, slot):
    start_auction(counting)
    counting.advance(slot)
    before = counting.read("CollateralAuction.clock")
    counting.advance(100 * slot)
    assert counting.read("CollateralAuction.clock") == before + 100 * slot


def test_an_auction_starts_at_it(counting, slot):
    id = start_auction(counting)
    started = counting.read("CollateralAuction.auction_of", id).started_at
    assert started % slot == 0
    # On a node the call has taken a block of its own.
    assert 0 <= counting.read("CollateralAuction.clock") - started <= slot


def test_a_tail_is_over_after_its_blocks(counting, slot):
    """At the last block of the tail a lot that is not under its cusp can be bought, at the next it is not."""
    counting.do("CollateralAuction.set_curve", WETH, 1, 86_400, RAY - 1, TAIL, 1, sender="admin")
    id = start_auction(counting)
    counting.advance(slot)
    started = counting.read("CollateralAuction.auction_of", id).started_at
    now = counting.read("CollateralAuction.clock")
    counting.advance(1, (started + TAIL - now) // slot)
    assert not counting.read("CollateralAuction.status", id)[0]
    counting.advance(1, 1)
    assert counting.read("CollateralAuction.status", id)[0]
    with reverts("collateral_auction: needs reset"):
        take_collateral(counting, id)


def test_a_reset_starts_at_it_again(counting, slot):
    id = start_auction(counting)
    counting.advance(TAIL + 2 * slot)
    counting.post_price("WETH", 1_500 * RAY)
    counting.do("CollateralAuction.reset", id, "stranger", sender="stranger")
    started = counting.read("CollateralAuction.auction_of", id).started_at
    assert 0 <= counting.read("CollateralAuction.clock") - started <= slot
    counting.advance(86_400, 0)
    assert counting.read("CollateralAuction.status", id)[:2] == (False, 1_800 * RAY)
