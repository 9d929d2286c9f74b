"""release, force_release: unpaid amounts of a stage go to the later stages, and it waits for them."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAD
from tests.support.deficit_reservation_steps import SLOW, read_gold_deficit, reserve_deficit_part
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import XAU, lose_new_vault
from tests.support.settlement_steps import start_settlement

WEEK = 7 * 86_400


@pytest.mark.parametrize("sender", ["stranger", "admin"])
def test_only_a_stage(slow, sender):
    with reverts("loss_waterfall: not a stage"):
        slow.do("LossWaterfall.release", XAU, sender=sender)


def test_later_stages_wait_until_then(slow):
    reserve_deficit_part(slow, 3_000 * RAD)
    assert slow.do("LossWaterfall.cover", XAU, sender="stranger") == 0
    slow.do("ScriptedStage.pay", XAU, 1_000 * RAD, sender="buyer")
    slow.do("ScriptedStage.give_up", XAU, sender="stranger")
    assert slow.last.logs[-1].values[2:] == (SLOW, 2_000 * RAD)
    assert slow.do("LossWaterfall.cover", XAU, sender="stranger") > 0
    assert read_gold_deficit(slow) == 0


def test_it_is_passed_over_until_the_epoch_ends(slow):
    reserve_deficit_part(slow, 3_000 * RAD)
    slow.do("ScriptedStage.give_up", XAU, sender="stranger")
    slow.do("ScriptedStage.claim", MAX_UINT256 - 1, 0, RAD, sender="stranger")
    before = read_gold_deficit(slow)
    slow.do("LossWaterfall.cover", XAU, sender="stranger")
    assert slow.read("LossWaterfall.reserved", XAU, SLOW) == 0
    assert before - read_gold_deficit(slow) > 0


def ask_again(slow):
    """Return the stage's reservation for a loss, now that an epoch has passed."""
    slow.advance(WEEK)
    slow.do("ScriptedStage.claim", 10 * RAD, 0, 10 * RAD, sender="stranger")
    lose_new_vault(slow)
    slow.do("LossWaterfall.cover", XAU, sender="stranger")
    return slow.read("LossWaterfall.reserved", XAU, SLOW)


def test_in_the_next_epoch_it_may_again_if_the_others_were_asked(slow):
    reserve_deficit_part(slow, 3_000 * RAD)
    slow.do("ScriptedStage.give_up", XAU, sender="stranger")
    slow.do("LossWaterfall.cover", XAU, sender="stranger")
    assert ask_again(slow) == 10 * RAD


def test_it_may_not_before_the_others_were_asked(slow):
    """As where an epoch is shorter than the sales of two stages together."""
    reserve_deficit_part(slow, 3_000 * RAD)
    slow.do("ScriptedStage.give_up", XAU, sender="stranger")
    before = read_gold_deficit(slow)
    assert ask_again(slow) == 0
    assert read_gold_deficit(slow) < before
    assert ask_again(slow) == 10 * RAD


def test_another_type_is_not_concerned(slow):
    reserve_deficit_part(slow, 3_000 * RAD)
    with reverts("loss_waterfall: not a stage"):
        slow.do("ScriptedStage.give_up", 1, sender="stranger")
    assert slow.read("LossWaterfall.reserved", XAU, SLOW) == 3_000 * RAD


LONGEST = 8 * 86_400


def force(slow, c=XAU, k=SLOW):
    slow.do("LossWaterfall.force_release", c, k, sender="stranger")


def test_anybody_ends_a_reservation_that_is_older_than_any_sale(slow):
    reserve_deficit_part(slow, 3_000 * RAD)
    slow.advance(LONGEST)
    with reverts("loss_waterfall: not overdue"):
        force(slow)
    slow.advance(1)
    force(slow)
    assert slow.last.logs[-1].event == "ReservationReleased"
    assert slow.last.logs[-1].values[2:] == (SLOW, 3_000 * RAD)
    assert slow.read("LossWaterfall.reserved_of", XAU) == 0
    assert slow.do("LossWaterfall.cover", XAU, sender="stranger") > 0
    assert read_gold_deficit(slow) == 0


def test_in_settlement_at_once(slow):
    reserve_deficit_part(slow, 3_000 * RAD)
    start_settlement(slow)
    force(slow)
    assert slow.read("LossWaterfall.reserved_of", XAU) == 0


@pytest.mark.parametrize(("c", "k"), [(XAU, SLOW), (XAU, 1), (XAU, 15), (1, SLOW)])
def test_there_has_to_be_something_to_release(slow, c, k):
    with reverts("loss_waterfall: nothing reserved"):
        force(slow, c, k)


def test_who_ends_a_sale_after_that_gives_up_nothing_more(slow):
    reserve_deficit_part(slow, 3_000 * RAD)
    slow.advance(LONGEST + 1)
    force(slow)
    slow.do("LossWaterfall.cover", XAU, sender="stranger")
    slow.do("ScriptedStage.give_up", XAU, sender="stranger")
    assert slow.last.logs == ()
    assert ask_again(slow) == 10 * RAD
