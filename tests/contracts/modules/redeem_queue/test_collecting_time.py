"""The time in which a batch collects, by the model's function that keepers use and as pools cut."""

import pytest

from backstop.model.arithmetic import WAD
from backstop.model.redeem_queue import get_collecting_time
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import DAY, create_additional_pool, deposit_savings

TIMES = [
    (60, 60),
    (DAY - 1, DAY - 1),
    (DAY, DAY),
    (8 * DAY + 7, DAY),
    (8 * DAY + 8, DAY + 1),
    (16 * DAY, 2 * DAY),
]


@pytest.mark.parametrize(("cooldown", "seconds"), TIMES, ids=str)
def test_a_day_or_a_shorter_cooldown_or_an_eighth_of_a_long_one(protocol, cooldown, seconds):
    assert get_collecting_time(cooldown) == seconds
    create_additional_pool(protocol, cooldown=cooldown)
    deposit_savings(protocol, "saver", WAD, "Made")
    protocol.do("Made.requestRedeem", 5, "saver", "saver", sender="saver")
    protocol.advance(seconds - 1)
    with reverts("pool: batch collects"):
        protocol.do("Made.cut", sender="stranger")
    protocol.advance(1)
    assert protocol.do("Made.cut", sender="stranger") == 1


@pytest.mark.parametrize("cooldown", [60, 61, 3_600, DAY, 8 * DAY, 8 * DAY + 7, 25 * DAY], ids=str)
def test_time_alone_fills_no_twelve_places(cooldown):
    """Each is taken for the cooldown and a look, and the next no sooner than a batch collects."""
    assert cooldown + 600 < 12 * get_collecting_time(cooldown)
