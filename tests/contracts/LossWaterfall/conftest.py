"""Waterfalls in the states that the tests of their functions start from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import StageParameters, replace_stage_caps
from backstop.deployment.planned_contracts import plan_deployment
from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.proof.local_protocol import PRICES
from tests.support.saver_steps import deposit_savings, earn_year_of_high_fees, give_stablecoin, lose_new_vault


@pytest.fixture
def deployed(new_protocol):
    """Makes protocols with other parameters, with prices and one saver of 40,000."""

    def make(saved=40_000 * WAD, caps=None, **changes):
        parameters = replace(build_standard_parameters(), **changes)
        for stage, cap in (caps or {}).items():
            parameters = replace_stage_caps(parameters, stage, **cap)
        made = new_protocol(parameters)
        for symbol, price in PRICES.items():
            made.post_price(symbol, price)
        if saved:
            deposit_savings(made, "saver", saved)
        return made

    return make


@pytest.fixture
def scripted(protocol):
    """A second waterfall of the same ledger, and three stages that claim what they are told to."""
    engine, liquidations = map(protocol.address, ("VaultEngine", "LiquidationEngine"))
    for name in ("First", "Second", "Third"):
        protocol.lockstep.create_contract("ScriptedStage", name, protocol.address("LossWaterfall"))
    protocol.lockstep.create_contract(
        "LossWaterfall", "Other", engine, liquidations, protocol.address("admin"), 86_400, 86_400
    )
    return protocol


@pytest.fixture
def slow(new_protocol):
    """A protocol with a loss of 10,000, and a first stage that may pay late."""
    stages = (StageParameters("scripted"), *build_standard_parameters().stages)
    made = new_protocol(replace(build_standard_parameters(), stages=stages))
    for symbol, price in PRICES.items():
        made.post_price(symbol, price)
    deposit_savings(made, "saver", 40_000 * WAD)
    lose_new_vault(made)
    give_stablecoin(made, "buyer", 100_000 * WAD)
    made.do("Stablecoin.approve", "ScriptedStage", MAX_UINT256, sender="buyer")
    return made


@pytest.fixture
def scripted_first(monkeypatch):
    """Deployments have a stage that claims what it is told to in the place of their buffer."""

    def rewired(*args):
        made = plan_deployment(*args)
        creations = tuple(
            replace(each, kind="ScriptedStage", args=each.args[1:2]) if each.name == "BufferStage" else each
            for each in made.creations
        )
        return replace(made, creations=creations)

    monkeypatch.setattr("backstop.deployment.model_and_chain_deployment.plan_deployment", rewired)


@pytest.fixture
def lying(new_protocol, scripted_first):
    """A protocol with a loss, and a first stage with a scripted capacity."""
    made = new_protocol()
    for symbol, price in PRICES.items():
        made.post_price(symbol, price)
    earn_year_of_high_fees(made)
    lose_new_vault(made)
    return made
