"""draw: notes for what is drawn, within the line, by the minter alone."""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.auctions import event, stablecoins
from tests.support.domains import LINE, ROLLUP, announce, debt, draw, locked, lose, opened, pay
from tests.support.guards import CAUTION, EMERGENCY, with_guards
from tests.support.helpers import reverts
from tests.support.policy import set_mode
from tests.support.settling import begin

K = 1_000 * WAD


def test_draws_for_the_receiver(bridged):
    draw(bridged, 5 * K + 1)
    assert event(bridged, "Drawn", "Rollup") == (bridged.address("receiver"), 5 * K + 1, 5 * K + 1)
    assert stablecoins(bridged, "receiver") == 5 * K + 1
    assert debt(bridged) == (5 * K + 1) * RAY
    assert locked(bridged) == bridged.read("Rollup.totalSupply") == 5 * K + 1
    assert bridged.read("Rollup.balanceOf", "Rollup") == 0


def test_notes_that_are_locked_already_are_used_first(owing):
    pay(owing, 60 * K)
    draw(owing, 50 * K)
    assert event(owing, "Drawn", "Rollup")[2] == 0
    draw(owing, 20 * K)
    assert event(owing, "Drawn", "Rollup")[2] == 10 * K
    assert locked(owing) * RAY == debt(owing) == 110 * K * RAY


def test_up_to_the_line_to_the_wei(owing):
    draw(owing, LINE * WAD - 100 * K)
    with reverts("domain: over its line"):
        draw(owing, 1)


def test_what_it_has_lost_uses_the_line_up(owing):
    """Also once the stages have covered the loss, and the ceiling has room again."""
    owing.give_stablecoin("saver", 50 * K)
    owing.do("Stablecoin.approve", "Savings", 50 * K, sender="saver")
    owing.do("Savings.deposit", 50 * K, "saver", sender="saver")
    lose(owing, 20 * K)
    owing.do("LossWaterfall.cover", ROLLUP, sender="stranger")
    assert owing.read("VaultEngine.deficit_of", ROLLUP) == 0
    with reverts("domain: over its line"):
        draw(owing, LINE * WAD - 100 * K + 1)
    draw(owing, LINE * WAD - 100 * K)


def test_a_raised_line_has_room(owing):
    owing.do("VaultEngine.set_debt_ceiling", ROLLUP, 100_001, sender="admin")
    with reverts("domain: over its line"):
        draw(owing, WAD + 1)
    draw(owing, WAD)


def test_the_ceiling_of_all_types_holds(owing):
    owing.do("VaultEngine.set_global_debt_ceiling", 100_000, sender="admin")
    with reverts("ledger: over the ceiling"):
        draw(owing, K)


def test_however_long_nobody_has_reported(bridged):
    bridged.advance(400 * 86_400)
    draw(bridged, K)
    assert debt(bridged) == K * RAY


def test_not_while_a_loss_is_announced(owing):
    announce(owing, 1)
    with reverts("domain: loss announced"):
        draw(owing, 1)
    owing.do("Rollup.cancel_loss", sender="admin")
    draw(owing, 1)


@pytest.mark.parametrize("sender", ["stranger", "admin", "guardian", "other_bridge"])
def test_minter_only(bridged, sender):
    with reverts("roles: missing role"):
        bridged.do("Rollup.draw", 1, "receiver", sender=sender)


def test_not_in_settlement(owing):
    begin(owing)
    with reverts("ledger: in settlement"):
        draw(owing, 1)


@pytest.mark.parametrize(("mode", "reason"), [(CAUTION, "unsafe"), (EMERGENCY, "emergency")])
def test_modes_hold(new_protocol, mode, reason):
    protocol = opened(new_protocol, with_guards())
    draw(protocol, K)
    set_mode(protocol, mode)
    with reverts(f"risk_policy: {reason}"):
        draw(protocol, K)


def test_the_flow_limit_holds(new_protocol):
    protocol = opened(new_protocol, with_guards())
    protocol.do("RiskPolicy.set_flow_limit", ROLLUP, 10, 3_600, sender="admin")
    draw(protocol, 10 * WAD)
    with reverts("risk_policy: flows out too fast"):
        draw(protocol, WAD)


def test_an_amount_beyond_all_figures(bridged):
    with reverts(""):
        draw(bridged, 2**256 - 1)
