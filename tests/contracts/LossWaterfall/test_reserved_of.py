"""reserved_of: the stages' reservations of a deficit until they are paid or released."""

from backstop.model.arithmetic import RAD
from tests.support.deficit_reservation_steps import reserve_deficit_part
from tests.support.saver_steps import XAU

CALL = "LossWaterfall.reserved_of"


def test_falls_with_payments_and_ends_with_release(slow):
    assert slow.read(CALL, XAU) == 0
    reserve_deficit_part(slow, 3_000 * RAD)
    assert (slow.read(CALL, XAU), slow.read(CALL, 0)) == (3_000 * RAD, 0)
    slow.do("ScriptedStage.pay", XAU, 1_000 * RAD, sender="buyer")
    assert slow.read(CALL, XAU) == 2_000 * RAD
    slow.do("ScriptedStage.give_up", XAU, sender="stranger")
    assert slow.read(CALL, XAU) == 0
