"""recover: later payments of the bridge cover its deficit, then fill the reserve, and free its line."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.bounds import EQUITY_MARKET
from tests.support.auction_steps import get_only_event_values, read_stablecoins
from tests.support.facilitator_steps import (
    LINE,
    ROLLUP,
    announce_and_realise_bridge_loss,
    draw_stablecoin_as_bridge,
    pay_facilitator,
    read_facilitator_deficit,
)
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.settlement_steps import start_settlement

K = 1_000 * WAD


@pytest.fixture
def lossy(owing):
    """It has lost 30,000, all of it uncovered."""
    announce_and_realise_bridge_loss(owing, 30 * K)
    return owing


def test_the_deficit_first(lossy):
    assert pay_facilitator(lossy, 10 * K, "recover") == 10 * K
    assert get_only_event_values(lossy, "Recovered", "Rollup") == (lossy.address("receiver"), 10 * K)
    assert read_facilitator_deficit(lossy) == 20 * K * RAY
    assert lossy.read("Rollup.lost") == 20 * K
    assert lossy.read("VaultEngine.reserve") == 0
    assert read_stablecoins(lossy, "Rollup") == 0


def test_the_rest_is_the_reserves(lossy):
    """Savers have paid for a part."""
    lossy.do("Stablecoin.approve", "Savings", 20 * K, sender="receiver")
    lossy.do("Savings.deposit", 20 * K, "receiver", sender="receiver")
    covered = lossy.do("LossWaterfall.cover", ROLLUP, sender="stranger")
    assert 0 < covered < 30 * K * RAY
    pay_facilitator(lossy, 30 * K, "recover")
    assert read_facilitator_deficit(lossy) == 0
    assert lossy.read("VaultEngine.reserve") == covered


@pytest.mark.parametrize("amount", [30 * K + 1, MAX_UINT256])
def test_no_more_than_was_lost(lossy, amount):
    assert pay_facilitator(lossy, amount, "recover") == 30 * K
    assert lossy.read("Rollup.lost") == 0
    assert pay_facilitator(lossy, amount, "recover") == 0


def test_the_line_has_room_again(lossy):
    with reverts("facilitator: over its line"):
        draw_stablecoin_as_bridge(lossy, LINE * WAD - 70 * K)
    pay_facilitator(lossy, 30 * K, "recover")
    draw_stablecoin_as_bridge(lossy, LINE * WAD - 70 * K)


def test_not_while_a_stage_has_reserved_of_the_deficit(lossy):
    """New equity is being sold for it."""
    lossy.do("PriceFeed.report", EQUITY_MARKET, RAY, sender="reporter_1")
    lossy.do("PriceFeed.report", EQUITY_MARKET, RAY, sender="reporter_2")
    lossy.do("PriceFeed.report", EQUITY_MARKET, RAY, sender="reporter_3")
    lossy.do("PriceFeed.poke", EQUITY_MARKET, sender="stranger")
    lossy.do("LossWaterfall.cover", ROLLUP, sender="stranger")
    assert lossy.read("LossWaterfall.reserved_of", ROLLUP) != 0
    with reverts("facilitator: stages are busy"):
        pay_facilitator(lossy, K, "recover")


def test_not_in_settlement(lossy):
    start_settlement(lossy)
    with reverts("facilitator: in settlement"):
        pay_facilitator(lossy, K, "recover")


def test_with_an_allowance(lossy):
    with reverts("erc20: insufficient allowance"):
        lossy.do("Rollup.recover", 1, sender="receiver")
