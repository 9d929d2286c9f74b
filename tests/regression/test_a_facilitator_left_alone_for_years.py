"""A failure that the fuzzer found: property 24, a facilitator with a fee, not called for over a year.

The vault engine charged a year's fee a call. The facilitator read its debt after one call, and the engine or
the mark used the debt after the next: the fee between counted as a loss, and was drawn beyond the line.
"""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.facilitator_steps import (
    DAY,
    LINE,
    ROLLUP,
    announce_and_realise_bridge_loss,
    announce_loss,
    deploy_protocol_with_facilitators,
    draw_stablecoin_as_bridge,
    pay_facilitator,
    read_bridge_debt,
    read_bridge_debt_at_risk,
    read_notes_in_facilitator_vault,
)
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import deposit_savings

K = 1_000 * WAD
YEAR = 365 * DAY


@pytest.fixture
def made(new_protocol):
    return deploy_protocol_with_facilitators(new_protocol)


@pytest.fixture(params=[YEAR + 1, 5 * YEAR])
def wait(made, request):
    """Let time pass without a call of the facilitator, at a fee of about 3% a year."""

    def go():
        made.do("VaultEngine.set_stability_fee", ROLLUP, 10**18, sender="admin")
        made.advance(request.param)

    return go


def charged(made):
    return made.table("VaultEngine", "ledger.debts", ROLLUP).accrued_at == made.timestamp


def test_the_doubt_is_the_announced_loss(made, wait):
    draw_stablecoin_as_bridge(made, 100 * K)
    wait()
    announce_loss(made, K)
    assert charged(made)
    rate = made.table("VaultEngine", "ledger.debts", ROLLUP).accumulated_rate
    assert K * RAY <= read_bridge_debt_at_risk(made) < K * RAY + read_notes_in_facilitator_vault(made) + rate


def test_a_fee_is_no_loss(made, wait):
    draw_stablecoin_as_bridge(made, 100 * K)
    wait()
    made.do("Rollup.sync_note", sender="stranger")
    assert charged(made)
    assert read_bridge_debt_at_risk(made) == 0


def test_the_line_holds_what_is_owed_by_now(made, wait):
    """Where notes are locked already, and the stages have covered a loss, the line alone stops a draw."""
    draw_stablecoin_as_bridge(made, LINE * WAD)
    deposit_savings(made, "saver", 250 * K)
    announce_and_realise_bridge_loss(made, 100 * K)
    made.do("LossWaterfall.cover", ROLLUP, sender="stranger")
    pay_facilitator(made, 740 * K)
    wait()
    with made.lockstep.fork_state():
        while not charged(made):
            made.do("VaultEngine.accrue", ROLLUP, sender="stranger")
        room = LINE * WAD - 100 * K - -(-read_bridge_debt(made) // RAY)
    with reverts("facilitator: over its line"):
        draw_stablecoin_as_bridge(made, room + 1)
    draw_stablecoin_as_bridge(made, room - 1)
    assert charged(made)


def test_all_is_paid_back_at_once(made, wait):
    draw_stablecoin_as_bridge(made, 100 * K)
    made.give_stablecoin("receiver", 100 * K)
    wait()
    assert pay_facilitator(made, 200 * K) > 103 * K
    assert read_bridge_debt(made) == 0


def test_all_is_lost_at_once(made, wait):
    draw_stablecoin_as_bridge(made, 100 * K)
    announce_loss(made, 200 * K)
    wait()
    assert made.do("Rollup.realise_loss", sender="stranger") > 103 * K
    assert read_bridge_debt(made) == 0


def test_a_loss_is_the_announced_one(made, wait):
    draw_stablecoin_as_bridge(made, 100 * K)
    announce_loss(made, K)
    wait()
    made.do("Rollup.realise_loss", sender="stranger")
    assert charged(made)
    rate = made.table("VaultEngine", "ledger.debts", ROLLUP).accumulated_rate
    assert 0 <= K * RAY - made.read("VaultEngine.deficit_of", ROLLUP) < rate
