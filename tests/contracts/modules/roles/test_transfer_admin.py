"""transfer_admin: offers the admin role; nothing changes until it is accepted."""

import pytest

from tests.support.revert_setter_and_source_helpers import reverts

CONTRACTS = ["VaultEngine", "PriceFeed", "CollateralAuction", "LossWaterfall"]
NOBODY = "0x" + "00" * 20


@pytest.mark.parametrize("contract", CONTRACTS)
def test_offers_and_changes_nothing_else(protocol, contract):
    protocol.do(f"{contract}.transfer_admin", "stranger", sender="admin")
    admin, stranger = protocol.address("admin"), protocol.address("stranger")
    assert protocol.last.logs[0].values == (admin, stranger)
    assert protocol.read(f"{contract}.admin") == admin
    assert protocol.read(f"{contract}.pending_admin") == stranger


@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.parametrize("sender", ["stranger", "guardian"])
def test_is_for_the_admin(protocol, contract, sender):
    with reverts("roles: not admin"):
        protocol.do(f"{contract}.transfer_admin", sender, sender=sender)


def test_an_offer_can_be_withdrawn(protocol):
    protocol.do("PriceFeed.transfer_admin", "stranger", sender="admin")
    protocol.do("PriceFeed.transfer_admin", NOBODY, sender="admin")
    with reverts("roles: not pending admin"):
        protocol.do("PriceFeed.accept_admin", sender="stranger")
