"""Waterfalls in the states that the tests of their functions start from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from offchain import deployment
from offchain.deployment import standard
from offchain.model.arithmetic import WAD
from tests.protocol import PRICES
from tests.savings import fill, lose, save


@pytest.fixture
def deployed(new_protocol):
    """Makes protocols with other parameters, with prices and one saver of 40,000."""

    def make(saved=40_000 * WAD, **changes):
        made = new_protocol(replace(standard(), **changes))
        for symbol, price in PRICES.items():
            made.post_price(symbol, price)
        if saved:
            save(made, "saver", saved)
        return made

    return make


@pytest.fixture
def scripted(protocol):
    """A second waterfall of the same ledger, and three stages that claim what they are told to."""
    for name in ("First", "Second", "Third"):
        protocol.lockstep.create("ScriptedStage", name)
    wiring = protocol.address("VaultEngine"), protocol.address("admin"), 86_400
    protocol.lockstep.create("LossWaterfall", "Other", *wiring)
    return protocol


@pytest.fixture
def lying(new_protocol, monkeypatch):
    """A protocol with a loss, whose first stage is one that claims what it is told to."""

    def plan(*args, original=deployment.plan):
        made = original(*args)
        creations = tuple(
            replace(each, kind="ScriptedStage", args=()) if each.name == "BufferStage" else each
            for each in made.creations
        )
        return replace(made, creations=creations)

    monkeypatch.setattr(deployment, "plan", plan)
    made = new_protocol()
    for symbol, price in PRICES.items():
        made.post_price(symbol, price)
    fill(made)
    lose(made)
    return made
