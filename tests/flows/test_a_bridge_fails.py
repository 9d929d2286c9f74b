"""A bridge draws, pays back a part, loses the rest; stages pay, and get it back years later."""

from backstop.model.arithmetic import RAY, WAD
from tests.support.facilitator_steps import (
    DAY,
    LINE,
    ROLLUP,
    announce_loss,
    deploy_protocol_with_facilitators,
    draw_stablecoin_as_bridge,
    pay_facilitator,
    read_bridge_debt,
    read_bridge_debt_at_risk,
    read_facilitator_deficit,
)
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import deposit_savings
from tests.support.settlement_steps import settle_protocol

K = 1_000 * WAD


def test_a_bridge_fails_and_pays_in_the_end(new_protocol):
    protocol = deploy_protocol_with_facilitators(new_protocol)
    deposit_savings(protocol, "saver", 40 * K, "Junior")
    draw_stablecoin_as_bridge(protocol, 50 * K, "users")
    assert pay_facilitator(protocol, 20 * K, who="users") == 20 * K

    # It is hacked: nothing is drawn any more, and everybody sees what is at stake.
    announce_loss(protocol, 25 * K, sender="guardian")
    with reverts("facilitator: loss announced"):
        draw_stablecoin_as_bridge(protocol, 1)
    assert read_bridge_debt_at_risk(protocol) // RAY == 25 * K
    protocol.advance(DAY)
    # A part of it turned up meanwhile.
    assert pay_facilitator(protocol, 10 * K, who="users") == 10 * K
    assert protocol.do("Rollup.realise_loss", sender="stranger") == 20 * K
    assert (read_bridge_debt(protocol), read_facilitator_deficit(protocol)) == (0, 20 * K * RAY)

    before = protocol.read("Junior.totalAssets")
    protocol.do("LossWaterfall.cover", ROLLUP, sender="stranger")
    assert read_facilitator_deficit(protocol) == 0
    assert before - 20 * K - 1 <= protocol.read("Junior.totalAssets") < before - 19 * K

    # It goes on under what is left of its line, and pays its loss back from new business.
    draw_stablecoin_as_bridge(protocol, LINE * WAD - 20 * K, "users")
    reserve = protocol.read("VaultEngine.reserve")
    assert pay_facilitator(protocol, 20 * K, "recover", who="users") == 20 * K
    assert protocol.read("VaultEngine.reserve") == reserve + 20 * K * RAY
    draw_stablecoin_as_bridge(protocol, 20 * K, "users")
    # Those who bore the loss have claims on it.
    protocol.do("Treasury.distribute", sender="stranger")
    assert protocol.read("Stablecoin.balanceOf", "Junior.Claims") > 19 * K


def test_settlement_ends_with_notes_in_the_hands_of_holders(new_protocol):
    protocol = deploy_protocol_with_facilitators(new_protocol)
    protocol.borrow("borrower", "WETH", 100 * WAD, 50 * K)
    draw_stablecoin_as_bridge(protocol, 50 * K, "users")
    supply = settle_protocol(protocol)
    assert supply >= 100 * K
    protocol.do("Settlement.redeem", 40 * K, sender="borrower")
    notes = protocol.do("Settlement.cash", ROLLUP, 40 * K, sender="borrower")
    ether = protocol.do("Settlement.cash", 0, 40 * K, sender="borrower")
    assert notes == protocol.read("Rollup.balanceOf", "borrower") == 50 * K * 40 * K // supply
    assert ether > 0

    # The bridge still pays, with stablecoin that its users hold, and notes bring their share of it.
    assert pay_facilitator(protocol, 30 * K, who="users") == 30 * K
    due = protocol.do("Rollup.redeem", notes, sender="borrower")
    assert due == notes * 30 * K // (50 * K)
    # What they bring can be redeemed as well.
    protocol.do("Settlement.redeem", due, sender="borrower")
