"""The feed shows every price one step before it counts: time to top up, to the last wei."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.auction_steps import WETH, liquidate_vault, take_collateral
from tests.support.revert_setter_and_source_helpers import reverts

DEBT = 13_000 * WAD
# locked * 1,850 * 1e4 >= debt * 14,500, rounded up
NEEDED = -(-DEBT * 14_500 // (1_850 * 10_000))


@pytest.fixture
def warned(quiet):
    """Two vaults of 10 WETH and 13,000; the price still is 2,000, the next one is 1,850."""
    protocol = quiet()
    for who in ("borrower", "neighbour"):
        protocol.borrow(who, "WETH", 10 * WAD, DEBT)
    protocol.give_stablecoin("taker", 20_000 * WAD)
    protocol.post_next("WETH", 1_850 * RAY)
    assert protocol.read("PriceFeed.prices_of", WETH)[:2] == (2_000 * RAY, 1_850 * RAY)
    return protocol


def deposit(protocol, who, amount):
    protocol.mint_and_approve_collateral("WETH", who, amount)
    protocol.do("VaultEngine.deposit_and_draw", WETH, who, amount, 0, who, sender=who)


def test_the_price_to_come_binds_new_risk_but_liquidates_nobody(warned):
    with reverts("liquidation_engine: safe vault"):
        liquidate_vault(warned)
    with reverts("vault_engine: unsafe"):
        warned.do("VaultEngine.deposit_and_draw", WETH, "borrower", 0, 1, "borrower", sender="borrower")
    with reverts("vault_engine: unsafe"):
        warned.do("VaultEngine.repay_and_withdraw", WETH, "borrower", 0, 1, "borrower", sender="borrower")


def test_the_last_wei_saves_the_vault(warned):
    deposit(warned, "borrower", NEEDED - 10 * WAD)
    deposit(warned, "neighbour", NEEDED - 10 * WAD - 1)
    warned.post_next("WETH", 1_850 * RAY)
    with reverts("liquidation_engine: safe vault"):
        liquidate_vault(warned, "borrower")
    assert liquidate_vault(warned, "neighbour") == 1


def test_repaying_saves_as_well_and_costs_nothing(warned):
    # 10 * 1,850 / 1.45, rounded down: so much may be owed.
    most = 10 * WAD * 1_850 * 10_000 // 14_500
    for who, repaid in (("borrower", DEBT - most), ("neighbour", DEBT - most - 1)):
        warned.do("VaultEngine.repay_and_withdraw", WETH, who, repaid, 0, who, sender=who)
    warned.post_next("WETH", 1_850 * RAY)
    with reverts("liquidation_engine: safe vault"):
        liquidate_vault(warned, "borrower")
    auction = liquidate_vault(warned, "neighbour")

    # The borrower repays what is left of the 13,000 and has all collateral back.
    warned.do(
        "VaultEngine.repay_and_withdraw", WETH, "borrower", most, 10 * WAD, "borrower", sender="borrower"
    )
    assert warned.read("WETH.balanceOf", "borrower") == 10 * WAD
    assert warned.read("Stablecoin.balanceOf", "borrower") == 0

    # The neighbour's lot is sold at the top, for debt and penalty; only the rest comes back.
    target = most + 1 + (most + 1) * 1_300 // 10_000 // 10**12 * 10**12
    sold = target * RAY // (1_850 * RAY * 12 // 10)
    take_collateral(warned, auction)
    vault = warned.table("VaultEngine", "vaults", (WETH, warned.address("neighbour")))
    assert (vault.locked_collateral, vault.normalized_debt) == (10 * WAD - sold, 0)
    assert warned.read("WETH.balanceOf", "taker") == sold
    assert warned.read("Stablecoin.balanceOf", "taker") == 20_000 * WAD - target
