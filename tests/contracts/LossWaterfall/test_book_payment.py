"""book_payment: a stage pays the part of a deficit that it reserved; no other stage covers that part."""

from __future__ import annotations

import pytest

from backstop.model.arithmetic import RAD, RAY
from tests.support.deficit_reservation_steps import SLOW, read_gold_deficit, reserve_deficit_part
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import XAU


def event(protocol):
    return protocol.read("LossWaterfall.event_of", XAU, protocol.read("LossWaterfall.last_epoch", XAU))


@pytest.mark.parametrize("sender", ["stranger", "admin"])
def test_only_a_stage(slow, sender):
    with reverts("loss_waterfall: not a stage"):
        slow.do("LossWaterfall.book_payment", XAU, "buyer", RAD, sender=sender)


def test_what_is_reserved_is_still_outstanding(slow):
    before = read_gold_deficit(slow)
    reserve_deficit_part(slow, 3_000 * RAD)
    assert slow.read("LossWaterfall.reserved", XAU, SLOW) == 3_000 * RAD
    assert read_gold_deficit(slow) == before == slow.read("LossWaterfall.pending_total")
    assert event(slow).outstanding == before and event(slow).covered == 0


def test_a_payment_in_parts(slow):
    before = read_gold_deficit(slow)
    reserve_deficit_part(slow, 3_000 * RAD)
    for paid in (1_000 * RAD, 2_000 * RAD - RAY, RAY):
        slow.do("ScriptedStage.pay", XAU, paid, sender="buyer")
    assert slow.read("LossWaterfall.reserved", XAU, SLOW) == 0
    assert read_gold_deficit(slow) == before - 3_000 * RAD == slow.read("LossWaterfall.pending_total")
    assert event(slow).covered == 3_000 * RAD
    epoch = slow.read("LossWaterfall.last_epoch", XAU)
    assert slow.read("LossWaterfall.covered", XAU, epoch, SLOW) == 3_000 * RAD


def test_never_more_than_it_reserved(slow):
    reserve_deficit_part(slow, 3_000 * RAD)
    with reverts("loss_waterfall: not reserved"):
        slow.do("ScriptedStage.pay", XAU, 3_000 * RAD + 1, sender="buyer")


def test_the_others_cover_the_rest_once_it_is_paid(slow):
    left = read_gold_deficit(slow) // RAD * RAD - 2_000 * RAD
    reserve_deficit_part(slow, left)
    assert slow.do("LossWaterfall.cover", XAU, sender="stranger") == 0
    slow.do("ScriptedStage.pay", XAU, left - RAD, sender="buyer")
    assert slow.do("LossWaterfall.cover", XAU, sender="stranger") == 0
    slow.do("ScriptedStage.pay", XAU, RAD, sender="buyer")
    slow.do("LossWaterfall.cover", XAU, sender="stranger")
    assert read_gold_deficit(slow) == 0


def test_the_last_rad_is_not_left(slow):
    reserve_deficit_part(slow, read_gold_deficit(slow) - 1)
    slow.do("ScriptedStage.pay", XAU, read_gold_deficit(slow) - 1, sender="buyer")
    assert slow.do("LossWaterfall.cover", XAU, sender="stranger") == 1


def test_a_payment_in_the_next_epoch_belongs_to_that(slow):
    reserve_deficit_part(slow, 3_000 * RAD)
    before = read_gold_deficit(slow)
    slow.advance(7 * 86_400)
    slow.do("ScriptedStage.pay", XAU, 1_000 * RAD, sender="buyer")
    assert event(slow).carried_in == before
    assert event(slow).covered == 1_000 * RAD
