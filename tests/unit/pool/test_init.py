"""The constructor: what a pool can be made with."""

import pytest

from tests.helpers import check_cannot_be_made

DAY = 86_400


def arguments(protocol, cooldown, window):
    wiring = [protocol.address(name) for name in ("Stablecoin", "VaultEngine", "LossWaterfall")]
    return "Made", "MADE", *wiring, cooldown, window


@pytest.mark.parametrize(
    ("cooldown", "window"), [(0, 0), (1, 3_600), (90 * DAY, 90 * DAY)], ids=["naive", "least", "most"]
)
def test_times_within_bounds(protocol, cooldown, window):
    protocol.lockstep.create("Pool", "Made", *arguments(protocol, cooldown, window))
    assert protocol.read("Made.COOLDOWN") == cooldown
    assert protocol.read("Made.WINDOW") == window


@pytest.mark.parametrize(
    ("cooldown", "window", "reason"),
    [
        (90 * DAY + 1, DAY, "pool: cooldown bounds"),
        (0, 1, "pool: window without cooldown"),
        (DAY, 3_599, "pool: short window"),
        (DAY, 90 * DAY + 1, "pool: long window"),
    ],
)
def test_times_out_of_bounds(protocol, cooldown, window, reason):
    check_cannot_be_made(protocol, "Pool", *arguments(protocol, cooldown, window), reason=reason)


def test_is_wired_and_named(protocol):
    assert protocol.read("Savings.VAULT_ENGINE") == protocol.address("VaultEngine")
    assert protocol.read("Savings.LOSS_WATERFALL") == protocol.address("LossWaterfall")
    assert protocol.read("Savings.symbol") == "sBSD"
    assert protocol.read("Savings.decimals") == 18
    assert protocol.read("Savings.totalSupply") == 0


@pytest.mark.parametrize(
    "method", ["set_minter", "burn", "burn_allowed", "transfer_ownership", "renounce_ownership", "owner"]
)
def test_nobody_can_mint_burn_or_own_it(artifacts, method):
    assert method not in {item.get("name") for item in artifacts["Pool"].abi_json}


def test_its_deployer_does_not_own_it_either(protocol):
    chain, address = protocol.lockstep.chain, protocol.address("Savings")
    slot, _ = chain.artifacts["Pool"].storage["ownable.owner"]
    assert (address, slot) not in chain.host.storage([address])
