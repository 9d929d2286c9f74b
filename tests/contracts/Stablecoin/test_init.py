"""The constructor: a token of 18 decimals that belongs to the ledger alone."""

import pytest


def test_is_named_and_belongs_to_the_ledger(protocol):
    assert protocol.read("Stablecoin.name") == "Backstop Dollar"
    assert protocol.read("Stablecoin.symbol") == "BSD"
    assert protocol.read("Stablecoin.decimals") == 18
    assert protocol.read("Stablecoin.LEDGER") == protocol.address("VaultEngine")


@pytest.mark.parametrize(
    "method", ["set_minter", "burn_from", "transfer_ownership", "renounce_ownership", "owner"]
)
def test_nobody_owns_it(artifacts, method):
    assert method not in {item.get("name") for item in artifacts["Stablecoin"].abi_json}


def test_its_deployer_does_not_own_it_either(protocol):
    chain, address = protocol.lockstep.chain, protocol.address("Stablecoin")
    slot, _ = chain.artifacts["Stablecoin"].storage["ownable.owner"]
    assert (address, slot) not in chain.host.read_nonzero_slots([address])
