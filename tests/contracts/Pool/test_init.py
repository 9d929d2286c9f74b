"""The constructor: the valid arguments of a pool."""

import pytest

from tests.support.revert_setter_and_source_helpers import check_contract_creation_refused
from tests.support.saver_steps import (
    DAY,
    create_additional_pool,
    create_claims_pool_and_return_name,
    pool_arguments,
)


@pytest.mark.parametrize("cooldown", [0, 60, 2_303_466], ids=["naive", "least", "most"])
def test_times_within_bounds(protocol, cooldown):
    """The longest, an eighth of it, and a look are a second less than the 30 days until new caps apply."""
    create_additional_pool(protocol, cooldown=cooldown)
    assert protocol.read("Made.COOLDOWN") == cooldown


@pytest.mark.parametrize(
    ("cooldown", "reason"),
    [
        (90 * DAY + 1, "pool: cooldown bounds"),
        (2_303_467, "pool: cooldown too long"),
        (59, "pool: short cooldown"),
        (1, "pool: short cooldown"),
    ],
)
def test_times_out_of_bounds(protocol, cooldown, reason):
    """Among them a cooldown that the delay of new caps does not outlast."""
    arguments = pool_arguments(protocol, cooldown=cooldown)
    check_contract_creation_refused(protocol, "Pool", *arguments, reason=reason)


@pytest.mark.parametrize("vesting", [3_600, 365 * DAY], ids=str)
def test_vesting_within_bounds(protocol, vesting):
    create_additional_pool(protocol, vesting=vesting)
    assert protocol.read("Made.VESTING") == vesting


@pytest.mark.parametrize(
    ("vesting", "reason"), [(3_599, "pool: short vesting"), (365 * DAY + 1, "pool: long vesting")]
)
def test_vesting_out_of_bounds(protocol, vesting, reason):
    check_contract_creation_refused(
        protocol, "Pool", *pool_arguments(protocol, vesting=vesting), reason=reason
    )


def test_is_wired_and_named(protocol):
    assert protocol.read("Savings.VAULT_ENGINE") == protocol.address("VaultEngine")
    assert protocol.read("Savings.LOSS_WATERFALL") == protocol.address("LossWaterfall")
    assert protocol.read("Savings.symbol") == "sBSD"
    assert protocol.read("Savings.decimals") == 18
    assert protocol.read("Savings.totalSupply") == 0
    assert protocol.read("Savings.CLAWBACK") == protocol.address("ClawbackStage")
    assert protocol.read("Savings.CLAIMS") == protocol.address("Savings.Claims")


def test_may_have_claims(protocol):
    create_claims_pool_and_return_name(protocol)
    assert protocol.read("Young.CLAIMS") == protocol.address("Young.Claims")
    assert protocol.read("Young.CLAWBACK") == protocol.address("clawback")


@pytest.mark.parametrize(
    "method", ["set_minter", "burn", "burn_allowed", "transfer_ownership", "renounce_ownership", "owner"]
)
def test_nobody_can_mint_burn_or_own_it(artifacts, method):
    assert method not in {item.get("name") for item in artifacts["Pool"].abi_json}
