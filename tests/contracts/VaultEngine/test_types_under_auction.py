"""types_under_auction: a bit for each listed type that has principal under auction."""

from backstop.model.arithmetic import WAD
from tests.support.auction_steps import WBTC, WETH, XAU, liquidate_vault, start_auction, take_collateral


def under_auction(protocol):
    return protocol.read("VaultEngine.types_under_auction")


def test_until_the_last_of_a_types_principal_is_paid(protocol):
    protocol.give_stablecoin("taker", 60_000 * WAD)
    assert under_auction(protocol) == 0
    protocol.borrow("third", "XAU", 8 * WAD, 10_000 * WAD)
    protocol.post_price("XAU", protocol.get_or_renew_risk_price("XAU") // 2)
    liquidate_vault(protocol, "third", XAU)
    assert under_auction(protocol) == 1 << XAU
    ether = start_auction(protocol)
    assert under_auction(protocol) == 1 << XAU | 1 << WETH
    take_collateral(protocol, ether, WAD)
    assert under_auction(protocol) == 1 << XAU | 1 << WETH
    take_collateral(protocol, ether)
    assert under_auction(protocol) == 1 << XAU


def test_what_is_retired_is_not_asked_about(protocol):
    protocol.do("VaultEngine.retire_collateral_type", WBTC, sender="admin")
    start_auction(protocol)
    assert under_auction(protocol) == 1 << WETH
