"""The constructor and the deployment: the auctions' wiring, and the slot by which they count blocks."""

from dataclasses import replace

import pytest

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.model.bounds import MAX_BLOCK_TIME
from tests.support.auction_steps import NOBODY
from tests.support.revert_setter_and_source_helpers import check_contract_creation_refused


def wired(protocol):
    names = ("VaultEngine", "PriceFeed", "LiquidationEngine", "Stablecoin")
    return (*map(protocol.address, names), NOBODY, protocol.address("admin"))


def test_is_wired(protocol):
    for name in ("VAULT_ENGINE", "PRICE_FEED", "LIQUIDATION_ENGINE", "STABLECOIN"):
        label = "".join(part.capitalize() for part in name.split("_"))
        assert protocol.read(f"CollateralAuction.{name}") == protocol.address(label)
    assert protocol.read("CollateralAuction.BLOCK_TIME") == 0


@pytest.mark.parametrize("slot", [0, 1, 12, MAX_BLOCK_TIME])
def test_of_a_slot(new_protocol, slot):
    protocol = new_protocol(replace(build_standard_parameters(), block_time=slot))
    assert protocol.read("CollateralAuction.BLOCK_TIME") == slot


def test_of_no_slot_longer_than_a_minute(protocol):
    args = (*wired(protocol), MAX_BLOCK_TIME + 1)
    check_contract_creation_refused(
        protocol, "CollateralAuction", *args, reason="collateral_auction: bad slot"
    )


def test_half_of_the_field_is_left_for_its_starts(new_protocol, host_kind):
    """2**31 - 1 seconds at 12 a block are 178,956,970 blocks; a node would have to mine them."""
    if host_kind == "anvil":
        return
    protocol = new_protocol()
    protocol.advance(0, 178_956_970 - protocol.lockstep.next_block_number)
    protocol.lockstep.create_contract("CollateralAuction", "Late", *wired(protocol), 12)
    protocol.advance(0, 1)
    args = *wired(protocol), 12
    check_contract_creation_refused(
        protocol, "CollateralAuction", *args, reason="collateral_auction: bad slot"
    )
    protocol.lockstep.create_contract("CollateralAuction", "BySeconds", *wired(protocol), 0)
