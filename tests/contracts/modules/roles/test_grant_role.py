"""grant_role: the admin gives roles, never its own."""

import pytest

from tests.support.revert_setter_and_source_helpers import GUARDIAN, reverts

CONTRACTS = ["VaultEngine", "PriceFeed", "CollateralAuction", "LossWaterfall"]


@pytest.mark.parametrize("contract", CONTRACTS)
def test_gives_the_role_once(protocol, contract):
    assert not protocol.read(f"{contract}.has_role", GUARDIAN, "stranger")
    protocol.do(f"{contract}.grant_role", GUARDIAN, "stranger", sender="admin")
    (log,) = protocol.last.logs
    assert log.values == (GUARDIAN, protocol.address("stranger"), protocol.address("admin"))
    assert protocol.read(f"{contract}.has_role", GUARDIAN, "stranger")
    protocol.do(f"{contract}.grant_role", GUARDIAN, "stranger", sender="admin")
    assert protocol.last.logs == ()


@pytest.mark.parametrize("contract", CONTRACTS)
def test_is_for_the_admin(protocol, contract):
    for sender in ("stranger", "guardian"):
        with reverts("roles: not admin"):
            protocol.do(f"{contract}.grant_role", GUARDIAN, sender, sender=sender)


@pytest.mark.parametrize("contract", CONTRACTS)
def test_the_admin_role_moves_in_two_steps_only(protocol, contract):
    with reverts("roles: admin is two-step"):
        protocol.do(f"{contract}.grant_role", bytes(32), "stranger", sender="admin")
