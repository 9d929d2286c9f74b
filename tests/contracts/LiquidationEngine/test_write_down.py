"""write_down: debt of an issuer's own vault becomes a deficit; every other caller is refused.

The tests of `BridgeFacilitator.realise_loss`, its only caller in a deployment, show the booked amounts.
"""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.auction_steps import WETH
from tests.support.facilitator_steps import (
    ROLLUP,
    deploy_protocol_with_facilitators,
    draw_stablecoin_as_bridge,
)
from tests.support.revert_setter_and_source_helpers import reverts

CALL = "LiquidationEngine.write_down"


@pytest.fixture
def bridged(new_protocol):
    protocol = deploy_protocol_with_facilitators(new_protocol)
    draw_stablecoin_as_bridge(protocol, 10 * WAD)
    protocol.do("PriceFeed.set_issuer", 7, "issuer", sender="admin")
    return protocol


@pytest.mark.parametrize("sender", ["stranger", "admin", "bridge", "guardian", "issuer"])
@pytest.mark.parametrize("c", [WETH, ROLLUP, 31])
def test_the_issuer_only(bridged, sender, c):
    with reverts("liquidation_engine: not issuer"):
        bridged.do(CALL, c, WAD, sender=sender)


def test_its_own_vault_only(bridged):
    """An issuer that is a person, of a type that it has no debt in."""
    bridged.deploy_token("Token", "Issued", "ISSUED", 18)
    bridged.do("ISSUED.mint", "admin", WAD, sender="admin")
    bridged.do("ISSUED.approve", "VaultEngine", WAD, sender="admin")
    c = bridged.do("VaultEngine.add_collateral_type", "ISSUED", 10_000, 10_000, sender="admin")
    bridged.do("PriceFeed.set_issuer", c, "issuer", sender="admin")
    bridged.do("VaultEngine.set_debt_ceiling", c, 1_000, sender="admin")
    bridged.do("PriceFeed.set_price", c, RAY, sender="issuer")
    bridged.do("ISSUED.mint", "borrower", 10 * WAD, sender="stranger")
    bridged.do("ISSUED.approve", "VaultEngine", 10 * WAD, sender="borrower")
    drawn = (c, "borrower", 10 * WAD, 10 * WAD, "borrower")
    bridged.do("VaultEngine.deposit_and_draw", *drawn, sender="borrower")
    assert bridged.do(CALL, c, WAD, sender="issuer") == 0
    assert bridged.read("VaultEngine.deficit_of", c) == 0
