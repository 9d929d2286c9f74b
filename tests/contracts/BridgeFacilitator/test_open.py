"""open: the note of the listing is burned, and only then there is a price."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.revert_setter_and_source_helpers import reverts

# A further facilitator, not opened yet: its id is the next.
NEXT = 5


@pytest.fixture
def made(bridged):
    names = ("VaultEngine", "PriceFeed", "LiquidationEngine", "LossWaterfall", "Stablecoin", "admin")
    bridged.lockstep.create_contract(
        "BridgeFacilitator", "New", "New", NEXT, *map(bridged.address, names), 3_600
    )
    bridged.do("New.approve", "VaultEngine", WAD, sender="admin")
    return bridged


def list_note(protocol):
    return protocol.do("VaultEngine.add_collateral_type", "New", 10_000, 10_000, sender="admin")


def test_burns_the_note_and_says_the_price(made):
    assert list_note(made) == NEXT
    made.do("PriceFeed.set_issuer", NEXT, "New", sender="admin")
    assert made.read("PriceFeed.current_price", NEXT) == 0
    made.do("New.open", sender="admin")
    assert made.read("New.totalSupply") == 0
    assert made.read("PriceFeed.risk_price", NEXT) == RAY


def test_only_as_the_issuer(made):
    list_note(made)
    with reverts("price_feed: not the issuer"):
        made.do("New.open", sender="admin")


def test_only_of_its_own_type(made):
    made.deploy_token("Token", "Other", "OTHER", 18)
    made.do("OTHER.mint", "admin", WAD, sender="admin")
    made.do("OTHER.approve", "VaultEngine", WAD, sender="admin")
    made.do("VaultEngine.add_collateral_type", "OTHER", 10_000, 10_000, sender="admin")
    with reverts("facilitator: other type"):
        made.do("New.open", sender="admin")


def test_the_admin_cannot_keep_the_note(made):
    list_note(made)
    made.do("PriceFeed.set_issuer", NEXT, "New", sender="admin")
    made.do("New.transfer", "stranger", WAD, sender="admin")
    with reverts("erc20: burn amount exceeds balance"):
        made.do("New.open", sender="admin")


def test_the_admin_cannot_draw_against_the_note(made):
    list_note(made)
    made.do("PriceFeed.set_issuer", NEXT, "New", sender="admin")
    made.do("VaultEngine.set_debt_ceiling", NEXT, 10, sender="admin")
    made.do("New.approve", "VaultEngine", WAD, sender="admin")
    with reverts("vault_engine: no price"):
        made.do("VaultEngine.deposit_and_draw", NEXT, "admin", WAD, WAD, "admin", sender="admin")
    with reverts("facilitator: not open"):
        made.do("New.sync_note", sender="admin")


def test_once(bridged):
    with reverts("erc20: burn amount exceeds balance"):
        bridged.do("Rollup.open", sender="admin")


@pytest.mark.parametrize("sender", ["stranger", "bridge", "guardian"])
def test_admin_only(bridged, sender):
    with reverts("roles: not admin"):
        bridged.do("Rollup.open", sender=sender)
