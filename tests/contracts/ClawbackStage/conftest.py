"""A clawback stage of two pools, with an income of 700 and of 70."""

from __future__ import annotations

import pytest

from backstop.deployment.role_accounts import get_account
from backstop.hosts.account_addresses import compute_contract_address
from backstop.model.arithmetic import MAX_UINT256, WAD
from tests.support.saver_steps import create_additional_pool, give_stablecoin


@pytest.fixture
def earning(protocol):
    """The stage pays the amount that the scripted waterfall returns; one day of seven has vested."""
    stage = compute_contract_address(get_account("deployer_of_Clawback"), 0)
    protocol.lockstep.create_contract("ScriptedWaterfall", "Waterfall")
    give_stablecoin(protocol, "payer", 1_000 * WAD)
    for name, income in (("First", 700), ("Second", 70)):
        create_additional_pool(protocol, name, clawback=stage)
        protocol.do("Stablecoin.approve", name, MAX_UINT256, sender="payer")
        protocol.do(f"{name}.add_income", income * WAD, sender="payer")
    pools = (protocol.address("First"), protocol.address("Second"))
    ledger = protocol.address("VaultEngine")
    protocol.lockstep.create_contract(
        "ClawbackStage", "Clawback", ledger, protocol.address("Waterfall"), pools
    )
    protocol.advance(86_400)
    return protocol
