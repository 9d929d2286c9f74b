"""The constructor: the admin is the named account, not the deployer."""

import pytest

from backstop.deployment.role_accounts import get_account

ADMIN_ROLE = bytes(32)
OTHERS = {
    "LossWaterfall": lambda address: (
        *map(address, ("VaultEngine", "LiquidationEngine", "admin")),
        86_400,
        86_400,
    ),
    "PriceFeed": lambda address: (address("admin"),),
}


@pytest.mark.parametrize("contract", OTHERS)
def test_whoever_deploys_has_no_part_in_it(protocol, contract):
    protocol.lockstep.create_contract(contract, "Other", *OTHERS[contract](protocol.address))
    assert protocol.read("Other.admin") == protocol.address("admin")
    assert protocol.read("Other.has_role", ADMIN_ROLE, "admin")
    assert not protocol.read("Other.has_role", ADMIN_ROLE, get_account("deployer_of_Other"))
    assert int(protocol.read("Other.pending_admin"), 16) == 0
