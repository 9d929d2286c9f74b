"""Deficits, and stages that reserve a part of them."""

from __future__ import annotations

from backstop.model.arithmetic import MAX_UINT256
from tests.support.savings import XAU

BUSY = MAX_UINT256
SLOW = 0


def reserve(protocol, amount):
    """Have the scripted stage reserve a part of the deficit, and be busy."""
    protocol.do("ScriptedStage.claim", amount, 0, amount, sender="stranger")
    assert protocol.do("LossWaterfall.cover", XAU, sender="stranger") == amount
    protocol.do("ScriptedStage.claim", BUSY, 0, 0, sender="stranger")


def deficit(protocol):
    return protocol.read("VaultEngine.deficit_of", XAU)
