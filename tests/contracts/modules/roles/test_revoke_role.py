"""revoke_role: the admin takes roles away, never its own."""

import pytest

from tests.support.revert_setter_and_source_helpers import GUARDIAN, reverts

CONTRACTS = ["VaultEngine", "PriceFeed", "CollateralAuction", "LossWaterfall"]


@pytest.mark.parametrize("contract", CONTRACTS)
def test_takes_the_role_away_once(protocol, contract):
    protocol.do(f"{contract}.grant_role", GUARDIAN, "stranger", sender="admin")
    protocol.do(f"{contract}.revoke_role", GUARDIAN, "stranger", sender="admin")
    (log,) = protocol.last.logs
    assert log.values == (GUARDIAN, protocol.address("stranger"), protocol.address("admin"))
    assert not protocol.read(f"{contract}.has_role", GUARDIAN, "stranger")
    protocol.do(f"{contract}.revoke_role", GUARDIAN, "stranger", sender="admin")
    assert protocol.last.logs == ()


@pytest.mark.parametrize("contract", CONTRACTS)
def test_is_for_the_admin(protocol, contract):
    for sender in ("stranger", "guardian"):
        with reverts("roles: not admin"):
            protocol.do(f"{contract}.revoke_role", GUARDIAN, "guardian", sender=sender)


@pytest.mark.parametrize("contract", CONTRACTS)
def test_the_admin_role_moves_in_two_steps_only(protocol, contract):
    with reverts("roles: admin is two-step"):
        protocol.do(f"{contract}.revoke_role", bytes(32), "admin", sender="admin")


def test_a_guardian_that_lost_the_role_stops_nothing(protocol):
    protocol.do("PriceFeed.grant_role", GUARDIAN, "guardian", sender="admin")
    protocol.do("PriceFeed.revoke_role", GUARDIAN, "guardian", sender="admin")
    with reverts("roles: missing role"):
        protocol.do("PriceFeed.set_halted", 0, True, sender="guardian")
