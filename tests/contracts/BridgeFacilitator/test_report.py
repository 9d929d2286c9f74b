"""report: price and flag again, after an account has paid the vault engine directly."""

from backstop.model.arithmetic import RAY, WAD
from tests.support.facilitator_steps import (
    DAY,
    ROLLUP,
    announce_loss,
    draw_stablecoin_as_bridge,
    read_bridge_debt,
    read_bridge_debt_at_risk,
)

K = 1_000 * WAD


def test_after_a_repayment_at_the_vault_engine(owing):
    announce_loss(owing, 40 * K)
    owing.do("VaultEngine.repay_and_withdraw", ROLLUP, "Rollup", 20 * K, 0, "receiver", sender="receiver")
    owing.do("LiquidationEngine.flag", ROLLUP, "Rollup", sender="stranger")
    assert read_bridge_debt_at_risk(owing) == 20 * K * RAY
    owing.do("Rollup.sync_note", sender="stranger")
    assert read_bridge_debt_at_risk(owing) == 40 * K * RAY


def test_without_a_loss_a_note_is_a_stablecoin(owing):
    owing.do("Rollup.sync_note", sender="stranger")
    assert owing.read("PriceFeed.current_price", ROLLUP) == RAY
    assert read_bridge_debt_at_risk(owing) == 0


def test_a_fee_is_no_loss(owing):
    """It is the admin's to set, though a facilitator has none, and grows on the debt without notes."""
    owing.do("VaultEngine.set_stability_fee", ROLLUP, 10**19, sender="admin")
    owing.advance(DAY)
    owing.do("LiquidationEngine.flag", ROLLUP, "Rollup", sender="stranger")
    assert read_bridge_debt_at_risk(owing) != 0
    owing.do("Rollup.sync_note", sender="stranger")
    assert read_bridge_debt_at_risk(owing) == 0
    assert owing.read("PriceFeed.current_price", ROLLUP) > RAY


def test_a_fee_is_no_loss_to_the_last_fraction(owing):
    """A debt that its notes do not divide: the price is rounded up, so that they cover all of it."""
    owing.do("VaultEngine.set_stability_fee", ROLLUP, 10**19, sender="admin")
    owing.advance(DAY)
    draw_stablecoin_as_bridge(owing, 7 * WAD + 1)
    owing.advance(DAY)
    owing.do("Rollup.sync_note", sender="stranger")
    locked = owing.read("VaultEngine.vault", ROLLUP, "Rollup").locked_collateral
    assert read_bridge_debt(owing) % locked != 0
    assert owing.read("PriceFeed.current_price", ROLLUP) == -(-read_bridge_debt(owing) // locked)
    assert read_bridge_debt_at_risk(owing) == 0
