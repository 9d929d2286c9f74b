"""losses_at_payment: what losses_beyond says, unless a price has just fallen."""

import pytest

from backstop.model.arithmetic import WAD
from backstop.model.bounds import LOOK
from tests.support.helpers import reverts
from tests.support.protocol import PRICES
from tests.support.savings import lose
from tests.support.settling import begin, settle

CALL = "LossWaterfall.losses_at_payment"


@pytest.fixture
def fallen(deployed):
    """Gold has lost 6% this very second, after a loss."""
    protocol = deployed()
    lose(protocol)
    protocol.post_price("XAU", PRICES["XAU"])
    protocol.post_next("XAU", PRICES["XAU"] * 94 // 100)
    return protocol


def test_what_would_reach_a_stage(deployed):
    protocol = deployed()
    lose(protocol)
    protocol.advance(LOOK)
    losses = protocol.read("LossWaterfall.losses_beyond", "Savings")
    assert protocol.read(CALL, "Savings") == losses > 9_000 * WAD
    assert protocol.read(CALL, "stranger") == 0


def test_none_for_ten_minutes_after_a_fall(fallen):
    fallen.advance(LOOK - 1)
    with reverts("loss_waterfall: price has fallen"):
        fallen.read(CALL, "Savings")
    assert fallen.read("LossWaterfall.losses_beyond", "Savings") > 0
    fallen.advance(1)
    assert fallen.read(CALL, "Savings") == fallen.read("LossWaterfall.losses_beyond", "Savings")


@pytest.mark.parametrize(("until", "expected"), [(begin, 2**255), (settle, 0)], ids=["begun", "closed"])
def test_in_settlement_there_is_nothing_to_wait_for(fallen, until, expected):
    """While it winds up nobody is paid whatever prices do, and then nothing can be lost any more."""
    until(fallen)
    fallen.post_next("XAU", PRICES["XAU"] // 2)
    assert fallen.read("PriceFeed.look_until") == fallen.timestamp + LOOK
    assert fallen.read(CALL, "Savings") == expected
