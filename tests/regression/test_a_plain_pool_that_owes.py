"""A pool without a cooldown owes what it missed: who leaves leaves that behind, and nobody gains by it."""

from dataclasses import replace

from backstop.deployment.examples import standard
from backstop.model.arithmetic import RAY, WAD
from tests.support.helpers import STAGE
from tests.support.plain import only, steady
from tests.support.savings import XAU, leave, lose, save

HELD, LOSS = 10_000 * WAD, 5_000 * WAD


def test_what_it_missed_stays_when_all_leave(new_protocol):
    junior = replace(standard().junior, cooldown=0)
    protocol = steady(new_protocol, stages=only("buffer", "reserve", "junior", "savings"), junior=junior)
    save(protocol, "saver", 2 * HELD)
    save(protocol, "leaver", HELD, "Junior")
    lose(protocol, debt=LOSS)
    protocol.do("VaultEngine.revoke_role", STAGE, "Junior", sender="admin")
    protocol.do("LossWaterfall.cover", XAU, sender="stranger")
    owed = protocol.read("LossWaterfall.losses_beyond", "Junior")
    assert LOSS * RAY * 9 // 10 < owed <= 2 * LOSS * RAY
    assert abs(leave(protocol, "leaver", "Junior") - (HELD - owed // RAY)) <= 2
    assert protocol.read("Junior.totalSupply") == 0 < protocol.read("Junior.totalAssets")
