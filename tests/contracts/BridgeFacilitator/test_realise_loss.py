"""realise_loss: the lower of the announced loss and the debt becomes a deficit, in one call."""

import pytest

from backstop.deployment.example_parameters import build_guarded_parameters
from backstop.model.arithmetic import RAY, WAD
from tests.support.auction_steps import get_only_event_values, read_stablecoins
from tests.support.facilitator_steps import (
    DAY,
    ROLLUP,
    announce_and_realise_bridge_loss,
    announce_loss,
    deploy_protocol_with_facilitators,
    draw_stablecoin_as_bridge,
    pay_facilitator,
    read_bridge_debt,
    read_bridge_debt_at_risk,
    read_facilitator_deficit,
    read_notes_in_facilitator_vault,
)
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.settlement_steps import start_settlement

K = 1_000 * WAD


def test_books_what_was_announced(owing):
    assert announce_and_realise_bridge_loss(owing, 30 * K + 7) == 30 * K + 7
    assert get_only_event_values(owing, "LossRealised", "Rollup") == (30 * K + 7,)
    assert get_only_event_values(owing, "WrittenDown", "LiquidationEngine") == (
        ROLLUP,
        owing.address("Rollup"),
        (30 * K + 7) * RAY,
    )
    assert read_facilitator_deficit(owing) == (30 * K + 7) * RAY
    assert read_bridge_debt(owing) == (70 * K - 7) * RAY
    assert owing.read("Rollup.lost") == 30 * K + 7


def test_no_doubt_and_no_announcement_are_left(owing):
    announce_and_realise_bridge_loss(owing, 30 * K)
    assert read_bridge_debt_at_risk(owing) == 0
    assert tuple(owing.read("Rollup.announcement")) == (0, 0)
    assert owing.read("PriceFeed.current_price", ROLLUP) == RAY
    assert owing.read("VaultEngine.in_auction_of", ROLLUP) == 0
    with reverts("facilitator: no loss"):
        owing.do("Rollup.realise_loss", sender="stranger")


def test_nobody_is_rewarded_and_no_auction_is_left(owing):
    announce_and_realise_bridge_loss(owing, 30 * K)
    assert owing.read("CollateralAuction.last_id") == 0
    assert read_stablecoins(owing, "stranger") == 0
    assert owing.read("Stablecoin.totalSupply") == 100 * K


@pytest.mark.parametrize("announced", [100 * K, 100 * K + 1, 2**128 - 1])
def test_never_more_than_the_debt(owing, announced):
    assert announce_and_realise_bridge_loss(owing, announced) == 100 * K
    assert read_bridge_debt(owing) == 0
    assert read_facilitator_deficit(owing) == 100 * K * RAY


def test_what_was_repaid_meanwhile_is_no_loss(owing):
    announce_loss(owing, 100 * K)
    pay_facilitator(owing, 80 * K)
    owing.advance(DAY)
    assert owing.do("Rollup.realise_loss", sender="stranger") == 20 * K


def test_after_the_delay_to_the_second(owing):
    announce_loss(owing, K)
    owing.advance(DAY - 1)
    with reverts("facilitator: too early"):
        owing.do("Rollup.realise_loss", sender="stranger")
    owing.advance(1)
    owing.do("Rollup.realise_loss", sender="stranger")


def test_without_debt_there_is_nothing_to_lose(owing):
    """And the facilitator goes on."""
    announce_loss(owing, K)
    pay_facilitator(owing, 100 * K)
    owing.advance(DAY)
    assert owing.do("Rollup.realise_loss", sender="stranger") == 0
    assert read_facilitator_deficit(owing) == owing.read("Rollup.lost") == 0
    owing.do("Rollup.draw", K, "receiver", sender="bridge")


def test_notes_of_what_was_lost_serve_again(owing):
    announce_and_realise_bridge_loss(owing, 30 * K)
    owing.do("Rollup.draw", 30 * K, "receiver", sender="bridge")
    assert read_notes_in_facilitator_vault(owing) == 100 * K


def test_at_a_rate_above_one_only_whole_units_are_written_down(owing):
    """A fee is the admin's to set, though a facilitator has none."""
    owing.do("VaultEngine.set_stability_fee", ROLLUP, 10**19, sender="admin")
    owing.advance(DAY)
    announce_loss(owing, 10 * K)
    owing.advance(DAY)
    owing.do("VaultEngine.accrue", ROLLUP, sender="stranger")
    rate = owing.read("VaultEngine.debts_of", ROLLUP).accumulated_rate
    lost = owing.do("Rollup.realise_loss", sender="stranger")
    principal = 10 * K * RAY // rate * rate
    assert read_facilitator_deficit(owing) == principal < 10 * K * RAY
    assert lost == -(-principal // RAY)


def test_the_stops_of_auctions_do_not_hold_it_back(owing):
    owing.do("VaultEngine.set_global_auction_limit", 0, sender="admin")
    assert announce_and_realise_bridge_loss(owing, K) == K


def test_in_settlement_it_still_reaches_the_stages(owing):
    announce_loss(owing, 30 * K)
    start_settlement(owing)
    assert owing.do("Rollup.realise_loss", sender="stranger") == 30 * K


def test_in_settlement_a_dynamic_fee_stays_zero(new_protocol):
    """Settlement has charged all fees: a rate that moves later would make the first vaults owe less."""
    owing = deploy_protocol_with_facilitators(new_protocol, build_guarded_parameters())
    draw_stablecoin_as_bridge(owing, 100 * K)
    curve = (400, 5_000, 2_000, 4_000)
    owing.do("RiskPolicy.set_fee_curve", ROLLUP, curve, 100, 0, sender="admin")
    owing.do("VaultEngine.set_fee_dynamic", ROLLUP, True, sender="admin")
    assert owing.read("VaultEngine.stability_fee_of", ROLLUP) > 0
    announce_loss(owing, 30 * K)
    start_settlement(owing)
    rate = owing.read("VaultEngine.debts_of", ROLLUP).accumulated_rate
    assert owing.do("Rollup.realise_loss", sender="stranger") > 0
    owing.advance(DAY)
    owing.do("VaultEngine.accrue", ROLLUP, sender="stranger")
    assert owing.read("VaultEngine.stability_fee_of", ROLLUP) == 0
    assert owing.read("VaultEngine.debts_of", ROLLUP).accumulated_rate == rate
