"""draw: mints notes for each draw, within the line, by the minter alone."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.auction_steps import get_only_event_values, read_stablecoins
from tests.support.facilitator_steps import (
    LINE,
    ROLLUP,
    announce_and_realise_bridge_loss,
    announce_loss,
    deploy_protocol_with_facilitators,
    draw_stablecoin_as_bridge,
    pay_facilitator,
    read_bridge_debt,
    read_notes_in_facilitator_vault,
)
from tests.support.guard_steps import CAUTION, EMERGENCY, with_guards
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.settlement_steps import start_settlement
from tests.support.vault_size_margin_and_call_steps import set_mode_as_circuit_breaker

K = 1_000 * WAD


def test_draws_for_the_receiver(bridged):
    draw_stablecoin_as_bridge(bridged, 5 * K + 1)
    assert get_only_event_values(bridged, "Drawn", "Rollup") == (
        bridged.address("receiver"),
        5 * K + 1,
        5 * K + 1,
    )
    assert read_stablecoins(bridged, "receiver") == 5 * K + 1
    assert read_bridge_debt(bridged) == (5 * K + 1) * RAY
    assert read_notes_in_facilitator_vault(bridged) == bridged.read("Rollup.totalSupply") == 5 * K + 1
    assert bridged.read("Rollup.balanceOf", "Rollup") == 0


def test_notes_that_are_locked_already_are_used_first(owing):
    pay_facilitator(owing, 60 * K)
    draw_stablecoin_as_bridge(owing, 50 * K)
    assert get_only_event_values(owing, "Drawn", "Rollup")[2] == 0
    draw_stablecoin_as_bridge(owing, 20 * K)
    assert get_only_event_values(owing, "Drawn", "Rollup")[2] == 10 * K
    assert read_notes_in_facilitator_vault(owing) * RAY == read_bridge_debt(owing) == 110 * K * RAY


def test_up_to_the_line_to_the_wei(owing):
    draw_stablecoin_as_bridge(owing, LINE * WAD - 100 * K)
    with reverts("facilitator: over its line"):
        draw_stablecoin_as_bridge(owing, 1)


def test_what_it_has_lost_uses_the_line_up(owing):
    """Also once the stages have covered the loss, and the ceiling has room again."""
    owing.give_stablecoin("saver", 50 * K)
    owing.do("Stablecoin.approve", "Savings", 50 * K, sender="saver")
    owing.do("Savings.deposit", 50 * K, "saver", sender="saver")
    announce_and_realise_bridge_loss(owing, 20 * K)
    owing.do("LossWaterfall.cover", ROLLUP, sender="stranger")
    assert owing.read("VaultEngine.deficit_of", ROLLUP) == 0
    with reverts("facilitator: over its line"):
        draw_stablecoin_as_bridge(owing, LINE * WAD - 100 * K + 1)
    draw_stablecoin_as_bridge(owing, LINE * WAD - 100 * K)


def test_a_raised_line_has_room(owing):
    owing.do("VaultEngine.set_debt_ceiling", ROLLUP, 100_001, sender="admin")
    with reverts("facilitator: over its line"):
        draw_stablecoin_as_bridge(owing, WAD + 1)
    draw_stablecoin_as_bridge(owing, WAD)


def test_the_ceiling_of_all_types_holds(owing):
    owing.do("VaultEngine.set_global_debt_ceiling", 100_000, sender="admin")
    with reverts("ledger: over the ceiling"):
        draw_stablecoin_as_bridge(owing, K)


def test_however_long_nobody_has_reported(bridged):
    bridged.advance(400 * 86_400)
    draw_stablecoin_as_bridge(bridged, K)
    assert read_bridge_debt(bridged) == K * RAY


def test_not_while_a_loss_is_announced(owing):
    announce_loss(owing, 1)
    with reverts("facilitator: loss announced"):
        draw_stablecoin_as_bridge(owing, 1)
    owing.do("Rollup.cancel_loss", sender="admin")
    draw_stablecoin_as_bridge(owing, 1)


@pytest.mark.parametrize("sender", ["stranger", "admin", "guardian", "other_bridge"])
def test_minter_only(bridged, sender):
    with reverts("roles: missing role"):
        bridged.do("Rollup.draw", 1, "receiver", sender=sender)


def test_not_in_settlement(owing):
    start_settlement(owing)
    with reverts("ledger: in settlement"):
        draw_stablecoin_as_bridge(owing, 1)


@pytest.mark.parametrize(("mode", "reason"), [(CAUTION, "unsafe"), (EMERGENCY, "emergency")])
def test_modes_hold(new_protocol, mode, reason):
    protocol = deploy_protocol_with_facilitators(new_protocol, with_guards())
    draw_stablecoin_as_bridge(protocol, K)
    set_mode_as_circuit_breaker(protocol, mode)
    with reverts(f"risk_policy: {reason}"):
        draw_stablecoin_as_bridge(protocol, K)


def test_the_flow_limit_holds(new_protocol):
    protocol = deploy_protocol_with_facilitators(new_protocol, with_guards())
    protocol.do("RiskPolicy.set_flow_limit", ROLLUP, 10, 3_600, sender="admin")
    draw_stablecoin_as_bridge(protocol, 10 * WAD)
    with reverts("risk_policy: flows out too fast"):
        draw_stablecoin_as_bridge(protocol, WAD)


def test_an_amount_beyond_all_figures(bridged):
    with reverts(""):
        draw_stablecoin_as_bridge(bridged, 2**256 - 1)
