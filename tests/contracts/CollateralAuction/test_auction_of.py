"""auction_of: all about an open auction; last_id: how many there were."""

from backstop.model.arithmetic import RAY, WAD
from tests.support.auction_steps import WETH, start_auction, take_collateral
from tests.support.revert_setter_and_source_helpers import reverts


def test_an_open_auction(funded, auction):
    found = funded.read("CollateralAuction.auction_of", auction)
    assert found.collateral_type == WETH
    assert found.owner == funded.address("borrower")
    assert (found.lot, found.top, found.started_at) == (10 * WAD, 1_800 * RAY, funded.timestamp)
    assert found.principal == funded.read("VaultEngine.in_auction_of", WETH)


def test_principal_is_what_the_ledger_counts_to_the_rad(funded, auction):
    for amount in (10**17 + 1, WAD + 7, 5 * WAD // 3):
        take_collateral(funded, auction, amount)
        found = funded.read("CollateralAuction.auction_of", auction)
        assert found.principal == funded.read("VaultEngine.in_auction_of", WETH)
        funded.advance(90)


def test_none_once_it_is_over(funded, auction):
    take_collateral(funded, auction)
    with reverts("collateral_auction: no auction"):
        funded.read("CollateralAuction.auction_of", auction)
    assert funded.read("CollateralAuction.last_id") == 1
    assert start_auction(funded, "saver") == 2


def test_knows_its_wiring(protocol):
    for view, contract in (
        ("VAULT_ENGINE", "VaultEngine"),
        ("PRICE_FEED", "PriceFeed"),
        ("LIQUIDATION_ENGINE", "LiquidationEngine"),
        ("STABLECOIN", "Stablecoin"),
    ):
        assert protocol.read(f"CollateralAuction.{view}") == protocol.address(contract)
