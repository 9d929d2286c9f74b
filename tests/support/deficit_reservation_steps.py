"""Deficits, and stages that reserve a part of them."""

from __future__ import annotations

from tests.support.saver_steps import XAU

SLOW = 0


def reserve_deficit_part(protocol, amount):
    """Reserve a part of the deficit for the scripted stage, which has no other capacity."""
    protocol.do("ScriptedStage.claim", amount, 0, amount, sender="stranger")
    assert protocol.do("LossWaterfall.cover", XAU, sender="stranger") == amount
    protocol.do("ScriptedStage.claim", 0, 0, 0, sender="stranger")


def read_gold_deficit(protocol):
    return protocol.read("VaultEngine.deficit_of", XAU)
