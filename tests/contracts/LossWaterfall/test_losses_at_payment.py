"""losses_at_payment: as losses_reaching, unless a price has just dropped."""

import pytest

from backstop.deployment.parameter_dataclasses import replace_stage_caps
from backstop.model.arithmetic import RAY, WAD
from backstop.model.bounds import LOOK
from backstop.proof.local_protocol import PRICES
from tests.support.equity_steps import (
    build_equity_parameters,
    hold_equity_price_until_average,
    post_prices_and_fund_people,
)
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import XAU, deposit_savings, lose_new_vault
from tests.support.settlement_steps import settle_protocol, start_settlement

CALL = "LossWaterfall.losses_at_payment"
UNCAPPED = {"savings": {"cap_bps": 10_000}}


@pytest.fixture
def fallen(deployed):
    """Gold has lost 6% this very second, after a loss."""
    protocol = deployed(caps=UNCAPPED)
    lose_new_vault(protocol)
    protocol.post_price("XAU", PRICES["XAU"])
    protocol.post_next("XAU", PRICES["XAU"] * 94 // 100)
    return protocol


def test_what_would_reach_a_stage(deployed):
    protocol = deployed(caps=UNCAPPED)
    lose_new_vault(protocol)
    protocol.advance(LOOK)
    losses = protocol.read("LossWaterfall.losses_reaching", "Savings")
    assert protocol.read(CALL, "Savings") == losses > 9_000 * WAD
    assert protocol.read(CALL, "stranger") == 0


def test_none_for_ten_minutes_after_a_fall(fallen):
    fallen.advance(LOOK - 1)
    with reverts("loss_waterfall: price has fallen"):
        fallen.read(CALL, "Savings")
    assert fallen.read("LossWaterfall.losses_reaching", "Savings") > 0
    fallen.advance(1)
    assert fallen.read(CALL, "Savings") == fallen.read("LossWaterfall.losses_reaching", "Savings")


def test_none_before_a_pool_under_a_share_has_covered_what_it_can(deployed):
    protocol = deployed(saved=10_000 * WAD)
    lose_new_vault(protocol)
    protocol.advance(LOOK)
    with reverts("loss_waterfall: not covered yet"):
        protocol.read(CALL, "Savings")
    assert protocol.read(CALL, "Junior") > 9_000 * WAD  # it holds nothing, and has no such cap
    protocol.do("LossWaterfall.cover", XAU, sender="stranger")
    assert protocol.read(CALL, "Savings") == protocol.read("VaultEngine.deficit_of", XAU) > 4_000 * WAD


def test_while_equity_is_sold_for_the_loss_nobody_waits(new_protocol):
    """The sale's remainder for the pool is unknown for days."""
    parameters = replace_stage_caps(
        build_equity_parameters("minted_equity", "savings"), "savings", cap_bps=5_000
    )
    protocol = post_prices_and_fund_people(new_protocol(parameters))
    hold_equity_price_until_average(protocol, 100 * RAY)
    deposit_savings(protocol, "saver", 10_000 * WAD)
    lose_new_vault(protocol)
    protocol.advance(LOOK)
    with reverts("loss_waterfall: not covered yet"):
        protocol.read(CALL, "Savings")
    protocol.do("LossWaterfall.cover", XAU, sender="stranger")
    assert protocol.read("LossWaterfall.reserved_of", XAU) > 0
    assert protocol.read(CALL, "Savings") > 9_000 * WAD


def test_a_loss_that_does_not_reach_the_pool_holds_nobody_up(deployed):
    protocol = deployed()
    deposit_savings(protocol, "elder", 20_000 * WAD, "Junior")
    lose_new_vault(protocol)
    protocol.advance(LOOK)
    assert protocol.read(CALL, "Savings") == 0 < protocol.read("VaultEngine.deficit_of", XAU)


@pytest.mark.parametrize(
    ("until", "expected"), [(start_settlement, 2**255), (settle_protocol, 0)], ids=["begun", "closed"]
)
def test_in_settlement_there_is_nothing_to_wait_for(fallen, until, expected):
    """While the pool winds up no member is paid at any price, and then nothing can be lost any more."""
    until(fallen)
    fallen.post_next("XAU", PRICES["XAU"] // 2)
    assert fallen.read("PriceFeed.withdrawals_paused_until") == fallen.timestamp + LOOK
    assert fallen.read(CALL, "Savings") == expected
