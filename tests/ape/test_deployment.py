"""Ape deploys to the addresses that were computed beforehand, with the compiler's own settings."""

import pytest

from offchain.chain.artifacts import Artifacts
from offchain.deployment import configuration
from tests.ape.conftest import bytecode

pytestmark = pytest.mark.anvil


def test_ape_compiles_what_lockstep_tests(contracts, deployment):
    artifacts = Artifacts()
    for creation in deployment.creations:
        assert bytecode(contracts[creation.name]) == artifacts[creation.kind].bytecode_hex, creation.kind


def test_contracts_know_each_other_from_their_constructors(contracts, deployment):
    for name, contract in contracts.items():
        for view, other in (
            ("VAULT_ENGINE", "VaultEngine"),
            ("PRICE_FEED", "PriceFeed"),
            ("LIQUIDATION_ENGINE", "LiquidationEngine"),
            ("COLLATERAL_AUCTION", "CollateralAuction"),
            ("LOSS_WATERFALL", "LossWaterfall"),
            ("STABLECOIN", "Stablecoin"),
        ):
            if view in {each.name for each in contract.contract_type.view_methods}:
                assert getattr(contract, view)() == contracts[other].address, (name, view)
    assert contracts["Savings"].asset() == contracts["Stablecoin"].address


def test_the_configuration_left_the_same_state_as_in_the_model(replay, deployment):
    assert replay.transactions == len(configuration(deployment))
    replay.check_balances()
