"""Deficits, and stages that reserve a part of them."""

from __future__ import annotations

from tests.contracts.LossWaterfall.test_book_payment import BUSY
from tests.support.savings import XAU

SLOW = 0


def reserve(protocol, amount):
    """Have the scripted stage reserve a part of the deficit, and be busy."""
    protocol.do("ScriptedStage.claim", amount, 0, amount, sender="stranger")
    assert protocol.do("LossWaterfall.cover", XAU, sender="stranger") == amount
    protocol.do("ScriptedStage.claim", BUSY, 0, 0, sender="stranger")


def deficit(protocol):
    return protocol.read("VaultEngine.deficit_of", XAU)
