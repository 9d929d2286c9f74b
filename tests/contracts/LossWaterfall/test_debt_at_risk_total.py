"""debt_at_risk_total: all possible losses, booked or not; new caps do not wait for debt in doubt alone."""

from backstop.model.arithmetic import RAY, WAD
from tests.support.auction_steps import WETH, liquidate_vault
from tests.support.saver_steps import XAU, lose_new_vault


def total(protocol):
    return protocol.read("LossWaterfall.debt_at_risk_total")


def fall(protocol):
    """A vault of 20,000 in gold and 10,000 of debt, at half the price."""
    protocol.post_price("XAU", 2_500 * RAY)
    protocol.borrow("borrower", "XAU", 8 * WAD, 10_000 * WAD)
    protocol.post_price("XAU", 1_000 * RAY)


def test_deficits_auctions_and_flags_of_all_types(protocol):
    assert total(protocol) == 0
    deficit = lose_new_vault(protocol, "WBTC")
    assert total(protocol) == deficit
    fall(protocol)
    assert total(protocol) == deficit
    flagged = protocol.do("LiquidationEngine.flag", XAU, "borrower", sender="stranger")
    assert total(protocol) == deficit + flagged
    liquidate_vault(protocol, "borrower", XAU)
    booked = sum(protocol.read("VaultEngine.deficit_of", c) for c in range(3))
    assert total(protocol) == booked + protocol.read("VaultEngine.in_auction_of", XAU)
    assert protocol.read("LossWaterfall.pending_total") == booked
    assert protocol.read("LiquidationEngine.debt_at_risk_of", WETH) == 0


def test_it_reaches_a_stage_less_what_earlier_ones_have(protocol):
    protocol.earn_fees("WETH")
    fall(protocol)
    flagged_principal = protocol.do("LiquidationEngine.flag", XAU, "borrower", sender="stranger")
    held = protocol.read("VaultEngine.buffer_of", XAU) + protocol.read("VaultEngine.reserve")
    assert protocol.read("LossWaterfall.losses_reaching", "BufferStage") == flagged_principal
    assert protocol.read("LossWaterfall.losses_reaching", "Savings") == flagged_principal - held > 0
    protocol.post_price("XAU", 2_500 * RAY)
    protocol.do("LiquidationEngine.flag", XAU, "borrower", sender="stranger")
    assert protocol.read("LossWaterfall.losses_reaching", "BufferStage") == 0


def test_caps_change_in_spite_of_it(protocol):
    stages = range(protocol.read("LossWaterfall.stage_count"))
    terms = [tuple(protocol.read("LossWaterfall.stage_terms", k)) for k in stages]
    protocol.do("LossWaterfall.propose_stages", terms, sender="admin")
    protocol.advance(30 * 86_400)
    fall(protocol)
    protocol.do("LiquidationEngine.flag", XAU, "borrower", sender="stranger")
    assert total(protocol) > 0
    protocol.do("LossWaterfall.apply_stages", terms, sender="stranger")
