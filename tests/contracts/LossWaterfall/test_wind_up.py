"""wind_up, close_books: in settlement caps are lifted, slow stages skipped, and pools pay no member."""

from dataclasses import replace

import pytest

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import StageParameters
from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.proof.local_protocol import PRICES
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import (
    XAU,
    cut_batch_and_wait_cooldown,
    deposit_savings,
    earn_year_of_high_fees,
    lose_new_vault,
    redeem_all_shares,
    request_all_shares,
)
from tests.support.settlement_steps import settle_protocol

STAGES = (
    StageParameters("scripted"),
    StageParameters("buffer", cap_bps=1),
    StageParameters("reserve", cap_absolute=RAD),
    StageParameters("savings", cap_bps=100),
)


@pytest.fixture
def ending(new_protocol):
    """A loss, a saver due to withdraw, and a settlement that can begin."""
    made = new_protocol(replace(build_standard_parameters(), stages=STAGES))
    for symbol, price in PRICES.items():
        made.post_price(symbol, price)
    earn_year_of_high_fees(made)
    deposit_savings(made, "saver", 40_000 * WAD)
    made.do("Settlement.announce", sender="admin")
    made.advance(made.read("Settlement.DELAY"))
    lose_new_vault(made, debt=40_000 * WAD)
    request_all_shares(made, "saver")
    cut_batch_and_wait_cooldown(made)
    return made


@pytest.mark.parametrize("method", ["wind_up", "close_books"])
@pytest.mark.parametrize("sender", ["stranger", "admin"])
def test_only_the_ledger(protocol, method, sender):
    with reverts("loss_waterfall: not vault engine"):
        protocol.do(f"LossWaterfall.{method}", sender=sender)


def test_caps_are_lifted_but_the_savers(ending):
    ending.do("ScriptedStage.claim", RAD, 0, RAD, sender="stranger")
    assert ending.do("LossWaterfall.cover", XAU, sender="stranger") == RAD  # which the others wait for
    assert ending.do("LossWaterfall.cover", XAU, sender="stranger") == 0
    ending.do("Settlement.begin", sender="stranger")
    buffer, reserve = ending.read("VaultEngine.buffer_of", XAU), ending.read("VaultEngine.reserve")
    saved = ending.read("Savings.capacity", XAU)
    ending.do("LossWaterfall.cover", XAU, sender="stranger")
    paid = dict(log.values[2:] for log in ending.last.logs if log.event == "LossCovered")
    assert (paid[1], paid[2]) == (buffer, reserve)
    assert 0 < saved - ending.read("Savings.capacity", XAU) <= saved // 100


def test_nobody_leaves_a_pool_until_the_books_are_closed(ending):
    ending.do("Settlement.begin", sender="stranger")
    assert redeem_all_shares(ending, "saver") == 0
    assert ending.read("Savings.pending_losses") == ending.read("Savings.capacity", XAU) // RAY


def test_what_was_flagged_keeps_nobody_in_once_the_books_are_closed(new_protocol):
    made = new_protocol(
        replace(build_standard_parameters(), stages=(StageParameters("buffer"), StageParameters("savings")))
    )
    for symbol, price in PRICES.items():
        made.post_price(symbol, price)
    deposit_savings(made, "saver", 40_000 * WAD)
    made.borrow("borrower", "XAU", 80_000 * RAD // PRICES["XAU"], 40_000 * WAD)
    for _ in range(3):
        made.post_price("XAU", PRICES["XAU"] * 9 // 20)
    made.do("LiquidationEngine.flag", XAU, "borrower", sender="stranger")
    settle_protocol(made)
    assert made.read("LiquidationEngine.flagged_of", XAU) >= 40_000 * WAD
    assert made.read("LossWaterfall.losses_reaching", "Savings") == 0
    assert made.read("LossWaterfall.pending_total") == made.read("Savings.pending_losses") == 0
    request_all_shares(made, "saver")
    assets = made.read("Savings.totalAssets")
    cut_batch_and_wait_cooldown(made)
    assert redeem_all_shares(made, "saver") >= assets - 1 > 30_000 * WAD
    made.do("LiquidationEngine.flag", XAU, "borrower", sender="stranger")
    assert made.read("LiquidationEngine.flagged_of", XAU) == 0
