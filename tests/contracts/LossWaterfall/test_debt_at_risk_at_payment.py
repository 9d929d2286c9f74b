"""debt_at_risk_at_payment: as debt_at_risk_total, unless a loss is open or a price has just dropped."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from backstop.model.bounds import LOOK
from backstop.proof.local_protocol import PRICES
from tests.support.auction_steps import liquidate_vault
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import XAU, lose_new_vault
from tests.support.settlement_steps import settle_protocol, start_settlement

CALL = "LossWaterfall.debt_at_risk_at_payment"


@pytest.fixture
def doubtful(protocol):
    """A vault of gold with 10,000 of debt, at half the price since this very second."""
    protocol.post_price("XAU", PRICES["XAU"])
    protocol.borrow("borrower", "XAU", 8 * WAD, 10_000 * WAD)
    protocol.post_next("XAU", PRICES["XAU"] // 2)
    return protocol


def test_what_may_be_lost(protocol):
    assert protocol.read(CALL) == protocol.read("LossWaterfall.debt_at_risk_total") == 0


def test_flags_and_lots_after_ten_minutes(doubtful):
    flagged = doubtful.do("LiquidationEngine.flag", XAU, "borrower", sender="stranger")
    doubtful.advance(LOOK - 1)
    with reverts("loss_waterfall: price has fallen"):
        doubtful.read(CALL)
    doubtful.advance(1)
    assert doubtful.read(CALL) == flagged > 9_999 * WAD * RAY
    doubtful.earn_fees("WETH")  # so that the reserve pays the liquidator and no deficit is left
    doubtful.post_price("XAU", PRICES["XAU"] // 2)
    doubtful.advance(LOOK)
    liquidate_vault(doubtful, "borrower", XAU)
    assert doubtful.read(CALL) == doubtful.read("VaultEngine.in_auction_of", XAU) > 0


def test_a_rise_is_waited_for_by_nobody(protocol):
    protocol.post_price("XAU", PRICES["XAU"] * 2)
    assert protocol.read(CALL) == 0


def test_none_while_a_loss_is_open(protocol):
    lose_new_vault(protocol)
    protocol.advance(LOOK)
    with reverts("loss_waterfall: losses pending"):
        protocol.read(CALL)
    protocol.earn_fees("WETH")
    protocol.do("LossWaterfall.cover", XAU, sender="stranger")


@pytest.mark.parametrize(
    ("until", "is_refused"), [(start_settlement, True), (settle_protocol, False)], ids=["begun", "closed"]
)
def test_in_settlement_nothing_is_paid_until_the_books_are_closed(doubtful, until, is_refused):
    until(doubtful)
    if is_refused:
        with reverts("loss_waterfall: losses pending"):
            doubtful.read(CALL)
    else:
        assert doubtful.read(CALL) == 0
