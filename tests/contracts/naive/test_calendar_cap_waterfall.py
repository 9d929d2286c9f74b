"""CalendarCapWaterfall: a cap is met once for each epoch, so twice within a minute at the edge of two."""

from dataclasses import replace

import pytest

from backstop.deployment.parameter_dataclasses import TimelockParameters
from backstop.model.arithmetic import RAY, WAD
from tests.support.no_fee_deployments import build_uncapped_stages, deploy_without_fees
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import XAU, deposit_savings, lose_new_vault

HELD = 100_000 * WAD
NAIVE = "CalendarCapWaterfall"


@pytest.fixture
def loss(new_protocol, cap):
    """Savings of 100,000 that pay half of that at most; a loss of 200,000."""
    buffer, reserve, savings = build_uncapped_stages("buffer", "reserve", "savings")
    stages = (buffer, reserve, replace(savings, **cap))
    protocol = deploy_without_fees(new_protocol, stages=stages, waterfall_contract=NAIVE)
    deposit_savings(protocol, "saver", HELD)
    assert lose_new_vault(protocol, debt=200_000 * WAD) >= 200_000 * WAD * RAY
    length = protocol.parameters.epoch_length
    protocol.advance(length - protocol.timestamp % length - 30)
    return protocol


SHARE, AMOUNT = {"cap_bps": 5_000}, {"cap_absolute": HELD // 2 * RAY}


def cover(protocol):
    """Return the remaining savings [wad]."""
    protocol.do("LossWaterfall.cover", XAU, sender="stranger")
    return int(protocol.read("Savings.totalAssets"))


@pytest.mark.parametrize("cap", [SHARE, AMOUNT])
def test_within_an_epoch_the_cap_holds(loss):
    assert cover(loss) == HELD // 2
    loss.advance(29)
    assert cover(loss) == HELD // 2


@pytest.mark.parametrize(("cap", "left"), [(SHARE, HELD // 4), (AMOUNT, 0)])
def test_a_minute_later_it_is_met_again(loss, left):
    """Under ours half is left: see tests/exploits/test_caps_double_at_an_epochs_edge.py."""
    assert cover(loss) == HELD // 2
    loss.advance(60)
    assert cover(loss) == left


@pytest.mark.parametrize("cap", [SHARE])
def test_what_would_reach_a_stage_knows_the_same_caps(loss):
    """Of all uncovered losses; only empty stages stand before the savings."""
    cover(loss)
    beyond = [loss.read("LossWaterfall.losses_reaching", loss.address("Savings"))]
    loss.advance(60)
    beyond.append(loss.read("LossWaterfall.losses_reaching", loss.address("Savings")))
    assert beyond[0] == beyond[1] == loss.read("LossWaterfall.outstanding", XAU)


def test_without_a_deficit(new_protocol):
    protocol = deploy_without_fees(
        new_protocol, stages=build_uncapped_stages("savings"), waterfall_contract=NAIVE
    )
    with reverts("loss_waterfall: no deficit"):
        protocol.do("LossWaterfall.cover", XAU, sender="stranger")


def test_a_stage_that_needs_time_is_passed_over(new_protocol):
    """Its would-be reservation is paid by the next one at once."""
    protocol = deploy_without_fees(
        new_protocol, stages=build_uncapped_stages("scripted", "savings"), waterfall_contract=NAIVE
    )
    deposit_savings(protocol, "saver", HELD)
    lost = lose_new_vault(protocol, debt=10_000 * WAD)
    protocol.do("ScriptedStage.claim", lost, 0, lost, sender="stranger")
    assert protocol.do("LossWaterfall.cover", XAU, sender="stranger") == lost
    assert protocol.read("Savings.totalAssets") == HELD - -(-lost // RAY)


def test_a_timelock_is_its_admin_too(new_protocol):
    """A contract deployed all the same has no owner."""
    protocol = deploy_without_fees(
        new_protocol,
        stages=build_uncapped_stages("savings"),
        waterfall_contract=NAIVE,
        timelock=TimelockParameters(),
    )
    assert protocol.read("LossWaterfall.admin") == protocol.address("Timelock")
