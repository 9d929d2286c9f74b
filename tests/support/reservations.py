"""Deficits, and stages that reserve a part of them."""

from __future__ import annotations

from tests.support.savings import XAU

SLOW = 0


def reserve(protocol, amount):
    """Have the scripted stage reserve a part of the deficit; it has nothing else."""
    protocol.do("ScriptedStage.claim", amount, 0, amount, sender="stranger")
    assert protocol.do("LossWaterfall.cover", XAU, sender="stranger") == amount
    protocol.do("ScriptedStage.claim", 0, 0, 0, sender="stranger")


def deficit(protocol):
    return protocol.read("VaultEngine.deficit_of", XAU)
