"""release: what a stage could not pay goes to the later ones; the stage is out until the epoch ends."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAD
from tests.support.helpers import reverts
from tests.support.reservations import SLOW, deficit, reserve
from tests.support.savings import XAU

WEEK = 7 * 86_400


@pytest.mark.parametrize("sender", ["stranger", "admin"])
def test_only_a_stage(slow, sender):
    with reverts("loss_waterfall: not a stage"):
        slow.do("LossWaterfall.release", XAU, sender=sender)


def test_later_stages_wait_until_then(slow):
    reserve(slow, 3_000 * RAD)
    assert slow.do("LossWaterfall.cover", XAU, sender="stranger") == 0
    slow.do("ScriptedStage.pay", XAU, 1_000 * RAD, sender="buyer")
    slow.do("ScriptedStage.give_up", XAU, sender="stranger")
    assert slow.last.logs[-1].values[2:] == (SLOW, 2_000 * RAD)
    slow.do("ScriptedStage.claim", 0, 0, 0, sender="stranger")
    assert slow.do("LossWaterfall.cover", XAU, sender="stranger") > 0
    assert deficit(slow) == 0


def test_it_counts_as_capped_until_the_epoch_ends(slow):
    reserve(slow, 3_000 * RAD)
    slow.do("ScriptedStage.give_up", XAU, sender="stranger")
    slow.do("ScriptedStage.claim", MAX_UINT256 - 1, 0, RAD, sender="stranger")
    before = deficit(slow)
    slow.do("LossWaterfall.cover", XAU, sender="stranger")
    assert slow.read("LossWaterfall.reserved", XAU, SLOW) == 0
    assert before - deficit(slow) > 0


def test_in_the_next_epoch_it_may_again(slow):
    reserve(slow, 3_000 * RAD)
    slow.do("ScriptedStage.give_up", XAU, sender="stranger")
    slow.advance(WEEK)
    slow.do("ScriptedStage.claim", 10 * RAD, 0, 10 * RAD, sender="stranger")
    assert slow.do("LossWaterfall.cover", XAU, sender="stranger") == 10 * RAD
    assert slow.read("LossWaterfall.reserved", XAU, SLOW) == 10 * RAD


def test_another_type_is_not_concerned(slow):
    reserve(slow, 3_000 * RAD)
    with reverts("loss_waterfall: not a stage"):
        slow.do("ScriptedStage.give_up", 1, sender="stranger")
    assert slow.read("LossWaterfall.reserved", XAU, SLOW) == 3_000 * RAD
