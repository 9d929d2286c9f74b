"""accept_admin: only the account that the role was offered to."""

import pytest

from tests.support.revert_setter_and_source_helpers import reverts

CONTRACTS = ["VaultEngine", "PriceFeed", "CollateralAuction", "LossWaterfall"]
ADMIN_ROLE = bytes(32)


@pytest.mark.parametrize("contract", CONTRACTS)
def test_hands_everything_over(protocol, contract):
    protocol.do(f"{contract}.transfer_admin", "new_admin", sender="admin")
    protocol.do(f"{contract}.accept_admin", sender="new_admin")
    assert protocol.read(f"{contract}.admin") == protocol.address("new_admin")
    assert int(protocol.read(f"{contract}.pending_admin"), 16) == 0
    assert protocol.read(f"{contract}.has_role", ADMIN_ROLE, "new_admin")
    assert not protocol.read(f"{contract}.has_role", ADMIN_ROLE, "admin")
    with reverts("roles: not admin"):
        protocol.do(f"{contract}.transfer_admin", "admin", sender="admin")
    protocol.do(f"{contract}.transfer_admin", "admin", sender="new_admin")


@pytest.mark.parametrize("contract", CONTRACTS)
def test_is_for_the_chosen_one(protocol, contract):
    for sender in ("stranger", "admin"):
        with reverts("roles: not pending admin"):
            protocol.do(f"{contract}.accept_admin", sender=sender)
    protocol.do(f"{contract}.transfer_admin", "new_admin", sender="admin")
    with reverts("roles: not pending admin"):
        protocol.do(f"{contract}.accept_admin", sender="stranger")


def test_once(protocol):
    protocol.do("PriceFeed.transfer_admin", "new_admin", sender="admin")
    protocol.do("PriceFeed.accept_admin", sender="new_admin")
    with reverts("roles: not pending admin"):
        protocol.do("PriceFeed.accept_admin", sender="new_admin")


def test_the_admin_may_offer_it_to_itself(protocol):
    protocol.do("PriceFeed.transfer_admin", "admin", sender="admin")
    protocol.do("PriceFeed.accept_admin", sender="admin")
    assert protocol.read("PriceFeed.has_role", ADMIN_ROLE, "admin")
