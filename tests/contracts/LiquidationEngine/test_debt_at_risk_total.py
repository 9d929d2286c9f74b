"""debt_at_risk_total: the debt in doubt of all types that are listed, whichever of them have flags."""

from backstop.model.arithmetic import RAY, WAD
from tests.support.auction_steps import WETH, liquidate_vault

WBTC, XAU = 1, 2


def total(protocol):
    return protocol.read("LiquidationEngine.debt_at_risk_total")


def test_it_is_the_sum_of_all_types(protocol):
    for c, symbol in ((WETH, "WETH"), (XAU, "XAU")):
        protocol.borrow("borrower", symbol, 20 * WAD, 20_000 * WAD)
        assert protocol.do("LiquidationEngine.flag", c, "borrower", sender="stranger") == 0
    assert total(protocol) == 0
    for c, symbol in ((WETH, "WETH"), (XAU, "XAU")):
        protocol.post_price(symbol, 1_000 * RAY)
        protocol.do("LiquidationEngine.flag", c, "borrower", sender="stranger")
    assert total(protocol) == sum(protocol.read("LiquidationEngine.debt_at_risk_of", c) for c in range(3)) > 0
    assert protocol.read("LiquidationEngine.debt_at_risk_of", WBTC) == 0


def test_a_type_counts_until_its_last_flag_is_gone(protocol):
    for who in ("borrower", "saver"):
        protocol.borrow(who, "XAU", 20 * WAD, 20_000 * WAD)
    protocol.post_price("XAU", 1_000 * RAY)
    flags = [
        protocol.do("LiquidationEngine.flag", XAU, who, sender="stranger") for who in ("borrower", "saver")
    ]
    assert total(protocol) == sum(flags) > 0
    liquidate_vault(protocol, "borrower", XAU)
    assert total(protocol) == protocol.read("VaultEngine.in_auction_of", XAU) + flags[1]
    protocol.give_stablecoin("saver", 100 * WAD)
    protocol.do("VaultEngine.repay_and_withdraw", XAU, "saver", 2**255, 0, "saver", sender="saver")
    protocol.do("LiquidationEngine.flag", XAU, "saver", sender="stranger")
    assert total(protocol) == protocol.read("VaultEngine.in_auction_of", XAU)
